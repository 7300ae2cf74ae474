"""AP of a run on many resamples of its pictures, from one matching.

COCO's matching of detections and boxes goes on within a picture, so a picture that is drawn k times is its matches
counted k times. What is left is the accumulation over pictures, which is done for many resamples at once. Two
facts make it cheap: recall rises at hits only, and precision has its peaks there; so only hits are looked at.

I pictures, N detections of a class by falling score, T = 10 IoU thresholds, W resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hotcoco
import numpy as np
from jaxtyping import Bool, Float64, Int64

IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
_RECALLS = np.linspace(0, 1, 101)
_BEYOND = np.append(_RECALLS, 2.0)
_CELLS = 2**18  # detections x resamples at a time, so that they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """What became of the detections of a class, by falling score.

    Attributes:
        picture: index of each one's picture.
        hit: at each IoU threshold, whether it found a box.
        counted: whether it counts; one that lies in a crowd does not.
        boxes: true boxes to find in each picture.
    """

    picture: Int64[np.ndarray, " N"]
    hit: Bool[np.ndarray, "T N"]
    counted: Bool[np.ndarray, "T N"]
    boxes: Int64[np.ndarray, " I"]


def match(
    truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], max_detections: int = 100
) -> list[ClassMatches]:
    """Match detections with boxes by COCO's protocol: all areas, crowds ignored.

    Args:
        truth: COCO ground truth; pictures are numbered in the order of their ids.
        results: COCO-result rows.
        max_detections: best detections of a picture and class that count.

    Returns the classes that have boxes to find.
    """
    coco = hotcoco.COCO(dict(truth))
    scorer = hotcoco.COCOeval(coco, coco.load_res([dict(row) for row in results]), "bbox")
    scorer.params.area_rng, scorer.params.area_rng_lbl = scorer.params.area_rng[:1], scorer.params.area_rng_lbl[:1]
    scorer.params.max_dets = [max_detections]
    scorer.evaluate()
    index = {picture: position for position, picture in enumerate(sorted(entry["id"] for entry in truth["images"]))}
    by_class: dict[int, list[dict[str, Any]]] = {}
    for entry in scorer.eval_imgs:
        if entry is not None:
            by_class.setdefault(entry["category_id"], []).append(entry)
    matches = [_of_class(entries, index) for entries in by_class.values()]
    return [each for each in matches if each.boxes.any()]


def resampled_ap(
    matches: Sequence[ClassMatches], weights: Int64[np.ndarray, "I W"], block: int | None = None
) -> Float64[np.ndarray, "T W"]:
    """AP at each IoU threshold on each resample, the mean of classes that have boxes there; nan where none has.

    Detections of equal score keep their order, however often their pictures were drawn.

    Args:
        matches: of a run.
        weights: how often each picture was drawn.
        block: resamples at a time; chosen by size if None.
    """
    many = weights.shape[1]
    total = np.zeros((len(IOUS), many))
    classes = np.zeros(many)
    for each in matches:
        step = block or max(_CELLS // max(len(each.picture), 1), 16)
        for start in range(0, many, step):
            part = slice(start, start + step)
            drawn = np.ascontiguousarray(weights[:, part])
            boxes = each.boxes @ drawn  # (W,)
            total[:, part] += np.where(boxes > 0, _class_ap(each, drawn, boxes), 0)
            classes[part] += boxes > 0
    return np.divide(total, classes, out=np.full_like(total, np.nan), where=classes > 0)


def _class_ap(
    matches: ClassMatches, weights: Int64[np.ndarray, "I W"], boxes: Int64[np.ndarray, " W"]
) -> Float64[np.ndarray, "T W"]:
    """Interpolated AP over 101 recalls; the precision at a recall is the highest at it or beyond."""
    drawn = weights[matches.picture]  # (N, W)
    ap = np.zeros((len(matches.hit), weights.shape[1]))
    seen = drawn
    for t, hit in enumerate(matches.hit):
        where = np.flatnonzero(hit)
        if t == 0 or (matches.counted[t] != matches.counted[t - 1]).any():
            seen = np.cumsum(drawn * matches.counted[t, :, None], axis=0)  # detections so far
        if not len(where):
            continue
        hits = np.cumsum(drawn[where], axis=0)  # (H, W)
        precision = hits / np.maximum(seen[where], 1)
        best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        reached = _reached(hits / np.maximum(boxes, 1))
        ap[t] = (best * np.diff(reached, axis=0, prepend=0)).sum(axis=0) / len(_RECALLS)
    return ap


def _reached(recall: Float64[np.ndarray, "H W"]) -> Int64[np.ndarray, "H W"]:
    """How many of the 101 recalls are reached: `searchsorted(_RECALLS, recall, "right")`, which takes longer."""
    below = (100 * recall).astype(np.int64)  # one too high or too low where 100 x rounds over a whole number
    below += _BEYOND[below + 1] <= recall
    below -= _BEYOND[below] > recall
    return below + 1


def _of_class(entries: Sequence[Mapping[str, Any]], index: Mapping[int, int]) -> ClassMatches:
    """Put the pictures of a class together, as COCO does: in the order of their ids, then by score, stable."""
    entries = sorted(entries, key=lambda entry: index[entry["image_id"]])
    scores = np.concatenate([np.asarray(entry["dtScores"], dtype=np.float64) for entry in entries])
    order = np.argsort(-scores, kind="stable")
    pictures = [np.full(len(entry["dtScores"]), index[entry["image_id"]]) for entry in entries]
    counted = ~_rows(entries, "dtIgnore")[:, order]
    boxes = np.zeros(len(index), dtype=np.int64)
    for entry in entries:
        boxes[index[entry["image_id"]]] = len(entry["gtIgnore"]) - sum(entry["gtIgnore"])
    return ClassMatches(
        picture=np.concatenate(pictures).astype(np.int64)[order],
        hit=_rows(entries, "dtMatched")[:, order] & counted,
        counted=counted,
        boxes=boxes,
    )


def _rows(entries: Sequence[Mapping[str, Any]], key: str) -> Bool[np.ndarray, "T N"]:
    return np.concatenate([np.asarray(entry[key], dtype=bool).reshape(len(IOUS), -1) for entry in entries], axis=1)
