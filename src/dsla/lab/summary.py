"""What has come of a comparison, in one file: `summary.json`, with a table and a figure made from it.

Nothing that is printed, drawn or written about a comparison comes from anywhere else, so that a document can be held
equal to its file.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dsla.engine.files import write_atomically
from dsla.errors import DataError
from dsla.lab.conclusions import conclusions
from dsla.lab.record import FIGURES, MEASURES, RunRecord
from dsla.lab.statistics import LEVEL, Spread, differences_to_first, spread
from dsla.lab.tables import docs_block
from dsla.report.comparison import plot_comparison
from dsla.report.style import save_figure

_DIGITS = 6


def summarise(
    records: Sequence[RunRecord],
    truth: Mapping[str, Any],
    *,
    command: str,
    train_pictures: int | None = None,
    missing: Sequence[str] = (),
    tuning: Mapping[str, Any] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """All that is to be told of a comparison, made of plain numbers, lists and dictionaries.

    Args:
        records: finished runs; the first one's assigner is what the others are compared with.
        truth: COCO ground truth of the pictures that `records` were judged on.
        command: the shell line that makes the runs.
        train_pictures: number of pictures that were learned from.
        missing: runs that were planned and are not among `records`, as `unfinished_runs` names them.
        tuning: the trials of the loss balance and what was chosen; None where nothing was tuned.
        resamples: draws of pictures and seeds behind each interval.
        seed: of these draws.

    Raises:
        DataError: there is no run, the runs of an assigner were not made with the same settings, or detections of a
            run are missing or damaged.
    """
    if not records:
        raise DataError("summary: there is no finished run; call `dsla compare` to make some")
    first = records[0]
    labels = tuple(dict.fromkeys(record.assigner for record in records))
    seeds = tuple(dict.fromkeys(record.seed for record in records))
    config = first.config
    summary: dict[str, Any] = {
        "comparison": list(labels),
        "reference": first.assigner,
        "command": command,
        "data": _data(first, truth, train_pictures),
        "protocol": {key: value for key, value in first.results["protocol"].items() if key != "counts"},
        "schedule": {
            "epochs": config["train"]["epochs"],
            "steps": first.steps,
            "batch": config["data"]["batch"],
            "imgsz": config["data"]["imgsz"],
            "weights": "last epoch",
        },
        "seeds": list(seeds),
        "missing": list(missing),
        "versions": first.results["versions"],
        "versions_differ": any(record.results["versions"] != first.results["versions"] for record in records),
        "bootstrap": {"over": ["pictures", "seeds"], "resamples": resamples, "seed": seed, "level": LEVEL},
        "rows": [_row([record for record in records if record.assigner == label]) for label in labels],
        "differences": [
            asdict(row) for row in differences_to_first(records, truth, resamples=resamples, seed=seed)
        ],
        "tuning": tuning,
    }  # fmt: skip
    summary = json.loads(json.dumps(rounded(summary)))  # tuples are lists, as they will be when it is read back
    return summary | {"conclusions": conclusions(summary)}


def write_summary(summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `summary.json`, `summary.md` and `comparison.png`; returns their paths."""
    tree, text, image = folder / "summary.json", folder / "summary.md", folder / "comparison.png"
    write_atomically(tree, lambda file: file.write(f"{json.dumps(summary, indent=1, ensure_ascii=False)}\n".encode()))
    write_atomically(text, lambda file: file.write(docs_block(summary).encode()))
    save_figure(plot_comparison(summary), image)
    return [tree, text, image]


def _data(first: RunRecord, truth: Mapping[str, Any], train_pictures: int | None) -> dict[str, Any]:
    crowds = sum(bool(entry.get("iscrowd")) for entry in truth["annotations"])
    return {
        "name": Path(first.results["data"]).name,  # where it lay on one machine is nobody's business
        "train_pictures": train_pictures,
        "pictures": len(truth["images"]),
        "boxes": len(truth["annotations"]) - crowds,
        "crowds": crowds,
        "classes": len({entry["category_id"] for entry in truth["annotations"] if not entry.get("iscrowd")}),
    }


def _row(records: Sequence[RunRecord]) -> dict[str, Any]:
    """An assigner's figures and measures over its seeds, with its settings."""
    configs = [_shared(record.config) for record in records]
    for record, config in zip(records, configs, strict=True):
        if config != configs[0]:
            raise DataError(
                f"{record.folder}: was made with other settings than {records[0].folder}, so they are no seeds of one "
                "thing; delete the one that is wrong and call `dsla compare` again"
            )
    figures = {name: asdict(spread([record.figures[name] for record in records])) for name in FIGURES}
    measures = {name: asdict(spread([record.measures[name] for record in records])) for name in MEASURES}
    minutes: Spread = spread([record.train_seconds / 60 for record in records])
    return {
        "assigner": records[0].assigner,
        "marks": _marks(configs[0]),
        "seeds": [record.seed for record in records],
        "figures": figures,
        "measures": measures,
        "train_minutes": asdict(minutes),
        "config": configs[0],
    }


def _shared(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without the seed, and without where the pictures lay."""
    tree = json.loads(json.dumps(config))
    tree["train"].pop("seed", None)
    if tree["data"].get("path"):
        tree["data"]["path"] = Path(tree["data"]["path"]).name
    return tree


def _marks(config: Mapping[str, Any]) -> list[str]:
    """What a method has that the plain detector has not; `tables.MARKS` says it in words."""
    marks = {
        "branch": config["model"]["quality_branch"],
        "own loss": config["loss"]["classification"]["name"] == "dual_weight",
        "no NMS": config["inference"]["nms_iou"] is None,
    }
    return [mark for mark, holds in marks.items() if holds]


def rounded(tree: Any) -> Any:
    """Numbers to six digits after the point: differences smaller than that mean nothing."""
    if isinstance(tree, float):
        return round(tree, _DIGITS)
    if isinstance(tree, Mapping):
        return {key: rounded(value) for key, value in tree.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(tree, list | tuple):
        return [rounded(value) for value in tree]  # pyright: ignore[reportUnknownVariableType]
    return tree
