"""Matches of a picture against pycocotools, and errors on cases whose answer is known."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dsla.engine.picture_errors import match_picture, picture_errors


def judged(boxes, labels, ignore, found, found_labels, scores) -> list[int]:
    """The same by pycocotools."""
    xywh = lambda box: [*map(float, (box[0], box[1], box[2] - box[0], box[3] - box[1]))]  # noqa: E731  (used twice, here)
    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": c} for c in range(1, 4)],
        "annotations": [
            {"id": g + 1, "image_id": 1, "category_id": int(labels[g]) + 1, "bbox": xywh(boxes[g]), "area": 1.0,
             "iscrowd": int(ignore[g])}
            for g in range(len(boxes))
        ],
    }  # fmt: skip
    rows = [
        {"image_id": 1, "category_id": int(found_labels[n]) + 1, "bbox": xywh(found[n]), "score": float(scores[n])}
        for n in range(len(found))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        scorer = COCOeval(coco, coco.loadRes(rows), "bbox")
        scorer.params.iouThrs = np.array([0.5])
        scorer.params.areaRng = [[0, 1e10]]
        scorer.params.areaRngLbl = ["all"]
        scorer.evaluate()
    match = [-1] * len(found)
    for one in (one for one in scorer.evalImgs if one):
        for number, matched, ignored in zip(one["dtIds"], one["dtMatches"][0], one["dtIgnore"][0], strict=True):
            if matched:
                match[number - 1] = -2 if ignored else int(matched) - 1
    return match


@pytest.mark.parametrize("seed", range(12))
def test_matches_are_cocos(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 12))
    corner = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 40, (count, 2))], 1).astype(np.float32)
    labels, ignore = rng.integers(0, 3, count), rng.random(count) < 0.3
    again = rng.integers(0, count, 30)
    found = (boxes[again] + rng.normal(0, 4, (30, 4))).astype(np.float32)
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    found_labels = np.where(rng.random(30) < 0.8, labels[again], rng.integers(0, 3, 30))
    scores = np.sort(rng.random(30).astype(np.float32))[::-1].copy()
    match = match_picture(boxes, labels, ignore, found, found_labels, scores)
    assert match.tolist() == judged(boxes, labels, ignore, found, found_labels, scores)
    # A match depends on higher scores alone, so a threshold only cuts the list.
    assert match_picture(boxes, labels, ignore, found[:9], found_labels[:9], scores[:9]).tolist() == match[:9].tolist()


def test_the_error_of_known_pictures():
    match, iou = np.array([0, -1, -2, 2]), np.array([0.75, 0, 0, 1.0], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.2], np.float32)
    told = picture_errors(match, iou, scores, 3, 0.5)
    assert (told.right, told.missed, told.invented) == (1, 2, 1)
    assert told.error == pytest.approx((0.25 / 0.5 + 2 + 1) / 4)
    assert picture_errors(match, iou, scores, 3, 0.1).right == 2
    nothing = np.zeros(0)
    assert picture_errors(nothing.astype(int), nothing, nothing, 0, 0.5).error == 0
    assert picture_errors(nothing.astype(int), nothing, nothing, 4, 0.5).error == 1
