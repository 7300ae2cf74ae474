"""Where a large picture is cut into tiles, and which boxes a tile shows whole.

Tiles are all of one size and evenly spread: neighbours overlap by the share asked for, or a little more, so that none
is a sliver and none leaves the picture. They are the products of rows and columns, which is why questions about boxes
are answered an axis at a time.

Letters: G boxes, H and W height and width, n tiles along an axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dsla.data.resize import Window
from dsla.errors import ConfigError

SMALLEST = 32


@dataclass(frozen=True)
class Tiling:
    """How pictures larger than a tile are cut.

    Attributes:
        side: of a tile, in the picture's own pixels; pictures not larger than that stay whole.
        overlap: share of the side that neighbours have in common, at least. An object up to so much of a tile is whole
            in some tile wherever it lies.
        whole: look at the whole picture too, scaled down, for the objects that no tile shows whole.
    """

    side: int
    overlap: float = 0.2
    whole: bool = True

    def __post_init__(self) -> None:
        if self.side < SMALLEST:
            raise ConfigError(f"tile={self.side}: a tile needs a side of at least {SMALLEST} pixels")
        if not 0 <= self.overlap <= 0.75:
            raise ConfigError(f"tile_overlap={self.overlap}: the share that tiles overlap lies in 0 to 0.75")

    def windows(self, size: tuple[int, int]) -> tuple[Window, ...]:
        """The tiles of a picture (h, w), row by row; the picture itself where it is not larger than a tile."""
        height, width = (min(side, self.side) for side in size)
        rows, columns = (self._starts(side) for side in size)
        return tuple(Window(top, left, height, width) for top in rows for left in columns)

    def cuts(self, size: tuple[int, int]) -> bool:
        """Whether a picture (h, w) is larger than a tile."""
        return max(size) > self.side

    def shown_whole(self, boxes: Float[Tensor, "G 4"], size: tuple[int, int]) -> Bool[Tensor, " G"]:
        """Which boxes, xyxy in a picture (h, w), lie whole in some tile."""
        return self.shown_along(boxes, size).all(dim=1)

    def shown_along(
        self, boxes: Float[Tensor, "G 4"], size: tuple[int, int], margin: Float[Tensor, "G 2"] | float = 0.0
    ) -> Bool[Tensor, "G 2"]:
        """Which boxes, xyxy in a picture (h, w), lie whole in some column of tiles, and which in some row.

        Args:
            margin: pixels, of x and y, that a box must stay away from edges where the picture goes on beyond the tile.
        """
        margins = torch.zeros_like(boxes[:, :2]) + margin
        inside = [
            within(boxes[:, axis], boxes[:, axis + 2], self._starts(size[1 - axis]), self.side, size[1 - axis], gap)
            for axis, gap in enumerate(margins.unbind(dim=1))
        ]
        return torch.stack([axis.any(dim=1) for axis in inside], dim=1)

    def _starts(self, side: int) -> tuple[int, ...]:
        """First pixel of each tile along an axis."""
        if side <= self.side:
            return (0,)
        step = max(self.side - round(self.overlap * self.side), 1)
        last = side - self.side
        count = -(-last // step) + 1
        return tuple(round(last * number / (count - 1)) for number in range(count))


def within(
    low: Float[Tensor, " G"],
    high: Float[Tensor, " G"],
    starts: Sequence[int],
    tile: int,
    side: int,
    margin: Float[Tensor, " G"],
) -> Bool[Tensor, "G n"]:
    """Along one axis, which tiles contain an interval, away from the edges where the picture goes on.

    Args:
        low, high: ends of the intervals.
        starts: first pixel of each tile.
        tile: side of a tile.
        side: of the picture.
        margin: pixels to stay away from such edges.
    """
    begin = low.new_tensor(starts)
    end = begin + min(tile, side)
    from_begin = (low[:, None] >= begin + margin[:, None]) | (begin == 0)
    from_end = (high[:, None] <= end - margin[:, None]) | (end == side)
    return from_begin & from_end
