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
    host: Annotated[str, typer.Option(help="Address to listen at; this machine alone by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Where a request names none.")] = 0.3,
    api_key_file: Annotated[
        Path | None, typer.Option(help="Keys, one a line; or one in the variable DSLA_API_KEY.")
    ] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="A further name in the Host header.")] = None,
    max_mb: Annotated[int, typer.Option(min=1, help="Megabytes a request.")] = 32,
    max_megapixels: Annotated[float, typer.Option(min=0.01, help="Of one picture.")] = 50,
    max_pictures: Annotated[int, typer.Option(min=1, help="In one request.")] = 16,
    queue: Annotated[int, typer.Option(min=1, help="Pictures that may wait; more get 503.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Pictures through the network at a time.")] = 8,
    body_seconds: Annotated[float, typer.Option(min=0.1, help="For a body to arrive.")] = 30,
    seconds: Annotated[float, typer.Option(min=0.1, help="For the answer, from the whole body.")] = 30,
    log_requests: Annotated[bool, typer.Option(help="A line of JSON for each request.")] = True,
    device: Device = "auto",
) -> None:
    """Answer detection requests over HTTP, with a page to try it."""
    try:
        from dsla.serve.server import BACKLOG, address_of, bind, make_server
    except ModuleNotFoundError as error:
        raise ConfigError(f"serving needs the package {error.name}: pip install 'dsla[serve]'") from error
    from dsla.serve.access import Access, hosts_for, is_loopback
    from dsla.serve.limits import MEGABYTE, Limits
    from dsla.serve.logs import log_to_stderr
    from dsla.serve.model import open_served, read_keys
    from dsla.serve.service import Service

    limits = Limits(
        body_bytes=max_mb * MEGABYTE, pixels=round(max_megapixels * 1e6), pictures=max_pictures, queue=queue,
        batch=batch, body_seconds=body_seconds, answer_seconds=seconds,
    )  # fmt: skip
    access = Access(hosts_for(host, allow_host or []), read_keys(api_key_file, os.environ.get("DSLA_API_KEY")))
    bound = bind(host, port)
    log_to_stderr(requests=log_requests)
    served = open_served(model, device)
    server = make_server(Service(served, limits, access, threshold))
    if not access.keys and not is_loopback(host):
        note(f"whoever reaches {host} can use this server; give --api-key-file or set DSLA_API_KEY")
    bound.listen(BACKLOG)
    say(f"serving {served.name} at {address_of(bound)}  (Ctrl+C stops)")
    server.run(sockets=[bound])
