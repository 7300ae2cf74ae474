"""Panels of figures on a dark ground: the picture with its boxes, and one pyramid level's cells over it."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from dsla.engine.draw import class_color
from dsla.geometry import GroundTruth, Points
from dsla.report.cells import level_cells

NIGHT, PALE, DIM = "#10141C", "#F2F4F8", "#9AA6B5"


def scene_panel(panel: Axes, image: UInt8[Tensor, "3 H W"], truth: GroundTruth, class_names: Sequence[str]) -> None:
    """The picture with its true boxes and their classes."""
    panel.imshow(image.permute(1, 2, 0).numpy(), extent=extent_of(image), interpolation="antialiased")
    for box, label, ignored in zip(truth.boxes.tolist(), truth.labels.tolist(), truth.ignore.tolist(), strict=True):
        color = tuple(value / 255 for value in class_color(label))
        outline(panel, box, "#B0B0B0" if ignored else color, 1.8, 1.0)
        if not ignored:
            em = image.shape[1] / 40
            above = box[1] > 1.5 * em
            left = box[0] < 0.85 * image.shape[2]
            x, y = (box[0] if left else box[2]), box[1] + (-0.3 if above else 0.4) * em
            name = panel.text(x, y, str(class_names[label]), color=color, va="bottom" if above else "top")
            name.set(fontsize=7.5, fontweight="bold", ha="left" if left else "right")
            name.set_path_effects([withStroke(linewidth=2, foreground="#10141CCC")])
    heading(panel, "The scene", f"{int((~truth.ignore).sum())} boxes")
    fit_panel(panel, image)


def level_panel(
    panel: Axes, image: UInt8[Tensor, "3 H W"], points: Points, colors: UInt8[np.ndarray, "P 4"], level: int
) -> None:
    """The picture, grey and dim, beneath the cells of one level."""
    grey = (image.float() / 255 * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=0)
    panel.imshow(grey.numpy() * 0.5, cmap="gray", vmin=0, vmax=1, extent=extent_of(image), interpolation="antialiased")
    h, w = points.sizes[level]
    if colors[points.starts[level] :][: h * w, 3].any():
        cells = level_cells((image.shape[1], image.shape[2]), points, colors, level)
        panel.imshow(cells, extent=extent_of(image), interpolation="antialiased")
    fit_panel(panel, image)


def level_title(points: Points, level: int, ranges: Sequence[tuple[float, float]] | None) -> str:
    """Name, stride and sizes of a level."""
    stride = points.strides[level]
    text = f"P{int(np.log2(stride))}, stride {stride}"
    if ranges is None:
        return text
    low, high = ranges[level]
    return f"{text}, from {low:g} px" if high > 1e7 else f"{text}, {low:g} to {high:g} px"


def heading(panel: Axes, left: str, right: str) -> None:
    """A title at the left and a smaller one at the right of a panel."""
    panel.set_title(left, color=PALE, fontsize=10.5, loc="left", pad=5)
    panel.set_title(right, color=DIM, fontsize=9, loc="right", pad=5, fontweight="normal")


def outline(panel: Axes, box: Sequence[float], color: object, width: float, alpha: float) -> None:
    """A box as a line; xyxy in the picture's pixels."""
    x1, y1, x2, y2 = box
    panel.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=width, alpha=alpha)  # pyright: ignore[reportArgumentType]
    )


def extent_of(image: UInt8[Tensor, "3 H W"]) -> tuple[float, float, float, float]:
    """Where matplotlib is to lay a picture so that its axes are pixels."""
    return 0.0, float(image.shape[2]), float(image.shape[1]), 0.0


def fit_panel(panel: Axes, image: UInt8[Tensor, "3 H W"]) -> None:
    """Cut a panel to its picture."""
    panel.set(xlim=(0, image.shape[2]), ylim=(image.shape[1], 0))


def counted(points: int) -> str:
    """So many points, in words."""
    return f"{points} point" + ("" if points == 1 else "s")
