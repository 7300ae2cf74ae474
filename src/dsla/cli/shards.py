"""`dsla shards`."""

from pathlib import Path
from typing import Annotated

import typer

from dsla.cli.options import Data, KindName, MaxPixels, kind_of
from dsla.terminal import progress, say, tell_notes


def shards(
    data: Data,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the shards.")],
    per_shard: Annotated[int, typer.Option(min=1, help="Pictures of a tar file.")] = 1000,
    tile: Annotated[int | None, typer.Option(min=32, help="Cut larger pictures into tiles of this side.")] = None,
    kind: KindName = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Write a data set as tar shards, which training reads as a stream."""
    from dsla.data import open_data, write_shards
    from dsla.data.tiles import tile_everything
    from dsla.data.tiling import Tiling

    splits = open_data(data, kind=kind_of(kind), max_pixels=max_pixels)
    if tile is not None:
        splits = tile_everything(splits, Tiling(tile))
    tell_notes(splits, splits.train, splits.val)
    with progress("writing") as advance:
        written = write_shards(splits, out, per_shard, advance)
    say(f"{len(written)} shards in {out}")
    say(f"next      dsla train {out}")
