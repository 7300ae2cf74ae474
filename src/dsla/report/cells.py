"""Points of a pyramid level drawn as cells over the picture: rounded squares, each as large as its level's stride."""

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from dsla.engine.draw import class_color
from dsla.geometry import Points

# From cold to hot with steadily rising lightness, so that it reads in grey and to colour-blind eyes too.
HEAT = LinearSegmentedColormap.from_list("heat", ["#3B2A8C", "#8A2FA5", "#D8456F", "#F98E3C", "#FDF0A6"])
# Orange where the first is higher, blue where the second is; dark in the middle, as the ground is.
BALANCE = LinearSegmentedColormap.from_list("balance", ["#7CC7FF", "#2F6FB0", "#20242E", "#B0561B", "#FFB25E"])
_DRAWN = 800  # pixels of a panel's longer side, at least, before it is scaled to the figure: for round corners


def heat_colors(values: Float[Tensor, " P"]) -> UInt8[np.ndarray, "P 4"]:
    """RGBA of labels in [0, 1], clear where a label is 0; the smallest label is seen."""
    value = values.float().cpu().numpy().clip(0, 1)
    rgba = HEAT(value, bytes=True)
    rgba[:, 3] = np.where(value > 0, 255 * (0.45 + 0.5 * value), 0)
    return rgba


def said_colors(values: Float[Tensor, " P"]) -> UInt8[np.ndarray, "P 4"]:
    """RGBA of what a network says, in [0, 1], at every point: what is near 0 does not hide the picture."""
    value = values.float().cpu().numpy().clip(0, 1)
    rgba = HEAT(value, bytes=True)
    rgba[:, 3] = 255 * 0.95 * np.sqrt(value)
    return rgba


def balance_colors(difference: Float[Tensor, " P"]) -> UInt8[np.ndarray, "P 4"]:
    """RGBA of differences in [-1, 1], clear where there is none."""
    value = difference.float().cpu().numpy().clip(-1, 1)
    rgba = BALANCE((value + 1) / 2, bytes=True)
    rgba[:, 3] = np.where(value != 0, 255 * (0.55 + 0.4 * np.abs(value)), 0)
    return rgba


def owner_colors(owner: Int[Tensor, " P"]) -> UInt8[np.ndarray, "P 4"]:
    """RGBA by the box that owns each point, clear where none does."""
    whose = owner.cpu().numpy()
    rgba = np.zeros((len(whose), 4), np.uint8)
    for g in np.unique(whose[whose >= 0]):
        rgba[whose == g] = (*class_color(int(g)), 225)
    return rgba


def level_cells(
    size: tuple[int, int], points: Points, colors: UInt8[np.ndarray, "P 4"], level: int
) -> UInt8[np.ndarray, "h w 4"]:
    """One level's cells around their points.

    Args:
        size: (h, w) of the picture, in pixels of the network's input.
        points: the pyramid's.
        colors: RGBA of every point, of all levels.
        level: which one is drawn.
    """
    zoom = -(-_DRAWN // max(size))
    stride, (h, w) = points.strides[level], points.sizes[level]
    lattice = colors[points.starts[level] :][: h * w].reshape(h, w, 4)
    # A point lies at (index + offset) * stride; its cell reaches half a stride to each side.
    shift = (points.offset - 0.5) * stride
    y, x = ((((np.arange(side * zoom) + 0.5) / zoom - shift) / stride).astype(np.float32) for side in size)
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    inside = np.outer((row >= 0) & (row < h), (column >= 0) & (column < w))
    rgba = lattice[row.clip(0, h - 1)[:, None], column.clip(0, w - 1)[None, :]].copy()
    # Distance to a square with round corners, in strides, softened over a drawn pixel.
    reach, corner = 0.46, 0.16
    away_y, away_x = np.abs(y - row - 0.5)[:, None], np.abs(x - column - 0.5)[None, :]
    beyond = np.hypot((away_y - reach + corner).clip(0), (away_x - reach + corner).clip(0)) - corner
    cover = (0.5 - beyond * (stride * zoom / 1.5)).clip(0, 1)
    rgba[..., 3] = rgba[..., 3] * cover * inside
    return rgba


def of_level(points: Points, values: Tensor, level: int) -> Tensor:
    """The part of (P,) values that belongs to one level."""
    h, w = points.sizes[level]
    return values[points.starts[level] :][: h * w]
