"""The finished runs of a comparison, read back from its folder."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsla.errors import DataError
from dsla.lab.plan import PlannedRun, read_plan

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
MEASURES = ("spearman", "positives_per_box", "boxes_without_point", "assign_ms", "assign_mb")


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a run of a comparison has left; its figures are those of the last epoch's weights.

    Attributes:
        assigner: its label in the comparison.
        seed: of weights, order and augmentation.
        folder: of the run.
        figures: AP, AP50, AP75, APs, APm, APl as fractions; None where there is no box to find.
        measures: spearman in [-1, 1]; positives_per_box; boxes_without_point as a share in [0, 1]; assign_ms and
            assign_mb of a batch; None for what was not measured.
        train_seconds: time of the training, evaluations included.
        config: every setting, resolved.
        results: what `results.json` holds: protocol, versions, data.
        steps: of the optimiser; None where they were not counted.
    """

    assigner: str
    seed: int
    folder: Path
    figures: dict[str, float | None]
    measures: dict[str, float | None]
    train_seconds: float
    config: dict[str, Any]
    results: dict[str, Any]
    steps: int | None = None

    @property
    def detections(self) -> list[dict[str, Any]]:
        """COCO-result rows of the last epoch's weights on the validation pictures; read anew each time.

        Raises:
            DataError: they are missing or damaged.
        """
        path = self.folder / "last_detections.json"
        rows = _json(path)
        if not isinstance(rows, list):
            raise DataError(f"{path}: expected a list of detections, found a {type(rows).__name__}; {_CURE}")
        for number, row in enumerate(rows):
            if not isinstance(row, dict) or not {"image_id", "category_id", "bbox", "score"} <= row.keys():
                raise DataError(f"{path}: entry {number} is not a COCO detection; {_CURE}")
        return rows


_CURE = "delete the folder of that run and call `dsla compare` again"


def read_records(folder: Path, *, partial: bool = False) -> list[RunRecord]:
    """The runs of a comparison, assigner by assigner in the order of its plan, seeds in theirs.

    Args:
        folder: of the comparison.
        partial: leave out runs that are not finished, as those that failed.

    Raises:
        ConfigError: no comparison is planned there.
        DataError: a run is not finished and `partial` is off, none is, or a file is missing or damaged.
    """
    runs, missing = _runs(folder), unfinished_runs(folder)
    if len(missing) == len(runs):
        raise DataError(f"{folder}: no run is finished; call `dsla compare` to make them")
    if missing and not partial:
        raise DataError(f"{folder}: not finished: {', '.join(missing)}; call `dsla compare` again to go on with it")
    return [_read(run) for run in runs if run.done.is_file()]


def unfinished_runs(folder: Path) -> list[str]:
    """The planned runs of a comparison that are not finished, as "fcos seed 2".

    Raises:
        ConfigError: no comparison is planned there.
    """
    return [str(run) for run in _runs(folder) if not run.done.is_file()]


def _runs(folder: Path) -> list[PlannedRun]:
    plan = read_plan(folder)
    return [plan.run(label, seed) for label in plan.configs for seed in plan.seeds]


def _read(run: PlannedRun) -> RunRecord:
    measures, results = _mapping(run.done), _mapping(run.folder / "results.json")
    for path, tree, keys in (
        (run.done, measures, (*FIGURES, *MEASURES, "train_seconds")),
        (run.folder / "results.json", results, ("config", "protocol", "versions", "data", "seed")),
    ):
        absent = [key for key in keys if key not in tree]
        if absent:
            raise DataError(f"{path}: has no {', '.join(absent)}; {_CURE}")
    if results["seed"] != run.seed:
        raise DataError(f"{run.folder / 'results.json'}: is of seed {results['seed']}, expected {run.seed}; {_CURE}")
    return RunRecord(
        assigner=run.label,
        seed=run.seed,
        folder=run.folder,
        figures={name: _number(run.done, name, measures[name]) for name in FIGURES},
        measures={name: _number(run.done, name, measures[name]) for name in MEASURES},
        train_seconds=_number(run.done, "train_seconds", measures["train_seconds"]) or 0.0,
        config=results["config"],
        results=results,
        steps=_steps(run.folder / "metrics.csv"),
    )


def _number(path: Path, name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{path}: {name} is {value!r}, expected a number; {_CURE}")
    return float(value)


def _mapping(path: Path) -> dict[str, Any]:
    tree = _json(path)
    if not isinstance(tree, dict):
        raise DataError(f"{path}: expected names and values, found a {type(tree).__name__}; {_CURE}")
    return tree


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file, though its run is finished; {_CURE}") from None
    except ValueError as error:
        raise DataError(f"{path}: not json ({error}); {_CURE}") from None


def _steps(path: Path) -> int | None:
    """The last step that the training's table tells of."""
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        steps = [row["step"] for row in csv.DictReader(file) if (row.get("step") or "").isdecimal()]
    return int(steps[-1]) if steps else None
