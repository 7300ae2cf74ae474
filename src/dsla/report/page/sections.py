"""What the parts of a page show, made from the facts of a run; no markup but the charts'."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from markupsafe import Markup

from dsla.analysis import FIGURES
from dsla.analysis.tide import KINDS
from dsla.report.page.charts import COLOURS, Axis, Line, bars, density_chart, line_chart
from dsla.report.page.facts import RunFacts

HEAD = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")
_RECALL, _PRECISION = Axis("recall", 0.0, 1.0), Axis("precision", 0.0, 1.02)
_CONFUSED = 25
_MEAN = {"0.50": "IoU .50", "0.75": "IoU .75", "0.50:0.95": "IoU .50:.95"}


def percent(value: float | None) -> str:
    """A fraction in percent with one digit; a dash for none."""
    return "–" if value is None else f"{100 * value:.1f}"


def clock(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def data_name(run: RunFacts) -> str:
    """What the data are called; where they lay on one machine is nobody's business."""
    return Path(str(run.results.get("data", "unknown data"))).name


def protocol(results: Mapping[str, Any]) -> str:
    """How the AP was made, in a line."""
    told = results.get("protocol")
    if not told:
        return ""
    counts = told["counts"]
    return (
        f"COCO protocol: IoU .50:.05:.95, at most {told['max_detections'][-1]} boxes a picture, crowds ignored; "
        f"{counts['pictures']} pictures, {counts['boxes']} boxes, {counts['classes']} classes; "
        f"{told['implementation']}. The model of the best epoch, which was chosen on these pictures."
    )


def training_charts(run: RunFacts) -> list[tuple[str, Markup]]:
    """Losses and AP by epoch."""
    charts: list[tuple[str, Markup]] = []
    epoch = _epochs([run])
    losses = [name for name in run.metrics if name.startswith("train/loss") and not name.endswith("_step")]
    losses.sort(key=lambda name: (name != "train/loss", name))
    if losses:
        names = {name: name.removeprefix("train/loss").strip("_") or "sum" for name in losses}
        lines = [Line(f"{names[name]} {run.metrics[name][1][-1]:.3g}", *run.metrics[name]) for name in losses]
        charts.append(("Training loss", line_chart(lines, epoch, Axis("loss", 0.0), label="Training loss by epoch")))
    aps = [name for name in ("val/AP", "val/AP50", "val/AP75") if name in run.metrics]
    if aps:
        lines = [Line(f"{n[4:]} best {percent(max(run.metrics[n][1]))}", *run.metrics[n]) for n in aps]
        charts.append(
            (
                "AP on validation pictures",
                line_chart(lines, epoch, Axis("%", 0.0, 1.0, percent=True), label="AP by epoch"),
            )
        )
    return charts


def precision_recall_charts(run: RunFacts) -> list[tuple[str, Markup]]:
    """Precision against recall: the mean of classes by IoU, and each class at IoU .5 where they are few."""
    curves, per_class = run.results.get("precision_recall"), run.results.get("per_class")
    if not curves or not curves.get("mean") or not per_class:
        return []
    mean = [Line(f"{_MEAN.get(iou, iou)}  {percent(float(np.mean(ys)))}", curves["recall"], ys)
            for iou, ys in curves["mean"].items()]  # fmt: skip
    charts = [("Precision and recall, all classes", line_chart(mean, _RECALL, _PRECISION, label="Precision by recall"))]
    ranked = sorted(per_class, key=lambda name: -(per_class[name]["AP50"] or 0))
    shown = ranked if len(ranked) <= COLOURS else ranked[-COLOURS:]
    title = "Each class at IoU .50" if shown == ranked else f"The {COLOURS} hardest classes at IoU .50"
    lines = [Line(f"{n}  {percent(per_class[n]['AP50'])}", curves["recall"], curves["per_class"][n]) for n in shown]
    charts.append((title, line_chart(lines, _RECALL, _PRECISION, label="Precision by recall of each class")))
    return charts


def class_rows(run: RunFacts) -> list[dict[str, Any]]:
    """Figures of each class, hardest first."""
    per_class = run.results.get("per_class") or {}
    analysed = run.analysis.measures.by_class if run.analysis else {}
    rows = [
        {
            "name": name,
            "boxes": row["boxes"],
            "figures": [percent(row[key]) for key in ("AP", "AP50", "AP75")],
            "ap": row["AP"] or 0.0,
            "best": analysed.get(name, {}).get("best_score"),
        }
        for name, row in per_class.items()
    ]
    return sorted(rows, key=lambda row: row["ap"])


def confusion(run: RunFacts) -> dict[str, Any] | None:
    """Counts with their share of the row; the most frequent classes where there are many."""
    told = run.results.get("confusion")
    if not told or not told.get("matrix"):
        return None
    counts, names = np.asarray(told["matrix"], dtype=np.int64), list(told["class_names"])
    share = counts / counts.sum(axis=1, keepdims=True).clip(1)
    of = len(names)
    if of > _CONFUSED:
        chosen = sorted(np.argsort(-counts[:-1].sum(axis=1), kind="stable")[:_CONFUSED].tolist())
        square = np.ix_([*chosen, -1], [*chosen, -1])
        counts, share, names = counts[square], share[square], [names[k] for k in chosen]
    rows = [
        {"name": name, "cells": [{"count": int(n), "share": float(s)} for n, s in zip(*pair, strict=True)]}
        for name, *pair in zip([*names, "nothing there"], counts, share, strict=True)
    ]
    return {"names": [*names, "missed"], "rows": rows, "iou": told["iou"], "score": told["score"], "of": of}


