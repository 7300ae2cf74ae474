"""What kind of mistakes cost how much AP, and calibration over all scores, as hotcoco computes them.

TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020): AP at IoU 0.5 that
would be won if one kind of error were repaired: wrong class, badly placed, both, a duplicate, background, missed.
"""

from collections.abc import Mapping
from typing import Any

import hotcoco

from dsla.analysis.boxes import FoundBoxes, coco_array

KINDS = {
    "Cls": "wrong class",
    "Loc": "badly placed",
    "Both": "wrong class and badly placed",
    "Dupe": "duplicate",
    "Bkg": "nothing there",
    "Miss": "missed",
}
"""TIDE's kinds of error in words."""


def tide_errors(truth: Mapping[str, Any], found: FoundBoxes) -> dict[str, Any]:
    """TIDE's gains and counts, and the calibration error of all boxes in 10 bins.

    Args:
        truth: COCO ground truth.
        found: boxes that were given out.

    Returns `AP50`, `gain` in AP50 and `count` by kind of error, and `ece`, all fractions.
    """
    coco = hotcoco.COCO(dict(truth))
    scorer = hotcoco.COCOeval(coco, coco.load_res(coco_array(truth, found)), "bbox")
    scorer.params.area_rng, scorer.params.area_rng_lbl = scorer.params.area_rng[:1], scorer.params.area_rng_lbl[:1]
    scorer.evaluate()
    errors, calibration = scorer.tide_errors(pos_thr=0.5, bg_thr=0.1), scorer.calibration(n_bins=10, iou_threshold=0.5)
    return {
        "AP50": float(errors["ap_base"]),
        "gain": {kind: float(errors["delta_ap"][kind]) for kind in KINDS},
        "count": {kind: int(errors["counts"][kind]) for kind in KINDS},
        "ece": float(calibration["ece"]),
    }
