"""Which class is taken for which, and what is missed or invented.

hotcoco does the matching: by falling score, each detection takes the true box, of any class, that it overlaps
most. COCO's rule for crowds is added here: the matching alone counts detections inside a crowd as invented.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import hotcoco
import numpy as np


def confusion_matrix(
    truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    class_names: Mapping[int, str],
    *,
    iou: float = 0.5,
    score: float = 0.3,
    max_detections: int = 100,
) -> dict[str, Any]:
    """Count pairs of (true class, predicted class) over a data set.

    Args:
        truth: a COCO ground truth. Crowds are nothing to find, and a detection inside a crowd of its class
            that lies on no true box is nobody's mistake.
        results: COCO-result entries.
        class_names: name by category id.
        iou: overlap from which a detection is about a true box.
        score: detections below it do not count.
        max_detections: best detections of a picture that count.

    Returns `class_names` in the order of the rows, `matrix[true][predicted]` with background as its last row
    (invented) and column (missed), and `iou` and `score` as given.
    """
    sure = [dict(entry) for entry in results if entry["score"] >= score]
    coco = hotcoco.COCO(dict(truth))
    scorer = hotcoco.COCOeval(coco, coco.load_res(_outside_crowds(truth, sure, iou)), "bbox")
    counted = scorer.confusion_matrix(iou_thr=iou, max_det=max_detections)
    return {
        "class_names": [class_names[category] for category in counted["cat_ids"]],
        "matrix": counted["matrix"].tolist(),
        "iou": iou,
        "score": score,
    }


def _outside_crowds(truth: Mapping[str, Any], results: list[dict[str, Any]], iou: float) -> list[dict[str, Any]]:
    crowded = {entry["image_id"] for entry in truth["annotations"] if entry.get("iscrowd")}
    boxes: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in truth["annotations"]:
        if entry["image_id"] in crowded:
            boxes[entry["image_id"]].append(entry)
    return [entry for entry in results if not _only_in_crowd(entry, boxes[entry["image_id"]], iou)]


def _only_in_crowd(result: Mapping[str, Any], boxes: Sequence[Mapping[str, Any]], iou: float) -> bool:
    """Whether a detection overlaps a crowd of its class and none of the true boxes."""
    near = [box for box in boxes if not box.get("iscrowd") or box["category_id"] == result["category_id"]]
    if not near:
        return False
    crowd = np.array([bool(box.get("iscrowd")) for box in near])
    # For a crowd this is the part of the detection inside it, as COCO defines it.
    overlap = np.asarray(hotcoco.mask.iou([result["bbox"]], [box["bbox"] for box in near], crowd.tolist()))[0]
    return bool((overlap[crowd] >= iou).any() and not (overlap[~crowd] >= iou).any())
