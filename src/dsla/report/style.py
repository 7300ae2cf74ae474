"""One look for all figures: calm, light, and with colours that colour-blind people tell apart."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

INK, FAINT, PAPER, GRID = "#1F2933", "#66727F", "#FFFFFF", "#E5E9EE"
# Okabe and Ito (2008), darkened where they would be too pale on white.
LINES = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#AA3377",
    "#C98A00",
    "#3FA0D8",
    "#6A5ACD",
    "#8C6D46",
    "#5B8C2A",
    "#B0457B",
)

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": "#B8C1CB",
    "axes.labelcolor": FAINT,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
}
DPI = 150


@contextmanager
def figure(width: float, height: float) -> Generator[Figure]:
    """An empty figure of this size in inches; what is drawn on it inside the block has the common look."""
    with matplotlib.rc_context(STYLE):
        yield Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure; the suffix of the path decides the format, and its folder is made where missing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
