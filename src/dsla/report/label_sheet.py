"""A sheet for one picture: what assigners ask of each point of each level, and what a network says there.

A column is a pyramid level, a row a question: the label, whose the point is, the same of a second assigner and the
difference of both labels, and with a model its score and the IoU that it reaches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from torch import Tensor

from dsla.engine.draw import class_color
from dsla.engine.label_maps import Framed, LabelMaps, NetworkMaps
from dsla.geometry import Points
from dsla.models import Detected
from dsla.report.cells import BALANCE, HEAT, balance_colors, heat_colors, of_level, owner_colors, said_colors
from dsla.report.panels import DIM, NIGHT, PALE, counted, fit_panel, heading, level_panel, outline, scene_panel
from dsla.report.style import figure

# Inches: a panel's longer side, between panels, above a panel, above the first row, below the last.
_WIDE, _GAP, _HEAD, _TOP, _FOOT = 2.5, 0.1, 0.34, 0.36, 0.8


@dataclass(frozen=True, eq=False)
class Labelled:
    """An assigner's answer under the name that the sheet gives it."""

    name: str
    maps: LabelMaps


@dataclass(frozen=True, eq=False)
class _Row:
    """One question, for all levels.

    Attributes:
        title: above its first panel.
        colors: (P, 4) RGBA of every point.
        told: what stands at the right above a level's panel.
        scene: draws the first panel.
    """

    title: str
    colors: UInt8[np.ndarray, "P 4"]
    told: Callable[[int], str]
    scene: Callable[[Axes], None]
    bar: tuple[Colormap, float, str] | None = None


def draw_label_sheet(
    image: UInt8[Tensor, "3 H W"],
    framed: Framed,
    labelled: Sequence[Labelled],
    *,
    class_names: Sequence[str],
    network: NetworkMaps | None = None,
    found: Detected | None = None,
    title: str = "",
) -> Figure:
    """Draw the sheet.

    Args:
        image: the picture at the network's size.
        framed: its boxes and lattice.
        labelled: one assigner's answer, or two to compare.
        class_names: by class index.
        network: what a model says at the points.
        found: the model's detections, drawn beside its scores.
        title: a line above all.
    """
    rows = _rows(image, framed, labelled, class_names, network, found)
    levels = len(framed.points.sizes)
    high, wide = (_WIDE * side / max(image.shape[1:]) for side in image.shape[1:])
    across, down = wide + _GAP, high + _HEAD
    width, height = across * (1 + levels) + _GAP, _TOP + down * len(rows) + _FOOT
    with figure(width, height) as fig:
        fig.set_facecolor(NIGHT)
        fig.set_layout_engine("none")

        def place(column: float | int, top: float, w: float, h: float) -> Axes:
            return fig.add_axes(((_GAP + column * across) / width, 1 - (top + h) / height, w / width, h / height))

        for number, row in enumerate(rows):
            line = [place(column, _TOP + number * down + _HEAD, wide, high) for column in range(1 + levels)]
            for panel in line:
                panel.set_axis_off()
            row.scene(line[0])
            heading(line[0], row.title, "")
            for level, panel in enumerate(line[1:]):
                level_panel(panel, image, framed.points, row.colors, level)
                _outlines(panel, framed, labelled[0].maps, level)
                stride = framed.points.strides[level]
                heading(panel, f"P{int(np.log2(stride))}, stride {stride}" if row is rows[0] else "", row.told(level))
        bars = {row.bar[0].name: row.bar for row in rows if row.bar}
        for column, bar in enumerate(bars.values()):
            _bar(fig, place(2.5 * column, height - _FOOT + 0.18, 2 * wide, 0.09), *bar)
        fig.text(_GAP / width, 1 - 0.24 / height, title, va="center", color=PALE, fontsize=14, fontweight="bold")
    return fig


