"""`dsla demo`."""

from pathlib import Path
from typing import Annotated

import typer

from dsla.terminal import console


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo-output"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the 400 training scenes.")] = 5,
    seed: Annotated[int, typer.Option(help="Decides scenes, weights and order.")] = 0,
) -> None:
    """Train on generated scenes, evaluate on unseen ones, and draw what was found."""
    from dsla.demo import run_demo

    run_demo(out, epochs=epochs, seed=seed, console=console)
