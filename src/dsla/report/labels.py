"""What an assigner asks of the network: each pyramid level's labels as a heat map over the scene.

Every cell is one point of the level's lattice, as large as its stride, coloured by the label it is given.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import UInt8
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from dsla.assign import DSLA, Assignment, level_ranges
from dsla.data.sample import Sample
from dsla.geometry import GroundTruth, Points
from dsla.report.cells import HEAT, heat_colors
from dsla.report.panels import (
    DIM,
    NIGHT,
    PALE,
    counted,
    heading,
    level_panel,
    level_title,
    outline,
    scene_panel,
)
from dsla.report.style import figure


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
        scene_panel(panels[0], image, truth, class_names)
        for level, panel in enumerate(panels[1:panels_needed]):
            owners = set(assignment.gt[owner_level == level].tolist())
            level_panel(panel, image, points, heat_colors(values), level)
            for g, box in enumerate(truth.boxes.tolist()):
                strong = g in owners
                outline(panel, box, "white", 1.4 if strong else 0.6, 0.95 if strong else 0.28)
            heading(panel, level_title(points, level, ranges), counted(int((owner_level == level).sum())))
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