def _rows(
    image: UInt8[Tensor, "3 H W"],
    framed: Framed,
    labelled: Sequence[Labelled],
    class_names: Sequence[str],
    network: NetworkMaps | None,
    found: Detected | None,
) -> list[_Row]:
    points = framed.points

    def by_class(panel: Axes) -> None:
        scene_panel(panel, image, framed.truth, class_names)

    def by_box(panel: Axes) -> None:
        _numbered(panel, image, framed)

    def highest(values: Float[Tensor, " P"]) -> Callable[[int], str]:
        return lambda level: f"up to {float(of_level(points, values, level).amax()):.2f}"

    def owned(owner: Int[Tensor, " P"]) -> Callable[[int], str]:
        return lambda level: counted(int((of_level(points, owner, level) >= 0).sum()))

    def boxes(owner: Int[Tensor, " P"]) -> Callable[[int], str]:
        def told(level: int) -> str:
            here = of_level(points, owner, level)
            number = len(here[here >= 0].unique())
            return f"{number} box" + ("" if number == 1 else "es")

        return told

    rows: list[_Row] = []
    for each in labelled:
        maps = each.maps
        rows.append(
            _Row(f"Label, {each.name}", heat_colors(maps.label), owned(maps.owner), by_class, (HEAT, 0.0, "label"))
        )
        rows.append(_Row(f"Whose, {each.name}", owner_colors(maps.owner), boxes(maps.owner), by_box))
    if len(labelled) == 2:
        first, second = labelled
        difference = first.maps.label - second.maps.label
        bar = (BALANCE, -1.0, f"{second.name} higher      {first.name} higher")
        rows.append(_Row("Difference", balance_colors(difference), _changed(points, difference), by_class, bar))
    if network is not None:
        rows.append(_Row("Score", said_colors(network.score), highest(network.score), _detected(image, found)))
        rows.append(_Row("IoU reached", said_colors(network.iou), highest(network.iou), by_class))
    return rows


def _changed(points: Points, difference: Float[Tensor, " P"]) -> Callable[[int], str]:
    return lambda level: f"{int((of_level(points, difference, level) != 0).sum())} differ"


def _outlines(panel: Axes, framed: Framed, maps: LabelMaps, level: int) -> None:
    """Boxes that own points of the level are bright, the others faint."""
    owners = set(of_level(framed.points, maps.owner, level).unique().tolist())
    for g, box in enumerate(framed.truth.boxes.tolist()):
        strong = g in owners
        outline(panel, box, "white", 1.1 if strong else 0.5, 0.9 if strong else 0.25)


def _numbered(panel: Axes, image: UInt8[Tensor, "3 H W"], framed: Framed) -> None:
    """The picture with each box in the colour that its points have in the row, and its number."""
    blank = torch.zeros(len(framed.points), 4, dtype=torch.uint8).numpy()
    level_panel(panel, image, framed.points, blank, 0)
    for g, box in enumerate(framed.truth.boxes.tolist()):
        ignored = bool(framed.truth.ignore[g])
        color = "#B0B0B0" if ignored else tuple(value / 255 for value in class_color(g))
        outline(panel, box, color, 1.4, 1.0)
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        text = panel.text(*middle, str(int(framed.number[g]) + 1), color=color, ha="center", va="center")
        text.set(fontsize=7, fontweight="bold")


def _detected(image: UInt8[Tensor, "3 H W"], found: Detected | None) -> Callable[[Axes], None]:
    def draw(panel: Axes) -> None:
        panel.imshow(image.permute(1, 2, 0).numpy(), extent=(0, image.shape[2], image.shape[1], 0))
        if found is not None:
            for box, label in zip(found.boxes.tolist(), found.labels.tolist(), strict=True):
                outline(panel, box, tuple(value / 255 for value in class_color(label)), 1.4, 1.0)
            heading(panel, "", f"{len(found.labels)} found")
        fit_panel(panel, image)

    return draw


def _bar(fig: Figure, place: Axes, colors: Colormap, low: float, text: str) -> None:
    scale = ScalarMappable(Normalize(low, 1), colors)
    bar = fig.colorbar(scale, cax=place, orientation="horizontal", ticks=[-1, 0, 1] if low < 0 else None)
    bar.set_label(text if low < 0 else "label, score, IoU", color=DIM)
    bar.ax.tick_params(colors=DIM)
    bar.outline.set_visible(False)
