import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dsla.analysis import found_boxes, match, true_boxes
from dsla.analysis.matching import best_of_place


@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_matches_are_those_of_pycocotools(problem, iou):
    truth, rows = problem
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {**truth, "info": {}}
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes([dict(row) for row in rows]), "bbox")
        judge.params.iouThrs = np.array([iou])
        judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:1], ["all"]
        judge.evaluate()
    expected = {
        int(d): (int(t) if not ignored else 0, not ignored)
        for entry in judge.evalImgs
        if entry is not None
        for d, t, ignored in zip(entry["dtIds"], entry["dtMatches"][0], entry["dtIgnore"][0], strict=True)
    }
    found, true = found_boxes(truth, rows), true_boxes(truth)
    matches = match(found, true, iou)
    ids = np.array([entry["id"] for entry in truth["annotations"]])
    got = {
        index + 1: (int(ids[t]) if t >= 0 else 0, bool(counted))
        for index, (t, counted) in enumerate(zip(matches.true, matches.counted, strict=True))
    }
    assert got == expected
    assert (matches.iou[matches.hit] >= iou).all() and not matches.iou[~matches.hit].any()


def test_only_the_best_of_a_picture_and_class_are_kept(problem):
    truth, rows = problem
    found = found_boxes(truth, rows)
    best = best_of_place(found, 3, most=2)
    for picture in range(12):
        for label in range(3):
            its = (found.picture == picture) & (found.label == label)
            kept = best.score[(best.picture == picture) & (best.label == label)]
            np.testing.assert_array_equal(kept, np.sort(found.score[its])[::-1][:2])
