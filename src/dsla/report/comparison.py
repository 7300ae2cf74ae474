"""Figures of a comparison: AP by assigner with its differences, and AP against the length of training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from dsla.report.style import FAINT, INK, LINES, PAPER, figure

_HIGHER, _LOWER = LINES[0], LINES[1]
_THREAD = {"arrowstyle": "-", "alpha": 0.45, "lw": 0.8, "shrinkA": 1, "shrinkB": 4, "relpos": (0, 0.5)}
_TICK_RATIO = 1.3


def plot_comparison(summary: Mapping[str, Any]) -> Figure:
    """AP of each seed and its mean beside the paired difference to the first assigner, in the order given.

    Args:
        summary: what `dsla.lab.summary.summarise` makes.

    Blue: higher than the first beyond the 95 % interval. Orange: lower. Grey: not told apart.
    """
    rows = summary["rows"]
    differences = {row["assigner"]: row for row in summary["differences"]}
    colors = [_color(differences.get(row["assigner"])) for row in rows]
    with figure(9.2, 1.5 + 0.36 * len(rows)) as fig:
        left, right = fig.subplots(1, 2, sharey=True, width_ratios=(1, 1.15))
        for place, (row, color) in enumerate(zip(rows, colors, strict=True)):
            _seeds(left, place, row["figures"]["AP"], color)
            _difference(right, place, differences.get(row["assigner"]), color)
        left.set_yticks(range(len(rows)), [row["assigner"] for row in rows])
        left.set_ylim(len(rows) - 0.4, -0.6)
        left.tick_params(axis="y", labelcolor=INK)
        left.set_title("AP: each seed, and the mean")
        right.set_title(f"Difference to {summary['reference']}, 95 % interval")
        right.axvline(0, color=INK, lw=1, zorder=1)
        for axes in (left, right):
            axes.grid(visible=False, axis="y")
            axes.spines["left"].set_visible(False)
            axes.margins(x=0.08)
        left.set_xlabel("AP, %")
        right.set_xlabel("points of AP; grey: not told apart")
        if len(summary["seeds"]) == 1:
            right.set_xlabel("points of AP; one seed: pictures alone vary")
    return fig


def plot_lengths(curves: Sequence[Mapping[str, Any]]) -> Figure:
    """AP against training steps, a line an assigner, a panel a data set; the band is mean ± standard deviation.

    Args:
        curves: `data`, `assigner`, `steps`, and `values`, the AP of each seed as fractions; one a point of a line.
    """
    panels = list(dict.fromkeys(curve["data"] for curve in curves))
    names = list(dict.fromkeys(curve["assigner"] for curve in curves))
    with figure(1.0 + 5.0 * max(len(panels), 1), 4.2) as fig:
        for axes, data in zip(np.atleast_1d(fig.subplots(1, max(len(panels), 1))), panels, strict=False):
            ends: list[tuple[float, str, str]] = []
            for number, name in enumerate(names):
                points = sorted(
                    (curve["steps"], curve["values"])
                    for curve in curves
                    if curve["data"] == data and curve["assigner"] == name
                )
                if points:
                    color = LINES[number % len(LINES)]
                    ends.append((_line(axes, points, color), name, color))
            axes.set_title(data)
            _length_axis(axes, sorted({curve["steps"] for curve in curves if curve["data"] == data}))
            _label_ends(axes, ends)
            axes.set_ylabel("AP, %")
    return fig


def _color(difference: Mapping[str, Any] | None) -> str:
    """Of a row: by its verdict; the first one is ink."""
    if difference is None:
        return INK
    ap = difference["figures"].get("AP")
    if ap is None or len(difference["seeds"]) < 2:
        return FAINT
    return _HIGHER if ap["low"] > 0 else _LOWER if ap["high"] < 0 else FAINT


def _seeds(axes: Axes, place: int, ap: Mapping[str, Any], color: str) -> None:
    if ap["mean"] is None:
        return
    values = [100 * value for value in ap["values"] if value is not None]
    axes.plot([min(values), max(values)], [place, place], color=color, lw=1.2, alpha=0.45, zorder=2)
    axes.plot(values, [place] * len(values), "o", color=color, ms=4.5, alpha=0.45, mew=0, zorder=3)
    axes.plot(100 * ap["mean"], place, "|", color=color, ms=15, mew=2.2, zorder=4)
    axes.annotate(
        f"{100 * ap['mean']:.1f}", (100 * ap["mean"], place), (0, 7), textcoords="offset points",
        ha="center", va="bottom", fontsize=8, color=color,
    )  # fmt: skip


def _difference(axes: Axes, place: int, row: Mapping[str, Any] | None, color: str) -> None:
    if row is None:
        axes.plot(0, place, "D", color=INK, ms=5.5, zorder=4)
        return
    ap = row["figures"].get("AP")
    if ap is None:
        axes.text(
            1.17, place, "no seed in common", transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=FAINT
        )
        return
    low, high, middle = (100 * ap[key] for key in ("low", "high", "difference"))
    axes.plot([low, high], [place, place], color=color, lw=2, zorder=2)
    axes.plot(middle, place, "o", color=color, ms=7, mec=PAPER, mew=1.2, zorder=4)
    for text, at, size in ((_signed(middle), 1.14, 9.5), (f"{_signed(low)} to {_signed(high)}", 1.17, 8)):
        axes.text(
            at, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=size, color=color,
            ha="right" if size > 9 else "left",
        )  # fmt: skip


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−")


def _line(axes: Axes, points: Sequence[tuple[int, Sequence[float]]], color: str) -> float:
    """Draw a line with its band; returns its last value in percent."""
    steps = [step for step, _ in points]
    means = np.array([100 * float(np.mean(values)) for _, values in points])
    spreads = np.array([100 * float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for _, values in points])
    axes.fill_between(steps, means - spreads, means + spreads, color=color, alpha=0.13, lw=0, zorder=2)
    axes.plot(steps, means, color=color, lw=1.9, marker="o", ms=4.5, mec=PAPER, mew=0.8, zorder=3)
    return float(means[-1])


def _length_axis(axes: Axes, steps: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("training steps")
    ticks = [steps[-1]]
    for step in reversed(steps):
        if step * _TICK_RATIO < ticks[-1]:  # numbers nearer than that would touch
            ticks.append(step)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = min(steps), max(steps)
    margin = max((high / low) ** 0.05, 1.05)
    axes.set_xlim(low / margin, high * margin)


def _label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names beside the ends of lines, pushed apart where they would overlap, with a thread to their line."""
    bottom, top = axes.get_ylim()
    least = (top - bottom) * 0.052
    order = sorted(ends)
    places = _apart([value for value, _, _ in order], least, bottom + least / 2, top)
    last = max(line.get_xdata()[-1] for line in axes.get_lines())  # pyright: ignore
    for (value, name, color), place in zip(order, places, strict=True):
        axes.annotate(
            f"{name}  {value:.1f}", (last, value), xytext=(1.07, place), textcoords=axes.get_yaxis_transform(),
            va="center", fontsize=9, color=color, annotation_clip=False,
            arrowprops=_THREAD | {"color": color},
        )  # fmt: skip


def _apart(values: Sequence[float], least: float, bottom: float, top: float) -> list[float]:
    """Ascending values moved as little as is needed to lie `least` apart, within bounds while there is room."""
    groups: list[list[float]] = []  # of neighbours that touch, each laid around its mean
    for value in values:
        groups.append([value])
        while len(groups) > 1 and _span(groups[-2], least)[1] + least > _span(groups[-1], least)[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    places: list[float] = []
    for group in groups:
        start, end = _span(group, least)
        shift = max(bottom - start, 0) - max(end - top, 0)
        places += [start + shift + least * number for number in range(len(group))]
    return places


def _span(group: Sequence[float], least: float) -> tuple[float, float]:
    half = least * (len(group) - 1) / 2
    middle = sum(group) / len(group)
    return middle - half, middle + half
