import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from dsla.analysis import best_overlap, coco_rows, found_boxes, true_boxes
from dsla.analysis import boxes as boxes_module
from dsla.analysis.boxes import overlapping
from dsla.errors import DataError


def test_pairs_are_all_that_overlap_within_picture_and_class(problem, monkeypatch):
    truth, rows = problem
    true, found = true_boxes(truth), found_boxes(truth, rows)
    iou = box_iou(torch.from_numpy(found.boxes), torch.from_numpy(true.boxes)).numpy()
    same = (found.picture[:, None] == true.picture) & (found.label[:, None] == true.label) & ~true.crowd
    expected = {(int(f), int(t)): iou[f, t] for f, t in zip(*np.nonzero(same & (iou >= 0.3)), strict=True)}
    for portion in (5, 2**21):
        monkeypatch.setattr(boxes_module, "_PAIRS", portion)
        pairs = overlapping(found, true, 0.3)
        real = ~true.crowd[pairs.true]
        got = dict(
            zip(zip(pairs.found[real].tolist(), pairs.true[real].tolist(), strict=True), pairs.iou[real], strict=True)
        )
        assert got.keys() == expected.keys()
        assert all(got[key] == pytest.approx(value) for key, value in expected.items())
    best, box = best_overlap(found, true)
    np.testing.assert_allclose(best, np.where(same, iou, 0).max(axis=1))
    assert ((box >= 0) == (best > 0)).all()


def test_rows_come_back_as_they_went_in(problem):
    truth, rows = problem
    back = coco_rows(truth, found_boxes(truth, rows))
    assert [(row["image_id"], row["category_id"], row["score"]) for row in back] == [
        (row["image_id"], row["category_id"], row["score"]) for row in rows
    ]
    np.testing.assert_allclose([row["bbox"] for row in back], [row["bbox"] for row in rows])


def test_nothing_found_and_nothing_to_find(problem):
    truth, rows = problem
    empty = {**truth, "annotations": []}
    assert len(overlapping(found_boxes(truth, []), true_boxes(truth)).iou) == 0
    best, box = best_overlap(found_boxes(empty, rows), true_boxes(empty))
    assert not best.any() and (box == -1).all()


def test_detections_of_other_pictures_are_named(problem):
    truth, rows = problem
    with pytest.raises(DataError, match="1 image_id of the detections, 77 first"):
        found_boxes(truth, [{**rows[0], "image_id": 77}])
