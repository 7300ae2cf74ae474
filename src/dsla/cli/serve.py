"""`dsla serve`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from dsla.cli.options import Device, Model
from dsla.errors import ConfigError
from dsla.terminal import note, say


def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="Address; this machine alone by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    threshold: Annotated[float, typer.Option(help="Lowest score, where a request names none.")] = 0.3,
    key_file: Annotated[Path | None, typer.Option(help="API keys, one a line; or one in DSLA_API_KEY.")] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="A further name to answer to.")] = None,
    limit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=N", help="As queue=64, batch=8, megabytes=32; see docs/serve.md.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the network; all cores left to us if not given.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line of log for each request.")] = False,
    device: Device = "auto",
) -> None:
    """Answer detection requests over HTTP, with a page to try it."""
    try:
        from dsla.serve.server import BACKLOG, address_of, bind, make_server
    except ModuleNotFoundError as error:
        raise ConfigError(f"serving needs the package {error.name}: pip install 'dsla[serve]'") from error
    from dsla.serve.access import Access, hosts_for, is_loopback
    from dsla.serve.limits import parse_limits
    from dsla.serve.logs import log_to_stderr
    from dsla.serve.model import open_served, read_keys
    from dsla.serve.service import Service

    if not (0 <= threshold <= 1 and 0 <= port <= 65535):
        raise ConfigError(f"--threshold {threshold} must lie from 0 to 1, and --port {port} from 0 to 65535")
    limits = parse_limits(limit or [])
    access = Access(hosts_for(host, allow_host or []), read_keys(key_file, os.environ.get("DSLA_API_KEY")))
    bound = bind(host, port)
    log_to_stderr(requests=not quiet)
    served = open_served(model, device, threads)
    server = make_server(Service(served, limits, access, threshold))
    if not access.keys and not is_loopback(host):
        note(f"whoever reaches {host} can use this server; give --key-file or set DSLA_API_KEY")
    bound.listen(BACKLOG)
    say(f"serving {served.name} at {address_of(bound)}  (Ctrl+C stops)")
    server.run(sockets=[bound])
