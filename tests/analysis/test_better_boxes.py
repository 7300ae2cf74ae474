import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms

from dsla.analysis import best_of_picture, better_boxes, found_boxes, suppress, true_boxes
from dsla.analysis.boxes import pair_iou

TRUTH = {
    "images": [{"id": 1}, {"id": 2}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 10]},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [500, 0, 100, 10]},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [0, 0, 100, 10]},
        {"id": 4, "image_id": 2, "category_id": 1, "bbox": [900, 0, 100, 10]},
    ],
    "categories": [{"id": 1, "name": "a"}],
}


def row(image: int, x: float, width: float, score: float):
    return {"image_id": image, "category_id": 1, "bbox": [x, 0, width, 10], "score": score}


def test_what_stands_is_what_torchvision_keeps(problem):
    truth, rows = problem
    found = found_boxes(truth, rows)
    done = suppress(found, 0.4)
    group = torch.from_numpy(found.picture * 3 + found.label)
    kept = batched_nms(torch.from_numpy(found.boxes), torch.from_numpy(found.score), group, 0.4)
    np.testing.assert_array_equal(np.flatnonzero(done.kept), kept.sort().values.numpy())
    gone = np.flatnonzero(~done.kept)
    by = done.by[gone]
    assert done.kept[by].all() and (found.score[by] > found.score[gone]).all()
    assert (found.picture[by] == found.picture[gone]).all() and (found.label[by] == found.label[gone]).all()
    assert (pair_iou(found.boxes[by], found.boxes[gone]) > 0.4).all()
    assert suppress(found, None).kept.all() and suppress(found.take(gone[:0]), 0.5).kept.tolist() == []


def test_a_better_box_that_was_suppressed_is_counted_with_what_it_was_worth():
    rows = [
        row(1, 0, 80, 0.9), row(1, 0, 90, 0.5), row(1, 0, 95, 0.4),  # loses 0.15
        row(1, 500, 97, 0.9), row(1, 500, 100, 0.8),  # loses 0.03
        row(2, 0, 90, 0.9), row(2, 0, 70, 0.8),  # the better one stays
        row(2, 900, 40, 0.9), row(2, 900, 100, 0.0005),  # no kept match: the box is no part of the share
    ]  # fmt: skip
    true, found = true_boxes(TRUTH), found_boxes(TRUTH, rows[:-1])
    done = suppress(found, 0.6)
    told = better_boxes(found, true, done, np.flatnonzero(done.kept))
    assert told.share[0].value == pytest.approx(2 / 3) and told.share[1].value == pytest.approx(1 / 3)
    assert told.lost.value == pytest.approx((0.15 + 0.03 + 0) / 3)
    assert told.true.tolist() == [0, 1, 2] and told.best.tolist() == [2, 4, 6]
    np.testing.assert_allclose(told.share[0].on(np.array([[1, 2], [1, 0]])), [2 / 3, 1])


def test_what_another_box_suppressed_is_not_the_match_s_fault():
    """The second kept box matches nothing; what it suppressed counts for nobody, however well it lay."""
    rows = [row(1, 0, 70, 0.9), row(1, 0, 130, 0.8), row(1, 0, 100, 0.7)]
    true, found = true_boxes(TRUTH), found_boxes(TRUTH, rows)
    done = suppress(found, 0.72)  # 100 against 70 is 0.7, against 130 is 0.77
    assert done.by.tolist() == [0, 1, 1]
    told = better_boxes(found, true, done, np.flatnonzero(done.kept))
    assert told.share[0].value == 0 and told.best.tolist() == [-1]


def test_where_nothing_is_given_out_there_is_no_share():
    true, found = true_boxes(TRUTH), found_boxes(TRUTH, [row(1, 0, 80, 0.9)])
    told = better_boxes(found, true, suppress(found, 0.6), np.zeros(0, dtype=np.int64))
    assert told.share[0].value is None and told.lost.value is None


def test_the_best_of_a_picture(problem):
    truth, rows = problem
    found = found_boxes(truth, rows)
    chosen = best_of_picture(found, 3)
    for picture in range(12):
        scores = np.sort(found.score[found.picture == picture])[::-1][:3]
        np.testing.assert_array_equal(found.score[chosen][found.picture[chosen] == picture], scores)
