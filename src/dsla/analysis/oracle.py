"""How much AP is lost by ranking alone: the same boxes, ranked by what they are worth.

Every box gets as its score the IoU with the true box of its class that it overlaps best. The gap is the AP with
these scores minus the AP with the detector's own (Zhang et al., "VarifocalNet", CVPR 2021, table 1, does so for FCOS).

    after NMS     the boxes that were given out, ranked anew
    before NMS    all boxes over a score of 0.001, ranked anew, then NMS and the limit of boxes a picture

The first says what a better order of the same answers would give, the second also what NMS would then have kept.
"""

from collections.abc import Mapping
from typing import Any

import hotcoco
import numpy as np
from jaxtyping import Int64

from dsla.analysis.boxes import FoundBoxes, TrueBoxes, best_overlap, coco_array
from dsla.analysis.suppression import suppress


def ranked_by_worth(found: FoundBoxes, true: TrueBoxes) -> FoundBoxes:
    """The same boxes with their best overlap as score; what overlaps nothing of its class gets 0."""
    overlap, _ = best_overlap(found, true)
    return found.rescored(overlap)


def chosen_by_worth(found: FoundBoxes, true: TrueBoxes, nms_iou: float | None, most: int = 100) -> FoundBoxes:
    """What NMS would have kept of all boxes, had they been ranked by worth.

    Args:
        found: boxes before NMS.
        true: ground truth.
        nms_iou: threshold of NMS; None for none.
        most: boxes of a picture.
    """
    worth = ranked_by_worth(found, true)
    standing = np.flatnonzero(suppress(worth, nms_iou).kept)
    return worth.take(standing[best_of_picture(worth.take(standing), most)])


def best_of_picture(found: FoundBoxes, most: int) -> Int64[np.ndarray, " S"]:
    """Rows of the best `most` boxes of each picture, by picture and falling score; ties in the order of the rows."""
    order = np.lexsort((-found.score, found.picture))
    ordered = found.picture[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered, "left")
    return order[rank < most]


def average_precision(truth: Mapping[str, Any], found: FoundBoxes) -> float | None:
    """COCO's AP by hotcoco; None where there is no box to find."""
    coco = hotcoco.COCO(dict(truth))
    scorer = hotcoco.COCOeval(coco, coco.load_res(coco_array(truth, found)), "bbox")
    scorer.params.area_rng, scorer.params.area_rng_lbl = scorer.params.area_rng[:1], scorer.params.area_rng_lbl[:1]
    scorer.params.max_dets = [100]
    scorer.evaluate()
    scorer.accumulate()
    assert scorer.eval is not None
    precision = scorer.eval["precision"]
    present = precision[precision > -1]
    return float(present.mean()) if present.size else None
