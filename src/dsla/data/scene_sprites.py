"""Objects of the generated scenes as sprites: painted once, then turned and resized into each picture.

A sprite is a pyramid of halvings of one painting, colours premultiplied by coverage. Its outline is kept
besides, so that the size it will have after a turn is known before any pixel is touched.

Letters: N points of an outline.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageFilter

from dsla.data.scene_brush import Brush
from dsla.data.scene_colours import Number
from dsla.data.scene_objects import PAINTERS

VARIANTS = 8  # paintings of each class that the scenes of one seed share
_PALE = [v * 112 // 255 for v in range(256)]  # opacity of a drop shadow under each opacity


@dataclass(frozen=True, eq=False)
class Sprite:
    """A painting at several sizes, each half the one before, and its outline about its centre."""

    levels: tuple[Image.Image, ...]
    outline: Float[np.ndarray, "N 2"]

    def place(self, size: Number, turn: Number, stretch: Number, flip: bool) -> Image.Image:
        """The object `size` pixels long at its longer side, as RGBA cropped to it with a pixel to spare.

        `turn` is in degrees clockwise, `stretch` multiplies the width before the turn.
        """
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        wide = -stretch if flip else stretch
        shape = np.array([[c * wide, -s], [s * wide, c]])
        reach = self.outline @ shape.T
        low, high = reach.min(0), reach.max(0)
        scale = size / float((high - low).max())
        level, factor = 0, scale
        while factor < 0.6 and level + 1 < len(self.levels):
            level, factor = level + 1, factor * 2
        source = self.levels[level]
        width, height = (math.ceil(v) + 2 for v in ((high - low) * scale).tolist())
        # Pillow asks where in the source an output pixel comes from: the inverse, between the two centres.
        back = np.array([[c / wide, s / wide], [-s, c]]) / factor
        middle = (low + high) * scale / 2
        at = np.array([source.width, source.height]) / 2 - back @ (np.array([width, height]) / 2 - middle)
        (a, b), (d, e) = np.round(back, 6).tolist()
        x, y = np.round(at, 4).tolist()
        return source.transform(
            (width, height), Image.Transform.AFFINE, (a, b, x, d, e, y), Image.Resampling.BILINEAR
        ).convert("RGBA")


@lru_cache(maxsize=2 * VARIANTS * len(PAINTERS) + 40)
def sprite(seed: int, label: int, variant: int, side: int) -> Sprite:
    """One of the paintings that the scenes of a seed share, on a canvas of `side` pixels."""
    brush = Brush(side)
    PAINTERS[label][1](brush, np.random.default_rng([seed, 1, label, variant]))
    paint = brush.picture()
    height, width = paint.shape[:2]
    levels = [Image.frombytes("RGBa", (width, height), paint.tobytes())]
    while min(levels[-1].size) > 12:
        # Halving needs even sides, or the outline would drift against the pixels.
        last = levels[-1]
        even = (last.width + last.width % 2, last.height + last.height % 2)
        levels.append(last.resize((even[0] // 2, even[1] // 2), Image.Resampling.BOX))
    solid = paint[..., 3] >= 128
    rows = np.flatnonzero(solid.any(1))
    first, last_column = solid[rows].argmax(1), width - solid[rows][:, ::-1].argmax(1)
    edges = [np.stack([x, rows + dy], 1) for x in (first, last_column) for dy in (0, 1)]
    return Sprite(tuple(levels), np.concatenate(edges) - np.array([width, height]) / 2)


def shadow(alpha: Image.Image, reach: int) -> Image.Image:
    """The soft mask that an object throws, `reach` pixels larger on every side."""
    small = max(1, reach // 3)
    mask = Image.new("L", (alpha.width + 2 * reach, alpha.height + 2 * reach))
    mask.paste(alpha.point(_PALE), (reach, reach))
    if small > 2:
        whole = mask.size
        mask = mask.reduce(2).filter(ImageFilter.BoxBlur(small / 2)).filter(ImageFilter.BoxBlur(small / 2))
        return mask.resize(whole, Image.Resampling.BILINEAR)
    return mask.filter(ImageFilter.BoxBlur(small))
