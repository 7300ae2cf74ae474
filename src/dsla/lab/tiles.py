"""Tiles as arithmetic: how many a picture gives, and where its boxes lie in them; nothing is cut.

Tiles overlap so that a box which one of them cuts is whole in its neighbour. For counting points a box is put to the
tile that holds its centre, with half a tile of the surroundings on each side.
"""

import numpy as np
import torch

from dsla.lab.box_table import BoxTable

OVERLAP = 0.2  # share of a tile's side that it has in common with the next


def tiles_a_picture(table: BoxTable, side: int) -> float:
    """Mean number of overlapping tiles of `side` pixels that cover a picture."""
    step = side * (1 - OVERLAP)
    along = 1 + np.ceil(np.maximum(table.sizes - side, 0) / step)
    return float(along.prod(axis=1).mean())


def tiled(table: BoxTable, side: int) -> BoxTable:
    """The boxes seen from their tiles, each "picture" a tile with half a tile of surroundings on each side."""
    centre = (table.boxes[:, :2] + table.boxes[:, 2:]) / 2
    cell = torch.div(centre, side, rounding_mode="floor").long()
    shift = (cell.float() - 0.5) * side
    key = torch.cat([table.image[:, None], cell], dim=1)
    _, tile = torch.unique(key, dim=0, return_inverse=True)
    order = tile.argsort(stable=True)
    return BoxTable(
        boxes=(table.boxes - shift.repeat(1, 2))[order],
        labels=table.labels[order],
        ignore=table.ignore[order],
        image=tile[order],
        sizes=np.full((int(tile.max()) + 1 if len(tile) else 1, 2), 2 * side),
        class_names=table.class_names,
        of=table.of,
    )
