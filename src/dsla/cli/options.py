"""Arguments and flags that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DATA_HELP = "Folder with labelled pictures or tar shards, a COCO json, or 'scenes'."
Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, a run, or an export.")]
Assigner = Annotated[str | None, typer.Option(help="dsla, fcos, atss, tal ..., with its losses.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Any setting; `dsla config` lists them."),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of settings over the recipe's.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Trust = Annotated[bool, typer.Option("--trust", help="Open a .pt2 file, which could run code.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures at a time.")]


def words(text: str) -> tuple[str, ...]:
    """What stands between the commas."""
    return tuple(word.strip() for word in text.split(","))
