"""Points of a feature pyramid: one lattice a level, so that index arithmetic can replace search.

Letters: P points over all levels, L levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Points:
    """The points of a pyramid, level-major, then row-major.

    Point (row i, column j) of a level with stride s lies at x = (j + offset) * s, y = (i + offset) * s.

    Attributes:
        sizes: (h, w) of each level's lattice.
        strides: pixels between neighbours, a level.
        offset: 0.5 puts points on cell centres; 0.0 on cell corners, as the released DSLA code does.
        xy: (P, 2) positions in pixels of the network's input.
        stride: (P,) stride of each point's level, in pixels.
        level: (P,) index of each point's level.
    """

    sizes: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    offset: float
    xy: Float[Tensor, "P 2"] = field(repr=False)
    stride: Float[Tensor, " P"] = field(repr=False)
    level: Int[Tensor, " P"] = field(repr=False)

    @staticmethod
    def lattice(
        sizes: Sequence[tuple[int, int]],
        strides: Sequence[int],
        offset: float = 0.5,
        device: torch.device | str | None = None,
    ) -> "Points":
        """Make the points of a pyramid; equal arguments share one object.

        Args:
            sizes: (h, w) of each level's lattice.
            strides: stride of each level, in pixels, ascending.
            offset: position of a point in its cell, in strides.
            device: where the tensors live.

        Raises:
            ValueError: if there are not as many strides as sizes.
        """
        if len(sizes) != len(strides):
            raise ValueError(f"{len(sizes)} level sizes but {len(strides)} strides")
        pairs = tuple((int(h), int(w)) for h, w in sizes)
        return _lattice(pairs, tuple(int(s) for s in strides), float(offset), torch.device(device or "cpu"))

    @property
    def starts(self) -> tuple[int, ...]:
        """Index of each level's first point."""
        starts = [0]
        for h, w in self.sizes[:-1]:
            starts.append(starts[-1] + h * w)
        return tuple(starts)

    def __len__(self) -> int:
        return self.xy.shape[0]


@lru_cache(maxsize=64)
def _lattice(
    sizes: tuple[tuple[int, int], ...], strides: tuple[int, ...], offset: float, device: torch.device
) -> Points:
    xys, steps, levels = [], [], []
    with torch.inference_mode(False):  # a cached tensor must be usable in training, wherever it was first made
        for level, ((h, w), s) in enumerate(zip(sizes, strides, strict=True)):
            y, x = torch.meshgrid(torch.arange(h, device=device), torch.arange(w, device=device), indexing="ij")
            xys.append((torch.stack([x, y], dim=-1).reshape(-1, 2).float() + offset) * s)
            steps.append(torch.full((h * w,), float(s), device=device))
            levels.append(torch.full((h * w,), level, dtype=torch.int64, device=device))
        return Points(sizes, strides, offset, torch.cat(xys), torch.cat(steps), torch.cat(levels))
