"""Several models measured on the same pictures, side by side, with intervals.

Every figure is computed on the same draws of pictures for every source, so differences are paired; repetitions of one
thing with several seeds are joined as `statistics` says. AP and the oracle gaps are accumulated anew for every draw.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from dsla.analysis import FIGURES, RANKED, Measures, coco_rows
from dsla.data import DetectionData
from dsla.engine.analyse import Analysis, analyse_model, analyse_results
from dsla.engine.files import write_atomically
from dsla.engine.predictor import load
from dsla.lab.analysis_tables import docs_block
from dsla.lab.resampled_ap import match, resampled_ap
from dsla.lab.sources import Source
from dsla.lab.statistics import LEVEL, draws, interval
from dsla.lab.summary import rounded
from dsla.report.analysis import analysis_figures
from dsla.report.style import save_figure

RESAMPLES = 1000
_FEWEST_DRAWS = 20


@dataclass(frozen=True, eq=False)
class Measured:
    """One source.

    Attributes:
        source: what it is.
        kind: "model", "results" or "results before NMS".
        told: `Measures.to_json()`.
        drawn: each figure on all pictures (first) and on each draw of them; nan where it says nothing.
    """

    source: Source
    kind: str
    told: dict[str, Any]
    drawn: dict[str, Float64[np.ndarray, " W"]]


def measure_sources(
    sources: Sequence[Source],
    data: DetectionData,
    *,
    partial: bool = False,
    nms_iou: float | None = None,
    resamples: int = RESAMPLES,
    batch: int = 8,
    workers: int = 0,
    device: str = "auto",
    tell: Callable[[Source, int], object] = lambda source, done: None,
) -> list[Measured]:
    """Measure one source after the other; the boxes of one are let go before the next.

    Args:
        sources: what to measure.
        data: pictures with true boxes, the same for all.
        partial: they are some of those that files of results were made for.
        nms_iou: files hold boxes before NMS, and this is its threshold.
        resamples: draws of pictures.
        batch, workers, device: how models are run.
        tell: called with a source and how many of its pictures are done.

    Raises:
        DataError: the classes of the pictures are not those of a model, or a file is not about these pictures.
    """
    weights = picture_draws(len(data), resamples)
    measured: list[Measured] = []
    for source in sources:
        if source.is_results:
            analysis = analyse_results(source.path, data, nms_iou=nms_iou, partial=partial)
        else:
            predictor = load(source.path, device)
            analysis = analyse_model(
                predictor, data, batch=batch, workers=workers, progress=lambda done, source=source: tell(source, done)
            )
        measured.append(Measured(source, analysis.kind, analysis.measures.to_json(), _drawn(analysis, weights)))
    return measured


def picture_draws(pictures: int, resamples: int, seed: int = 0) -> Int64[np.ndarray, "I W"]:
    """How often each picture is taken: once in the first column, then at random."""
    weights = np.ones((pictures, resamples + 1), dtype=np.int64)
    if resamples:
        weights[:, 1:] = draws(pictures, resamples, (seed, 0))
    return weights


def side_by_side(
    measured: Sequence[Measured],
    data: DetectionData,
    *,
    name: str,
    split: str,
    of: int | None = None,
    command: str = "",
    seed: int = 0,
) -> dict[str, Any]:
    """All that is to be told, made of plain numbers, lists and dictionaries.

    Args:
        measured: by `measure_sources`; the first one's label is what others are compared with.
        data: the pictures.
        name: of the data.
        split: of them that was looked at.
        of: number of pictures that there are, if only some were looked at.
        command: the shell line that makes this.
        seed: of the draws of seeds.
    """
    labels = tuple(dict.fromkeys(each.source.label for each in measured))
    groups = {label: [each for each in measured if each.source.label == label] for label in labels}
    truth = data.to_coco()
    crowds = sum(bool(entry.get("iscrowd")) for entry in truth["annotations"])
    summary: dict[str, Any] = {
        "reference": labels[0],
        "command": command,
        "data": {
            "name": name,
            "split": split,
            "pictures": len(data),
            "of": of,
            "boxes": len(truth["annotations"]) - crowds,
            "crowds": crowds,
            "classes": len({entry["category_id"] for entry in truth["annotations"] if not entry.get("iscrowd")}),
        },
        "bootstrap": {"resamples": len(next(iter(measured[0].drawn.values()))) - 1, "level": LEVEL},
        "models": [_model(groups[label], groups[labels[0]], len(data), seed) for label in labels],
    }
    return json.loads(json.dumps(rounded(summary)))


def write_analysis(summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `analysis.json`, `analysis.md` and the figures; returns their paths."""
    tree, text = folder / "analysis.json", folder / "analysis.md"
    write_atomically(tree, lambda file: file.write(f"{json.dumps(summary, ensure_ascii=False)}\n".encode()))
    write_atomically(text, lambda file: file.write(docs_block(summary).encode()))
    figures = analysis_figures(summary)
    for name, drawn in figures.items():
        save_figure(drawn, folder / name)
    return [tree, text, *(folder / name for name in figures)]


