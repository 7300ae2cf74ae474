"""What is right, missed and invented in one picture, by COCO's matching.

hotcoco matches: by falling score, each detection takes the free true box of its class that it overlaps most, from an
IoU of 0.5 on; one that lies in an ignore region counts for nothing. A detection's match depends on higher scores alone,
so one matching answers for every score threshold.

How bad a picture is is told by the error of Oksuz et al., "Localization recall precision" (ECCV 2018), at IoU 0.5:

    error = ( sum over matches of (1 - IoU) / 0.5 + missed + invented ) / ( matches + missed + invented )

0 is a perfect picture, 1 one in which nothing is right; a picture without boxes and without detections has 0.

Letters: G true boxes, N detections.
"""

from dataclasses import dataclass
from typing import Any

import hotcoco
import numpy as np
from jaxtyping import Bool, Float, Int

IOU = 0.5
MISSED, IGNORED = -1, -2
_ALL = [0.0, 1e10]  # square pixels: boxes of every size


@dataclass(frozen=True)
class PictureErrors:
    """Counts of one picture at one score threshold."""

    right: int
    missed: int
    invented: int
    error: float


def match_picture(
    boxes: Float[np.ndarray, "G 4"],
    labels: Int[np.ndarray, " G"],
    ignore: Bool[np.ndarray, " G"],
    found: Float[np.ndarray, "N 4"],
    found_labels: Int[np.ndarray, " N"],
    scores: Float[np.ndarray, " N"],
) -> Int[np.ndarray, " N"]:
    """The true box that each detection matches; -1 where it is invented, -2 where it lies in an ignore region.

    Args:
        boxes: true ones, xyxy.
        labels: class index of each.
        ignore: marks regions that do not count.
        found: detected boxes, xyxy, by falling score.
        found_labels: class index of each.
        scores: of each.
    """
    match = np.full(len(found), MISSED, dtype=np.int64)
    if not len(found) or not len(boxes):
        return match
    truth, said = _as_coco(boxes, labels, ignore, found, found_labels, scores)
    scorer = hotcoco.COCOeval(truth, truth.load_res(said), "bbox")
    scorer.params.iou_thrs = [IOU]
    scorer.params.area_rng = [_ALL]
    scorer.params.area_rng_lbl = ["all"]
    scorer.params.max_dets = [max(len(found), 1)]
    scorer.evaluate()
    for one in scorer.eval_imgs:
        if one is None:
            continue
        for detection, matched, ignored in zip(one["dtIds"], one["dtMatches"][0], one["dtIgnore"][0], strict=True):
            if matched:
                match[int(detection) - 1] = IGNORED if ignored else int(matched) - 1
    return match


def picture_errors(
    match: Int[np.ndarray, " N"],
    iou: Float[np.ndarray, " N"],
    scores: Float[np.ndarray, " N"],
    boxes: int,
    threshold: float,
) -> PictureErrors:
    """Count at a score threshold.

    Args:
        match: of each detection, by `match_picture`.
        iou: of each detection with the box that it matches.
        scores: of each detection.
        boxes: true boxes that count.
        threshold: detections that score less are not there.
    """
    sure = scores >= threshold
    right = sure & (match >= 0)
    hits, invented = int(right.sum()), int((sure & (match == MISSED)).sum())
    missed = boxes - hits
    total = hits + missed + invented
    amiss = float(((1 - iou[right]) / (1 - IOU)).sum()) + missed + invented
    return PictureErrors(hits, missed, invented, amiss / total if total else 0.0)


def _xywh(box: Float[np.ndarray, "4"]) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return [x1, y1, x2 - x1, y2 - y1]


def _as_coco(
    boxes: Float[np.ndarray, "G 4"],
    labels: Int[np.ndarray, " G"],
    ignore: Bool[np.ndarray, " G"],
    found: Float[np.ndarray, "N 4"],
    found_labels: Int[np.ndarray, " N"],
    scores: Float[np.ndarray, " N"],
) -> tuple[hotcoco.COCO, list[dict[str, Any]]]:
    """One picture as COCO has it: ids count from 1, and ignore regions are crowds."""
    truth = hotcoco.COCO(
        {
            "images": [{"id": 1, "width": 1, "height": 1}],
            "categories": [{"id": int(label), "name": str(label)} for label in np.union1d(labels, found_labels)],
            "annotations": [
                {
                    "id": g + 1, "image_id": 1, "category_id": int(labels[g]), "bbox": _xywh(boxes[g]),
                    "area": 1.0, "iscrowd": int(ignore[g]),
                }
                for g in range(len(boxes))
            ],
        }
    )  # fmt: skip
    said = [
        {
            "id": n + 1,
            "image_id": 1,
            "category_id": int(found_labels[n]),
            "bbox": _xywh(found[n]),
            "score": float(score),
        }
        for n, score in enumerate(scores)
    ]
    return truth, said
