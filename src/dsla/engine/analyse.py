"""Everything that can be measured of a model, or of the results that any other tool has left in a file."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dsla.analysis import Answers, Candidates, Measures, found_boxes, measure
from dsla.data import DetectionData
from dsla.engine.candidates import read_answers
from dsla.engine.predictor import Predictor
from dsla.errors import DataError

_KEYS = {"image_id", "category_id", "bbox", "score"}


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was measured of one source.

    Attributes:
        source: the file.
        kind: a model, results, or results before NMS.
        truth: COCO ground truth of the pictures, as the source was judged on it.
        answers: what was found.
        measures: of them.
    """

    source: Path
    kind: str
    truth: dict[str, Any]
    answers: Answers
    measures: Measures


def analyse_model(
    predictor: Predictor,
    data: DetectionData,
    *,
    batch: int = 8,
    workers: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Analysis:
    """Measure a model on pictures with true boxes.

    Raises:
        DataError: the classes of the pictures are not the model's.
    """
    answers, neighbours = read_answers(predictor, data, batch=batch, workers=workers, progress=progress)
    truth = predictor.data_for(data).to_coco()
    return Analysis(predictor.file.path, "model", truth, answers, measure(truth, answers, neighbours))


def analyse_results(
    path: Path, data: DetectionData, *, nms_iou: float | None = None, partial: bool = False
) -> Analysis:
    """Measure a COCO-result json.

    Args:
        path: the file, a list of `image_id`, `category_id`, `bbox` and `score`.
        data: what it was made for.
        nms_iou: the boxes are those before NMS, and this is its threshold; None: they are results.
        partial: `data` are some of the pictures; the rows of others are left out.

    Raises:
        DataError: the file is no such list, or names pictures or categories that the data do not have.
    """
    truth = data.to_coco()
    rows = read_results(path)
    if partial:
        mine = {image["id"] for image in truth["images"]}
        rows = [row for row in rows if row["image_id"] in mine]
    found = found_boxes(truth, rows)
    if nms_iou is None:
        answers, kind = Answers(found), "results"
    else:
        answers, kind = Answers.chosen_from(Candidates(found, nms_iou)), "results before NMS"
    return Analysis(path, kind, truth, answers, measure(truth, answers))


def read_results(path: Path) -> list[dict[str, Any]]:
    """Rows of a COCO-result json.

    Raises:
        DataError: it is none; the first row that is wrong is named.
    """
    cure = "expected COCO results: a list of image_id, category_id, bbox [x, y, width, height] and score"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not json ({error}); {cure}") from None
    if not isinstance(rows, list):
        raise DataError(f"{path}: holds a {type(rows).__name__}; {cure}")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or not row.keys() >= _KEYS:
            raise DataError(f"{path}: entry {number} has not all of image_id, category_id, bbox, score; {cure}")
    _check_numbers(path, rows)
    return rows


def _check_numbers(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise `DataError` where a box or a score is none."""
    if not rows:
        return
    try:
        values = np.array([[*row["bbox"], row["score"]] for row in rows], dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros((0, 0))
    if values.ndim != 2 or values.shape[1] != 5:
        bad = next(n for n, row in enumerate(rows) if not _is_box(row["bbox"]) or not _is_number(row["score"]))
        raise DataError(
            f"{path}: entry {bad} has bbox {rows[bad]['bbox']!r} and score {rows[bad]['score']!r}; expected four "
            "numbers x, y, width, height, and one number"
        )
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1) | (values[:, 4] < 0) | (values[:, 4] > 1))
    if len(wrong):
        raise DataError(
            f"{path}: {len(wrong)} entries, number {wrong[0]} first, have a score of {values[wrong[0], 4]:g} or a box "
            f"that is no number; scores must be in 0 to 1: take the sigmoid if they are logits"
        )


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
