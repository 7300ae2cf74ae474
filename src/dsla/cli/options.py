"""Arguments and flags that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from dsla.errors import ConfigError

if TYPE_CHECKING:
    from dsla.data.tables import Kind

DATA_HELP = "Folder, COCO json or data.yaml of labelled pictures, 'scenes' or 'trees'."
Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, a run, or an export.")]
Assigner = Annotated[str | None, typer.Option(help="dsla, fcos, atss, tal ..., with its losses.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Any setting; `dsla config` lists them."),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of settings over the recipe's.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
KindName = Annotated[
    str | None, typer.Option("--kind", metavar="FORMAT", help="coco, yolo or voc, where it cannot be found out.")
]
MaxPixels = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Refuse larger pictures; 179 million by default.")
]
Trust = Annotated[bool, typer.Option("--trust", help="Open a .pt2 file, which could run code.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures at a time.")]

Tile = Annotated[
    int | None,
    typer.Option(min=0, help="Cut larger pictures into tiles of this side, in pixels; 0: never."),
]


def kind_of(name: str | None) -> "Kind | None":
    """The format that is named on the command line.

    Raises:
        ConfigError: there is none of that name.
    """
    from dsla.data.tables import Kind

    known = get_args(Kind)
    if name is not None and name not in known:
        raise ConfigError(f"--kind {name}: unknown; known are {', '.join(known)}")
    return cast("Kind | None", name)


def words(text: str) -> tuple[str, ...]:
    """What stands between the commas."""
    return tuple(word.strip() for word in text.split(","))
