"""Figures of an analysis: what scores say of overlaps, what NMS costs, neighbours, and calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from dsla.report.style import FAINT, INK, LINES, figure

SHADES = LinearSegmentedColormap.from_list("shades", ["#D6E6F2", "#7FB3D9", "#2B7BB9", "#0B4F82", "#052B4A"])
_COLUMNS = 3
_LABELS = {"own": "own labels", "hard": "hard labels", "dsla": "DSLA's labels"}


def plot_score_iou(models: Sequence[Mapping[str, Any]]) -> Figure:
    """Boxes by score and overlap with the object, a panel a model, with the mean overlap at each score.

    Args:
        models: of a summary: `label`, `density` (boxes by score in 0 to 1 and IoU in .5 to 1), `figures`.
    """
    columns = min(_COLUMNS, len(models))
    rows = -(-len(models) // columns)
    with figure(3.6 * columns + 0.8, 3.1 * rows + 0.4) as fig:
        panels = fig.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten()
        top = max(*(float(np.max(model["density"])) for model in models), 2.0)
        for panel, model in zip(panels, models, strict=False):
            _density(panel, np.asarray(model["density"], dtype=np.float64), top)
            before = model["figures"].get("spearman_before") or model["figures"].get("spearman")
            known = before and before["mean"] is not None
            panel.set_title(_short(model["label"]) + (f"   Spearman {before['mean']:.2f}" if known else ""))
        for panel in panels[len(models) :]:
            panel.set_visible(False)
        fig.supxlabel("score", color=FAINT, fontsize=10)
        fig.supylabel("IoU with the best true box", color=FAINT, fontsize=10)
    return fig


def plot_neighbours(models: Sequence[Mapping[str, Any]]) -> Figure:
    """Mean difference of scores by difference of labels between neighbours, a panel a kind of labels, a line a model.

    Args:
        models: of a summary, those that have `neighbours`.
    """
    with figure(3.5 * len(_LABELS) + 0.6, 3.5) as fig:
        panels = fig.subplots(1, len(_LABELS), sharey=True)
        middles = (np.arange(20) + 0.5) / 20
        for panel, (name, title) in zip(panels, _LABELS.items(), strict=True):
            panel.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=(0, (4, 3)))
            panel.axvspan(0.5, 1, color="#EEF1F5", zorder=0)
            for number, model in enumerate(models):
                cells = np.asarray(model["neighbours"][name], dtype=np.float64)  # (dy, ds)
                count = cells.sum(axis=1)
                enough = count >= max(5, 0.001 * count.sum())
                mean = (cells @ middles)[enough] / count[enough]
                color, b = LINES[number % len(LINES)], model["figures"][f"shortfall_{name}"]["mean"]
                told = "" if b is None else f"  B {b:.2f}"
                panel.plot(middles[enough], mean, color=color, marker="o", ms=3.5, label=_short(model["label"]) + told)
            panel.set_title(title)
            panel.set(xlim=(0, 1), ylim=(0, 1), xlabel="difference of labels")
            panel.legend(loc="upper left", fontsize=8)
        panels[0].set_ylabel("mean difference of scores")
    return fig


def plot_intervals(models: Sequence[Mapping[str, Any]], names: Sequence[tuple[str, str]]) -> Figure:
    """Means with intervals, a panel a figure, a row a model.

    Args:
        models: of a summary.
        names: figures that are shares, and what to write above each.
    """
    with figure(3.1 * len(names) + 1.2, 0.42 * len(models) + 1.3) as fig:
        panels = np.atleast_1d(fig.subplots(1, len(names), sharey=True))
        for panel, (name, title) in zip(panels, names, strict=True):
            for row, model in enumerate(models):
                told = model["figures"].get(name)
                if told is not None and told["mean"] is not None:
                    _whisker(panel, row, told, LINES[row % len(LINES)])
            panel.set_title(title, fontsize=10)
            panel.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
            panel.grid(visible=False, axis="y")
            panel.set_xlim(left=min(0, panel.get_xlim()[0]))
            panel.locator_params(axis="x", nbins=5)
        panels[0].set_yticks(range(len(models)), [_short(model["label"]) for model in models])
        panels[0].set_ylim(len(models) - 0.5, -0.5)
        panels[0].tick_params(axis="y", labelcolor=INK)
    return fig


def plot_reliability(models: Sequence[Mapping[str, Any]]) -> Figure:
    """Share of hits at each score, a line a model, over the boxes that would be used.

    Args:
        models: of a summary: `label`, `reliability` (boxes, sum of scores, hits by bin), `figures`.
    """
    with figure(7.0, 4.2) as fig:
        axes = fig.subplots()
        axes.set_box_aspect(1)
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=(0, (4, 3)))
        for number, model in enumerate(models):
            n, scores, hits = np.asarray(model["reliability"], dtype=np.float64).T
            some = n > 0
            color, ece = LINES[number % len(LINES)], model["figures"]["dece"]["mean"]
            told = "" if ece is None else f"  D-ECE {100 * ece:.1f}"
            axes.plot(scores[some] / n[some], hits[some] / n[some], color=color, label=_short(model["label"]) + told)
            sizes = 90 * n[some] / max(n.max(), 1)
            axes.scatter(scores[some] / n[some], hits[some] / n[some], s=10 + sizes, color=color, zorder=3)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="mean score", ylabel="share of hits at IoU .5")
        axes.set_title("Calibration; larger dots are more boxes")
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


def analysis_figures(summary: Mapping[str, Any]) -> dict[str, Figure]:
    """All figures that a summary gives, by the name of their file."""
    models = summary["models"]
    figures = {"score_iou.png": plot_score_iou(models), "reliability.png": plot_reliability(models)}
    labelled = [model for model in models if model["neighbours"]]
    if labelled:
        figures["neighbours.png"] = plot_neighbours(labelled)
    suppressed = [model for model in models if "better_suppressed" in model["figures"]]
    if suppressed:
        shown = (
            ("better_suppressed", "better box suppressed"),
            ("better_suppressed_05", "... by more than .05 of IoU"),
            ("iou_lost", "IoU lost, mean"),
        )
        figures["suppression.png"] = plot_intervals(suppressed, shown)
    gaps = (("AP", "AP"), ("oracle_before", "oracle gap before NMS"), ("oracle_after", "oracle gap after NMS"))
    figures["oracle.png"] = plot_intervals(models, gaps)
    return figures


def _density(panel: Axes, cells: Float64[np.ndarray, "s i"], top: float) -> None:
    """Cells by score and IoU on a logarithmic scale, and the mean IoU over each twentieth of the score."""
    shown = np.ma.masked_equal(cells.T, 0)
    panel.imshow(shown, origin="lower", extent=(0, 1, 0.5, 1), aspect="auto", cmap=SHADES, norm=LogNorm(1, top))
    middles = 0.5 + (np.arange(cells.shape[1]) + 0.5) / (2 * cells.shape[1])
    coarse = cells.reshape(-1, 2, cells.shape[1]).sum(axis=1)  # 25 parts of the score
    enough = coarse.sum(axis=1) >= 5
    mean = (coarse @ middles)[enough] / coarse.sum(axis=1)[enough]
    at = (np.flatnonzero(enough) + 0.5) / len(coarse)
    panel.plot(at, mean, color="white", lw=4)
    panel.plot(at, mean, color=LINES[1], lw=2)
    panel.set(xlim=(0, 1), ylim=(0.5, 1))
    panel.grid(visible=False)


def _whisker(panel: Axes, row: int, told: Mapping[str, Any], color: str) -> None:
    if told["low"] is not None:
        panel.plot([told["low"], told["high"]], [row, row], color=color, lw=2)
    values = [value for value in told["values"] if value is not None]
    if len(values) > 1:
        panel.plot(values, [row] * len(values), "o", color=color, ms=3.5, alpha=0.45, mew=0)
    panel.plot(told["mean"], row, "o", color=color, ms=7, mec="white", mew=1.2, zorder=4)


def _short(name: str, length: int = 22) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
