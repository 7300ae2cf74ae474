"""What there is to tell of a run: its files, and what its model does on some of its validation pictures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsla.config import Config, DataSettings
from dsla.data import DetectionData, hold_out, open_data
from dsla.data.subset import spread
from dsla.engine.analyse import Analysis, analyse_model
from dsla.engine.modelfile import BEST
from dsla.engine.predictor import Predictor, load
from dsla.errors import DataError, DslaError
from dsla.report.page.findings import FINDINGS
from dsla.report.page.pictures import Crop, Pair, label_map, ranked_pictures, suppressed_crops
from dsla.report.plots import read_metrics


@dataclass(frozen=True)
class Extent:
    """How much a report looks at and shows.

    Attributes:
        pictures: validation pictures that the model is run on, at most, evenly spread.
        worst, best: of them, shown with their truth.
        crops: true boxes whose better box was suppressed.
        labels: whether labels are drawn on a picture.
        score: boxes below it are not drawn.
    """

    pictures: int = 200
    worst: int = 6
    best: int = 4
    crops: int = 6
    labels: bool = True
    score: float = 0.3


@dataclass(frozen=True, eq=False)
class RunFacts:
    """A run.

    Attributes:
        name: of its folder.
        results: what `results.json` holds; empty where it is missing.
        metrics: columns of `metrics.csv` as (epochs, values).
        analysis: of some validation pictures; None where model or pictures are not there.
        looked_at: how many pictures that were, and how many there are.
        worst, best: pictures with truth.
        removed: what NMS removed.
        labels: data URI of a label map.
        findings: of the data.
        score: least score of what is drawn.
        notes: what is left out, and why.
    """

    name: str
    results: Mapping[str, Any]
    metrics: Mapping[str, tuple[list[float], list[float]]]
    analysis: Analysis | None = None
    looked_at: tuple[int, int] = (0, 0)
    worst: tuple[Pair, ...] = ()
    best: tuple[Pair, ...] = ()
    removed: tuple[Crop, ...] = ()
    labels: str | None = None
    findings: Mapping[str, Any] | None = None
    score: float = 0.3
    notes: tuple[str, ...] = field(default=())


def gather(run: str | Path, data: str | DetectionData | None = None, extent: Extent | None = None) -> RunFacts:
    """Read a run's folder and look at some of its validation pictures.

    Args:
        run: the folder.
        data: its validation pictures, or where its data lie now; None: where the run says.
        extent: how much to look at.

    Raises:
        DataError: the folder is no run's, or a file of it is damaged.
    """
    run, extent = Path(run), extent or Extent()
    results, metrics = run / "results.json", run / "metrics.csv"
    if not results.is_file() and not metrics.is_file():
        raise DataError(f"{run}: neither results.json nor metrics.csv there; name the folder of a run")
    told = _json(results) if results.is_file() else {}
    notes = [] if results.is_file() else ["The training has not ended: there is no results.json yet."]
    facts: dict[str, Any] = {"score": extent.score}
    try:
        predictor, pictures = _model(run), _pictures(told, data)
        if predictor is not None and pictures is not None:
            facts |= _seen(predictor, predictor.data_for(pictures), extent)
        elif pictures is None:
            notes.append("There are no validation pictures.")
        else:
            notes.append(f"There is no model: {BEST} is missing.")
    except DslaError as error:  # the page is worth having without its pictures
        where = "" if data is not None else " If they lie elsewhere now, name the place with --data."
        notes.append(f"Nothing that needs the pictures or the model is shown: {_first_line(error, run)}{where}")
    return RunFacts(
        name=run.resolve().name,
        results=told,
        metrics=read_metrics(metrics) if metrics.is_file() else {},
        findings=_json(run / FINDINGS) if (run / FINDINGS).is_file() else None,
        notes=tuple(notes),
        **facts,
    )


def _seen(predictor: Predictor, data: DetectionData, extent: Extent) -> dict[str, Any]:
    """What the model does on some of the pictures."""
    some = spread(data, extent.pictures)
    analysis = analyse_model(predictor, some)
    worst, best = ranked_pictures(analysis, some, extent.score, extent.worst, extent.best)
    config: Config = predictor.config
    strides = [2**level for level in config.model.levels]
    return {
        "analysis": analysis,
        "looked_at": (len(some), len(data)),
        "worst": tuple(worst),
        "best": tuple(best),
        "removed": tuple(suppressed_crops(analysis, some, extent.crops)),
        "labels": label_map(some, config.data.imgsz, strides, config.assigner) if extent.labels else None,
    }


def _model(run: Path) -> Predictor | None:
    return load(run / BEST) if (run / BEST).is_file() else None


def _pictures(results: Mapping[str, Any], data: str | DetectionData | None) -> DetectionData | None:
    if data is not None and not isinstance(data, str):
        return data
    where = data or results.get("data")
    if not where:
        return None
    given = DataSettings.model_validate(results.get("config", {}).get("data", {}))
    splits = open_data(where, kind=given.kind, max_pixels=given.max_pixels)
    return hold_out(splits, given.val_share, given.val_seed).val


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not json ({error}); evaluate the run again") from error


def _first_line(error: DslaError, run: Path) -> str:
    """An error without where things lay on this machine."""
    return str(error).splitlines()[0].replace(f"{run.resolve().parent}/", "")
