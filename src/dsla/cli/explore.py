"""`dsla explore`."""

from pathlib import Path
from typing import Annotated

import typer

from dsla.cli.options import Data, Device, KindName, Sets, kind_of
from dsla.cli.settings import resolve
from dsla.terminal import note, say


def explore(
    data: Data,
    models: Annotated[list[Path] | None, typer.Argument(metavar="MODEL", help="Model files, or runs.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Settings that labels start from without a model.")] = None,
    set_: Sets = None,
    host: Annotated[str, typer.Option(help="Address to listen on; another lets others look.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8642,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    device: Device = "cpu",
    kind: KindName = None,
) -> None:
    """Look at pictures, labels and what models find, on a page of this machine."""
    from dsla.explore.serving import listen, need_server, open_session, serve

    need_server()
    config = resolve(None, recipe, None, [], {}, set_ or [])
    with listen(host, port) as place:  # first, since opening models takes a while
        session = open_session(data, models or [], config, device, kind_of(kind))

        def ready(address: str) -> None:
            for part in session.pictures.parts.values():
                for each in part.notes:
                    note(each)
            if host not in ("127.0.0.1", "localhost", "::1"):
                note("whoever reaches this machine can look at the pictures")
            say(f"{session.name}: open {address}\nCtrl-C ends it")
            if open_:
                typer.launch(address)

        serve(session, place, host, ready)
    say("closed")