def _drawn(analysis: Analysis, weights: Int64[np.ndarray, "I W"]) -> dict[str, Float64[np.ndarray, " W"]]:
    measures: Measures = analysis.measures
    drawn = {name: figure.on(weights) for name, figure in measures.sums.items()}
    ap = {
        name: resampled_ap(match(analysis.truth, coco_rows(analysis.truth, found)), weights).mean(axis=0)
        for name, found in measures.ranked.items()
    }
    drawn |= {name: values if (less := RANKED[name]) is None else values - ap[less] for name, values in ap.items()}
    return {name: drawn[name] for name in FIGURES if name in drawn}


def _model(group: Sequence[Measured], first: Sequence[Measured], pictures: int, seed: int) -> dict[str, Any]:
    """What is told of one label."""
    told = [each.told for each in group]
    names = [name for name in FIGURES if all(name in each.drawn for each in group)]
    compared = [] if group is first else [name for name in names if all(name in each.drawn for each in first)]
    return {
        "label": group[0].source.label,
        "kind": group[0].kind,
        "sources": [Path(each.source.path).name for each in group],
        "seeds": [each.source.seed for each in group],
        "figures": {name: _figure([each.drawn[name] for each in group], pictures, seed) for name in names},
        "differences": {name: _difference(name, group, first, pictures, seed) for name in compared},
        "missing": told[0]["missing"],
        "by_class": {
            name: {key: _mean([each["by_class"].get(name, {}).get(key) for each in told]) for key in row}
            for name, row in told[0]["by_class"].items()
        },
        "tide": {
            "AP50": _mean([each["tide"]["AP50"] for each in told]),
            "ece": _mean([each["tide"]["ece"] for each in told]),
            "gain": {kind: _mean([each["tide"]["gain"][kind] for each in told]) for kind in told[0]["tide"]["gain"]},
        },
        "density": np.sum([each["density"] for each in told], axis=0).tolist(),
        "neighbours": {
            name: np.sum([each["neighbours"][name] for each in told], axis=0).tolist() for name in told[0]["neighbours"]
        },
        "reliability": np.sum([each["reliability"] for each in told], axis=0).tolist(),
    }


def _figure(drawn: Sequence[Float64[np.ndarray, " W"]], pictures: int, seed: int) -> dict[str, Any]:
    """Mean over seeds, its interval over pictures and seeds, and the value of each seed."""
    told = _interval(drawn, pictures, seed)
    values = [_finite(float(each[0])) for each in drawn]
    if told is None:
        return {"mean": _mean(values), "low": None, "high": None, "values": values}
    return {"mean": told["difference"], "low": told["low"], "high": told["high"], "values": values}


def _difference(
    name: str, group: Sequence[Measured], first: Sequence[Measured], pictures: int, seed: int
) -> dict[str, Any] | None:
    """Paired difference to the first label, over the seeds that both have; None where there is none."""
    base = {each.source.seed: each.drawn[name] for each in first}
    paired = [each.drawn[name] - base[each.source.seed] for each in group if each.source.seed in base]
    return _interval(paired, pictures, seed) if paired else None


def _interval(drawn: Sequence[Float64[np.ndarray, " W"]], pictures: int, seed: int) -> dict[str, Any] | None:
    values = np.stack(drawn)
    usable = int(np.isfinite(values[:, 1:]).all(axis=0).sum())
    if not np.isfinite(values[:, 0]).all() or usable < _FEWEST_DRAWS:
        return None
    counts = draws(len(values), values.shape[1] - 1, (seed, len(values)))
    return asdict(interval(values[:, 0], values[:, 1:], counts, pictures))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
