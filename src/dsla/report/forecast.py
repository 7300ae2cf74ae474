"""One figure of a forecast: which boxes get how many points, where they lie, and what other settings would bring."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from dsla.report.style import FAINT, INK, PAPER, figure

# From trouble to plenty; lightness tells them apart in grey too.
KINDS = {
    "lost": ("lost by resizing", "#7A1F1F"),
    "0": ("no point", "#D55E00"),
    "1": ("1", "#F4C58A"),
    "2-4": ("2 to 4", "#A9CFE8"),
    "5+": ("5 or more", "#0072B2"),
}
FINE = 0.05  # share of boxes out of reach that the recommendation lets pass
_BEHIND = {"fc": PAPER, "ec": "none", "pad": 1.2}
_HEAT = LinearSegmentedColormap.from_list("levels", ["#FFFFFF", "#BFD9EC", "#4E9ACB", "#0B4F82"])


def plot_forecast(told: Mapping[str, Any]) -> Figure:
    """Points by size and level, classes in trouble, and the other ways by cost.

    Args:
        told: what `dsla.lab.forecast.Forecast.to_json` makes.
    """
    rows = [(name, group) for name, group in told["by_size"].items() if group["boxes"]]
    classes = _troubled(told)
    if not rows:
        with figure(6.0, 1.5) as fig:
            fig.text(0.5, 0.5, "no boxes, so there is nothing to forecast", ha="center", va="center", color=FAINT)
        return fig
    with figure(13.2, 5.6) as fig:
        panels = fig.subplots(1, 3, width_ratios=(1.75, 0.8, 1.45))
        _sizes(panels[0], rows)
        _levels(panels[1], rows, told["levels"])
        _ways(panels[2], told)
        cover = "without coverage, which lends one to boxes that have none" if told["cover"] else "without coverage"
        fig.suptitle(
            f"{told['boxes']:,} boxes, {told['assigner']} at {told['imgsz']} px",
            x=0.008, ha="left", fontsize=15, fontweight="bold",
        )  # fmt: skip
        fig.supxlabel(_below(told, cover, classes), x=0.008, ha="left", fontsize=9.5, color=FAINT)
    return fig


def _below(told: Mapping[str, Any], cover: str, classes: Sequence[tuple[str, float, int]]) -> str:
    changes = " ".join(told["recommendation"]["changes"]) or "leave the settings as they are"
    lines = [f"Points are counted {cover}.", f"Recommended: {changes}. {told['recommendation']['reasons'][0]}"]
    if classes:
        worst = ", ".join(f"{_short(name)} {100 * share:.0f} % of {boxes:,}" for name, share, boxes in classes[:6])
        lines.insert(1, f"No point of their own, by class: {worst}.")
    return "\n".join(lines)


def _sizes(axes: Axes, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """A bar a size, divided by the points that its boxes get; the number of boxes beside it."""
    left = np.zeros(len(rows))
    for kind, (label, color) in KINDS.items():
        width = np.array([group["shares_without_coverage"][kind] for _, group in rows])
        if kind == "lost" and not width.any():
            continue
        axes.barh(range(len(rows)), width, left=left, height=0.74, color=color, label=label, ec=PAPER, lw=0.8)
        for row, share in enumerate(width):
            if share >= 0.07:
                ink = "white" if kind in ("lost", "0", "5+") else INK
                at = left[row] + share / 2
                axes.text(at, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8.5, color=ink)
        left += width
    total = sum(group["boxes"] for _, group in rows)
    for row, (_, group) in enumerate(rows):
        text = f"{group['boxes']:,}  ({100 * group['boxes'] / total:.0f} %)"
        axes.text(1.02, row, text, va="center", fontsize=8.5, color=FAINT)
    axes.set_yticks(range(len(rows)), [f"{name.replace('-', ' to ')} px" for name, _ in rows])
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    axes.tick_params(axis="y", labelcolor=INK)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title("Points a box gets, by its size as the network sees it")
    axes.set_xlabel("% of the boxes of that size; their number at the right")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=5, handlelength=0.9, columnspacing=1.2)


def _levels(axes: Axes, rows: Sequence[tuple[str, Mapping[str, Any]]], levels: Sequence[int]) -> None:
    """Where the points of each size lie."""
    share = np.array([group["points_by_level"] for _, group in rows])
    axes.imshow(share, cmap=_HEAT, vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(share >= 0.005), strict=True):
        ink = "white" if share[row, column] > 0.55 else INK
        axes.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", fontsize=8.5, color=ink)
    axes.set_xticks(range(len(levels)), [f"P{level}" for level in levels])
    axes.set_yticks([])
    axes.set_xticks(np.arange(len(levels) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color=PAPER, lw=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("Levels they lie on, %")
    axes.set_xlabel("coarser to the right")


def _ways(axes: Axes, told: Mapping[str, Any]) -> None:
    """A bar a way: boxes out of reach; its cost beside it."""
    recommended = tuple(told["recommendation"][key] for key in ("imgsz", "levels", "tile"))
    chosen = told["variants"][0]
    rows = sorted(told["variants"], key=lambda v: (v["tile"] or 0, -v["levels"][0], v["imgsz"]))
    most = max(*(row["out_of_reach"] for row in rows), 1.6 * FINE)
    for place, row in enumerate(rows):
        best = (row["imgsz"], row["levels"], row["tile"]) == recommended
        share, strong = row["out_of_reach"], best or row is chosen
        axes.barh(place, share, height=0.62, color=KINDS["0"][1] if share > FINE else KINDS["2-4"][1])
        word = " recommended" if best else " chosen" if row is chosen else ""
        axes.annotate(
            f"{100 * share:.1f}{word}", (share, place), (5, 0), textcoords="offset points", va="center",
            fontsize=9, color=INK, fontweight="bold" if strong else "normal", bbox=_BEHIND,
        )  # fmt: skip
        axes.text(1.5 * most, place, f"{row['cost']:.2g}x", ha="right", va="center", fontsize=9, color=FAINT)
    axes.text(1.5 * most, -0.75, "cost", ha="right", va="center", fontsize=9, color=FAINT)
    axes.axvline(FINE, color=FAINT, lw=0.9, ls=(0, (4, 4)), zorder=0.5)
    axes.set_yticks(range(len(rows)), [f"{row['name']}, P{row['levels'][0]}" for row in rows])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set(xlim=(0, 1.5 * most), ylim=(len(rows) - 0.5, -1.1))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="", decimals=0))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title("Boxes out of reach in other ways, %")
    axes.set_xlabel(f"cost: computation, times the chosen; line: {100 * FINE:.0f} %")


def _troubled(told: Mapping[str, Any]) -> list[tuple[str, float, int]]:
    """Name, share without a point of its own, and boxes of classes, those that lose most boxes first."""
    rows: list[tuple[str, float, int]] = []
    for name, group in told["by_class"].items():
        own = group["shares_without_coverage"]
        if own["lost"] + own["0"] > 0:
            rows.append((name, own["lost"] + own["0"], group["boxes"]))
    return sorted(rows, key=lambda row: (-row[1] * row[2], row[0]))


def _short(name: str, length: int = 18) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
