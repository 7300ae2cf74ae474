"""Curves of a run, precision against recall, and the confusion matrix, as matplotlib figures.

They are made from what a run leaves in its folder, `metrics.csv` and `results.json`, so that they can be made
again at any time.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from dsla.report.style import FAINT, GRID, INK, LINES, figure

_SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", "#BFD9EC", "#4E9ACB", "#0B4F82"])
_AP = (("val/AP", "AP"), ("val/AP50", "AP50"), ("val/AP75", "AP75"))
_LOSS = "train/loss"


def read_metrics(path: str | Path) -> dict[str, tuple[list[float], list[float]]]:
    """Columns of a `metrics.csv` as (epochs, values); empty and unreadable cells are left out.

    The horizontal value is the column `epoch`, else `step`, else the row's number.
    """
    series: dict[str, tuple[list[float], list[float]]] = {}
    with Path(path).open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            at = next((x for key in ("epoch", "step") if (x := _number(row.get(key))) is not None), float(number))
            for name, cell in row.items():
                value = _number(cell)
                if value is not None:
                    xs, ys = series.setdefault(name, ([], []))
                    xs.append(at)
                    ys.append(value)
    return series


def plot_curves(metrics: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Loss terms beside AP on the validation pictures, by epoch; one panel where only one is there."""
    losses = [name for name in metrics if name.startswith(_LOSS) and not name.endswith("_step")]
    losses.sort(key=lambda name: (name != _LOSS, name))
    aps = [(name, label) for name, label in _AP if name in metrics]
    with figure(4.8 * max(1, bool(losses) + bool(aps)), 3.6) as fig:
        panels = list(np.atleast_1d(fig.subplots(1, max(1, bool(losses) + bool(aps)))))
        if losses:
            _loss_panel(panels[0], losses, metrics)
        if aps:
            _ap_panel(panels[-1], aps, metrics)
        if not losses and not aps:
            panels[0].text(0.5, 0.5, "nothing logged yet", ha="center", color=FAINT)
            panels[0].set_axis_off()
    return fig


def _loss_panel(
    axes: Axes, names: Sequence[str], metrics: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> None:
    terms = iter(LINES)
    for name in names:
        xs, ys = metrics[name]
        label = name.removeprefix("train/loss").strip("_") or "sum"
        color, width = (INK, 2.4) if name == _LOSS else (next(terms), 1.8)
        axes.plot(xs, ys, color=color, lw=width, marker=_marker(xs), label=f"{label}  {ys[-1]:.3g}")
    axes.set_title("Training loss")
    axes.set_ylim(bottom=0)
    _epochs(axes)
    axes.legend(loc="upper right")


def _ap_panel(
    axes: Axes,
    names: Sequence[tuple[str, str]],
    metrics: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> None:
    for color, (name, label) in zip(LINES, names, strict=False):
        xs, ys = metrics[name]
        best = int(np.argmax(ys))
        axes.plot(xs, ys, color=color, marker=_marker(xs), label=f"{label}  best {100 * ys[best]:.1f}")
        axes.plot(xs[best], ys[best], "o", color=color, ms=7, mec="white", mew=1.5)
    axes.set_title("Average precision on validation pictures")
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    _epochs(axes)
    axes.legend(loc="lower right")


def plot_precision_recall(curves: Mapping[str, Any], per_class: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Precision against recall for all classes, beside each class at IoU .5 (of many, AP50 of the hardest).

    Args:
        curves: `precision_recall` of an evaluation.
        per_class: `per_class` of the same.
    """
    with figure(9.6, 4.3) as fig:
        left, right = fig.subplots(1, 2)
        labels = {"0.50": "IoU .50", "0.75": "IoU .75", "0.50:0.95": "IoU .50:.95"}
        for color, (iou, precision) in zip(LINES, curves["mean"].items(), strict=False):
            area = 100 * float(np.mean(precision))
            left.plot(curves["recall"], precision, color=color, label=f"{labels.get(iou, iou)}  {area:.1f}")
        left.set_title("All classes, with AP")
        _unit_square(left)
        ranked = sorted(per_class, key=lambda name: -(per_class[name]["AP50"] or 0))
        if len(ranked) <= len(LINES):
            for color, name in zip(LINES, ranked, strict=False):
                label = f"{_short(name)}  {100 * (per_class[name]['AP50'] or 0):.1f}"
                right.plot(curves["recall"], curves["per_class"][name], color=color, label=label)
            right.set_title("Each class at IoU .50, with AP50")
            _unit_square(right)
        else:
            _hardest(right, ranked, per_class)
    return fig


def _unit_square(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    if axes.lines:
        axes.legend(loc="lower left", handlelength=1.4)


def _hardest(axes: Axes, ranked: Sequence[str], per_class: Mapping[str, Mapping[str, Any]]) -> None:
    worst = ranked[-15:]
    values = [100 * (per_class[name]["AP50"] or 0) for name in worst]
    axes.barh(range(len(worst)), values, color=LINES[0], height=0.62)
    for row, (name, value) in enumerate(zip(worst, values, strict=True)):
        text = f"{value:.1f}  ({per_class[name]['boxes']} boxes)"
        axes.annotate(text, (value, row), (4, 0), textcoords="offset points", va="center", fontsize=8, color=FAINT)
    axes.set_yticks(range(len(worst)), [_short(name) for name in worst], fontsize=9)
    axes.set(xlim=(0, 100), xlabel="AP50")
    axes.grid(visible=False, axis="y")
    axes.set_title(f"The {len(worst)} hardest of {len(ranked)} classes")


def plot_confusion(confusion: Mapping[str, Any], limit: int = 25) -> Figure:
    """The confusion matrix: each row a true class, coloured by share of the row, numbers where there is room.

    Args:
        confusion: `confusion` of an evaluation.
        limit: with more classes, the ones with the most true boxes.
    """
    counts = np.asarray(confusion["matrix"], dtype=np.int64)  # (C + 1, C + 1)
    names = list(confusion["class_names"])
    title = f"Confusion at IoU {confusion['iou']:g}, score {confusion['score']:g}"
    share = counts / counts.sum(axis=1, keepdims=True).clip(1)
    if len(names) > limit:
        title += f" (the {limit} most frequent of {len(names)} classes)"
        chosen = sorted(np.argsort(-counts[:-1].sum(axis=1), kind="stable")[:limit].tolist())
        square = np.ix_([*chosen, -1], [*chosen, -1])
        counts, share, names = counts[square], share[square], [names[k] for k in chosen]
    side = 2.6 + 0.42 * len(counts) if len(counts) < 8 else 2.2 + 0.38 * len(counts)
    with figure(max(side, 4.6) + 0.4, max(side, 4.6)) as fig:
        axes = fig.subplots()
        axes.imshow(share, cmap=_SHADES, vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set_xticks(np.arange(len(counts) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(counts) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=GRID, lw=0.6)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        ticks = range(len(counts))
        axes.set_xticks(ticks, [*map(_short, names), "missed"], rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, [*map(_short, names), "nothing there"])
        for row, column in zip(*np.nonzero(counts), strict=True):
            ink = "white" if share[row, column] > 0.55 else INK
            size = 9 if len(counts) <= 12 else 7
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=size)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(title)
    return fig


def _epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.margins(x=0.03)


def _marker(xs: Sequence[float]) -> str:
    return "o" if len(xs) == 1 else ""


def _short(name: str, length: int = 18) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _number(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None
