"""Several assigners side by side on one picture: which points each makes positive, on which level, how strongly."""

from collections.abc import Mapping

import torch
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from dsla.assign import Assignment
from dsla.geometry import GroundTruth, Points
from dsla.report.cells import HEAT
from dsla.report.panels import DIM, NIGHT, PALE
from dsla.report.style import figure

COLUMNS = 4


def plot_assigners(
    image: UInt8[Tensor, "3 H W"],
    points: Points,
    truth: GroundTruth,
    assignments: Mapping[str, Assignment],
    *,
    title: str = "",
) -> Figure:
    """Draw one panel an assigner: its positives as dots over the picture, larger on coarser levels.

    The colour of a dot is its label. A panel's heading tells how many positives a box has on average.

    Args:
        image: the picture as the network sees it.
        points: the pyramid's.
        truth: the boxes of this picture alone, in pixels of `image`.
        assignments: of this picture alone, by the name to write above the panel.
        title: a line above all.
    """
    rows = -(-len(assignments) // COLUMNS)
    ratio = image.shape[1] / image.shape[2]
    with figure(3.3 * COLUMNS, (3.3 * ratio + 0.34) * rows + 0.95) as fig:
        fig.set_facecolor(NIGHT)
        fig.set_layout_engine("constrained", w_pad=0.09, h_pad=0.09, wspace=0, hspace=0)
        panels = fig.subplots(rows, COLUMNS, squeeze=False).flatten()
        for panel in panels:
            panel.set_axis_off()
        boxes = max(int((~truth.ignore).sum()), 1)
        for panel, (name, assignment) in zip(panels, assignments.items(), strict=False):
            _panel(panel, image, points, truth, assignment)
            panel.set_title(name, color=PALE, fontsize=10.5, loc="left", pad=5)
            each = f"{len(assignment.gt) / boxes:.1f} a box"
            panel.set_title(each, color=DIM, fontsize=9, loc="right", pad=5, fontweight="normal")
        bar = fig.colorbar(
            ScalarMappable(Normalize(0, 1), HEAT), ax=list(panels), location="bottom", shrink=0.3, aspect=45, pad=0.02
        )
        bar.set_label("label; larger dots are coarser levels", color=DIM)
        bar.ax.tick_params(colors=DIM)
        bar.outline.set_visible(False)
        if title:
            fig.suptitle(title, x=0.012, ha="left", color=PALE, fontsize=15, fontweight="bold")
    return fig


def _panel(
    panel: Axes, image: UInt8[Tensor, "3 H W"], points: Points, truth: GroundTruth, assignment: Assignment
) -> None:
    height, width = image.shape[1:]
    grey = (image.float() / 255 * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=0)
    panel.imshow(grey.numpy() * 0.5, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
    for x1, y1, x2, y2 in truth.boxes[~truth.ignore].tolist():
        panel.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec="white", lw=1.0, alpha=0.75))
    # Coarse levels first, so that small dots stay visible; strong labels last.
    order = (assignment.score - 10 * points.level[assignment.point]).argsort()
    at, level = points.xy[assignment.point[order]], points.level[assignment.point[order]]
    size = 9.0 * 2.2 ** level.float()
    panel.scatter(
        at[:, 0].numpy(),
        at[:, 1].numpy(),
        s=size.numpy(),  # pyright: ignore[reportArgumentType]
        c=assignment.score[order].numpy(),
        cmap=HEAT,
        vmin=0,
        vmax=1,
        edgecolors=NIGHT,
        linewidths=0.4,
        alpha=0.95,
    )
    panel.set(xlim=(0, width), ylim=(height, 0))
