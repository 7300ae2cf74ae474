"""What an assigner asks of the network: each pyramid level's labels as a heat map over the scene.

Every cell is one point of the level's lattice, as large as its stride, coloured by the label it is given.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from dsla.assign import DSLA, Assignment, level_ranges
from dsla.data.sample import Sample
from dsla.engine.draw import class_color
from dsla.geometry import GroundTruth, Points
from dsla.report.style import figure

NIGHT, PALE, DIM = "#10141C", "#F2F4F8", "#9AA6B5"
# From cold to hot with steadily rising lightness, so that it reads in grey and to colour-blind eyes too.
HEAT = LinearSegmentedColormap.from_list("heat", ["#3B2A8C", "#8A2FA5", "#D8456F", "#F98E3C", "#FDF0A6"])
_DRAWN = 800  # pixels of a panel's longer side, at least, before it is scaled to the figure: for round corners


def draw_labels(
    image: UInt8[Tensor, "3 H W"],
    points: Points,
    assignment: Assignment,
    truth: GroundTruth,
    *,
    class_names: Sequence[str],
    ranges: Sequence[tuple[float, float]] | None = None,
    title: str = "",
) -> Figure:
    """Draw the scene with its boxes, then one panel a level with the labels of its points.

    Boxes that own points of a level are drawn bright in its panel.

    Args:
        image: the picture as the network sees it.
        points: the pyramid's.
        assignment: of this picture alone; its `score` is what is drawn.
        truth: the boxes of this picture, in pixels of `image`.
        class_names: by class index, written at the boxes of the scene.
        ranges: (low, high) of max(l, t, r, b) in pixels that each level is for, told in the panels' titles.
        title: a line above all.
    """
    point, score = assignment.point.cpu(), assignment.score.float().cpu()
    values = torch.zeros(len(points)).scatter_reduce(0, point, score, "amax")
    owner_level = points.level.cpu()[point]
    panels_needed = 1 + len(points.sizes)
    columns = min(3, panels_needed)
    rows = -(-panels_needed // columns)
    ratio = image.shape[1] / image.shape[2]
    with figure(3.6 * columns, (3.6 * ratio + 0.36) * rows + 0.9) as fig:
        fig.set_facecolor(NIGHT)
        fig.set_layout_engine("constrained", w_pad=0.09, h_pad=0.09, wspace=0, hspace=0)
        panels = fig.subplots(rows, columns, squeeze=False).flatten()
        for panel in panels:
            panel.set_axis_off()
        _scene(panels[0], image, truth, class_names)
        for level, panel in enumerate(panels[1:panels_needed]):
            owners = set(assignment.gt[owner_level == level].tolist())
            _level(panel, image, points, values, level)
            for g, box in enumerate(truth.boxes.tolist()):
                strong = g in owners
                _outline(panel, box, "white", 1.4 if strong else 0.6, 0.95 if strong else 0.28)
            _heading(panel, _level_title(points, level, ranges), _count(int((owner_level == level).sum())))
        heat = ScalarMappable(Normalize(0, 1), HEAT)
        bar = fig.colorbar(heat, ax=list(panels), location="bottom", shrink=0.3, aspect=45, pad=0.02)
        bar.set_label("label", color=DIM)
        bar.ax.tick_params(colors=DIM)
        bar.outline.set_visible(False)
        if title:
            fig.suptitle(title, x=0.012, ha="left", color=PALE, fontsize=15, fontweight="bold")
    return fig


def draw_static_labels(
    sample: Sample,
    class_names: Sequence[str],
    *,
    assigner: DSLA | None = None,
    strides: Sequence[int] = (8, 16, 32, 64, 128),
    title: str = "DSLA's labels for one scene, before the network has learned anything",
) -> Figure:
    """Draw the static labels S that DSLA gives to the points of a picture; the network's IoU is left out.

    Args:
        sample: the picture with its boxes, at the network's size.
        class_names: by class index.
        assigner: its settings; the default one otherwise.
        strides: of the pyramid.
        title: a line above all.
    """
    height, width = sample.size
    points = Points.lattice([(-(-height // s), -(-width // s)) for s in strides], strides)
    truth = GroundTruth.collate([(sample.boxes, sample.labels, sample.ignore)])
    static = replace(assigner or DSLA(), coupling=False, iou_only=False)
    ranges = level_ranges(points, static.reach, static.ranges)
    return draw_labels(
        sample.image,
        points,
        static(points, truth),
        truth,
        class_names=class_names,
        ranges=ranges,
        title=title,
    )


def _scene(panel: Axes, image: UInt8[Tensor, "3 H W"], truth: GroundTruth, class_names: Sequence[str]) -> None:
    panel.imshow(image.permute(1, 2, 0).numpy(), extent=_extent(image), interpolation="antialiased")
    for box, label, ignored in zip(truth.boxes.tolist(), truth.labels.tolist(), truth.ignore.tolist(), strict=True):
        color = tuple(value / 255 for value in class_color(label))
        _outline(panel, box, "#B0B0B0" if ignored else color, 1.8, 1.0)
        if not ignored:
            em = image.shape[1] / 40
            above = box[1] > 1.5 * em
            left = box[0] < 0.85 * image.shape[2]
            x, y = (box[0] if left else box[2]), box[1] + (-0.3 if above else 0.4) * em
            name = panel.text(x, y, str(class_names[label]), color=color, va="bottom" if above else "top")
            name.set(fontsize=7.5, fontweight="bold", ha="left" if left else "right")
            name.set_path_effects([withStroke(linewidth=2, foreground="#10141CCC")])
    _heading(panel, "The scene", f"{int((~truth.ignore).sum())} boxes")
    _frame(panel, image)


def _level(panel: Axes, image: UInt8[Tensor, "3 H W"], points: Points, values: Float[Tensor, " P"], level: int) -> None:
    grey = (image.float() / 255 * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=0)
    panel.imshow(grey.numpy() * 0.5, cmap="gray", vmin=0, vmax=1, extent=_extent(image), interpolation="antialiased")
    if _of_level(points, values, level).any():
        cells = _cells(image, points, values, level)
        panel.imshow(cells, extent=_extent(image), interpolation="antialiased")
    _frame(panel, image)


def _cells(
    image: UInt8[Tensor, "3 H W"], points: Points, values: Float[Tensor, " P"], level: int
) -> UInt8[np.ndarray, "h w 4"]:
    """RGBA bytes of one level's cells: rounded squares around its points, clear where the label is 0."""
    zoom = -(-_DRAWN // max(image.shape[1:]))
    stride, (h, w) = points.strides[level], points.sizes[level]
    lattice = _of_level(points, values, level).reshape(h, w)
    # A point lies at (index + offset) * stride; its cell reaches half a stride to each side.
    shift = (points.offset - 0.5) * stride
    y, x = ((((np.arange(side * zoom) + 0.5) / zoom - shift) / stride).astype(np.float32) for side in image.shape[1:])
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    inside = np.outer((row >= 0) & (row < h), (column >= 0) & (column < w))
    value = lattice[row.clip(0, h - 1)[:, None], column.clip(0, w - 1)[None, :]] * inside
    # Distance to a square with round corners, in strides, softened over a drawn pixel.
    reach, corner = 0.46, 0.16
    away_y, away_x = np.abs(y - row - 0.5)[:, None], np.abs(x - column - 0.5)[None, :]
    beyond = np.hypot((away_y - reach + corner).clip(0), (away_x - reach + corner).clip(0)) - corner
    cover = (0.5 - beyond * (stride * zoom / 1.5)).clip(0, 1)
    rgba = HEAT(value, bytes=True)
    rgba[..., 3] = 255 * np.where(value > 0, (0.45 + 0.5 * value) * cover, 0)
    return rgba


def _of_level(points: Points, values: Float[Tensor, " P"], level: int) -> Float[np.ndarray, " Q"]:
    h, w = points.sizes[level]
    return values[points.starts[level] :][: h * w].numpy()


def _level_title(points: Points, level: int, ranges: Sequence[tuple[float, float]] | None) -> str:
    stride = points.strides[level]
    text = f"P{int(np.log2(stride))}, stride {stride}"
    if ranges is None:
        return text
    low, high = ranges[level]
    return f"{text}, from {low:g} px" if high > 1e7 else f"{text}, {low:g} to {high:g} px"


def _heading(panel: Axes, left: str, right: str) -> None:
    panel.set_title(left, color=PALE, fontsize=10.5, loc="left", pad=5)
    panel.set_title(right, color=DIM, fontsize=9, loc="right", pad=5, fontweight="normal")


def _outline(panel: Axes, box: Sequence[float], color: object, width: float, alpha: float) -> None:
    x1, y1, x2, y2 = box
    panel.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=width, alpha=alpha)  # pyright: ignore[reportArgumentType]
    )


def _extent(image: UInt8[Tensor, "3 H W"]) -> tuple[float, float, float, float]:
    return 0.0, float(image.shape[2]), float(image.shape[1]), 0.0


def _frame(panel: Axes, image: UInt8[Tensor, "3 H W"]) -> None:
    panel.set(xlim=(0, image.shape[2]), ylim=(image.shape[1], 0))


def _count(points: int) -> str:
    return f"{points} point" + ("" if points == 1 else "s")