def ranking_chart(run: RunFacts) -> Markup | None:
    """Scores against overlaps, before NMS."""
    if run.analysis is None:
        return None
    cells = run.analysis.measures.density.astype(np.float64)
    middles = 0.5 + (np.arange(cells.shape[1]) + 0.5) / (2 * cells.shape[1])
    coarse = cells.reshape(-1, 2, cells.shape[1]).sum(axis=1)
    enough = coarse.sum(axis=1) >= 5
    at = (np.flatnonzero(enough) + 0.5) / len(coarse)
    mean = Line(
        "mean IoU at this score", at.tolist(), ((coarse @ middles)[enough] / coarse.sum(axis=1)[enough]).tolist()
    )
    label = "Boxes before NMS by score and IoU with the best true box"
    return density_chart(cells, mean, Axis("score", 0.0, 1.0), Axis("IoU with the best true box", 0.5, 1.0), label)


def calibration_chart(runs: Sequence[RunFacts]) -> Markup | None:
    """Share of hits against the mean score, a line a run."""
    lines: list[Line] = []
    for run in runs:
        if run.analysis is not None:
            n, scores, hits = run.analysis.measures.reliability.T
            some = n > 0
            ece = FIGURES["dece"].text(run.analysis.measures.values["dece"])
            name = f"{run.name}  D-ECE {ece}" if len(runs) > 1 else f"D-ECE {ece}"
            lines.append(Line(name, (scores[some] / n[some]).tolist(), (hits[some] / n[some]).tolist(), dots=True))
    if not any(line.xs for line in lines):
        return None
    x, y = Axis("mean score", 0.0, 1.0), Axis("share of hits", 0.0, 1.0)
    return line_chart(lines, x, y, diagonal=True, label="Share of hits by score")


def error_bars(run: RunFacts) -> Markup | None:
    """AP50 to be won by repairing one kind of error."""
    if run.analysis is None:
        return None
    gain = run.analysis.measures.tide["gain"]
    ordered = sorted(KINDS, key=lambda kind: -gain[kind])
    return bars([(KINDS[kind], max(gain[kind], 0.0), f"{100 * gain[kind]:.1f}") for kind in ordered])


def measure_rows(runs: Sequence[RunFacts]) -> list[dict[str, Any]]:
    """Figures of the analysis, a row a figure, a column a run."""
    known = [run.analysis.measures.values if run.analysis else {} for run in runs]
    return [
        {
            "name": figure.title,
            "group": figure.group,
            "order": list(dict.fromkeys(each.group for each in FIGURES.values())).index(figure.group),
            "better": {"higher": "↑", "lower": "↓", None: ""}[figure.better],
            "values": [figure.text(values.get(name)) for values in known],
        }
        for name, figure in FIGURES.items()
        if any(name in values for values in known)
    ]


def settings_text(run: RunFacts) -> str:
    """Every setting as YAML, the data by their name."""
    config = {**run.results.get("config", {})}
    if config.get("data"):
        config["data"] = {**config["data"], "path": data_name(run)}
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True) if config else ""


def different_settings(runs: Sequence[RunFacts]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all runs, by their path."""
    flat = [_flat(run.results.get("config", {})) | {"data.path": data_name(run)} for run in runs]
    paths = list(dict.fromkeys(path for each in flat for path in each))
    return [
        (path, [str(each.get(path, "–")) for each in flat])
        for path in paths
        if len({str(each.get(path)) for each in flat}) > 1
    ]


def shared_ap_chart(runs: Sequence[RunFacts]) -> Markup | None:
    """AP by epoch, a line a run."""
    lines = [Line(run.name, *run.metrics["val/AP"]) for run in runs if "val/AP" in run.metrics]
    if not lines:
        return None
    top = 1.08 * max(max(line.ys) for line in lines)
    return line_chart(lines, _epochs(runs), Axis("AP, %", 0.0, top, percent=True), label="AP by epoch of each run")


def shared_recall_chart(runs: Sequence[RunFacts]) -> Markup | None:
    """Precision against recall at IoU .5, mean of classes, a line a run."""
    lines = [
        Line(run.name, curves["recall"], curves["mean"]["0.50"])
        for run in runs
        if (curves := run.results.get("precision_recall")) and curves.get("mean")
    ]
    return line_chart(lines, _RECALL, _PRECISION, label="Precision by recall at IoU .5") if lines else None


def _epochs(runs: Sequence[RunFacts]) -> Axis:
    """From the first epoch to the last of any run, however few of them were evaluated."""
    last = max((max(xs) for run in runs for xs, _ in run.metrics.values()), default=1.0)
    return Axis("epoch", 1.0, max(last, 2.0), whole=True)


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return flat
