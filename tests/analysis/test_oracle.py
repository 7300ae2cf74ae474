import pytest

from dsla.analysis import (
    average_precision,
    chosen_by_worth,
    found_boxes,
    ranked_by_worth,
    suppress,
    true_boxes,
)
from dsla.engine.evaluate import evaluate_detections

TRUTH = {
    "images": [{"id": 1, "width": 100, "height": 10}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 10], "area": 1000, "iscrowd": 0}],
    "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
}


def row(width: float, score: float, category: int = 1):
    return {"image_id": 1, "category_id": category, "bbox": [0, 0, width, 10], "score": score}


def test_ap_is_that_of_the_evaluation(problem):
    truth, rows = problem
    assert average_precision(truth, found_boxes(truth, rows)) == pytest.approx(evaluate_detections(truth, rows).AP)
    assert average_precision({**truth, "annotations": []}, found_boxes(truth, rows)) is None


def test_the_oracle_ranks_by_overlap_and_what_overlaps_nothing_goes_last():
    """The better box is suppressed by a worse one of higher score; a false alarm stands above both."""
    rows = [row(60, 0.8), row(98, 0.3), {**row(20, 0.9), "bbox": [300, 0, 20, 10]}, row(100, 0.2, category=2)]
    true, found = true_boxes(TRUTH), found_boxes(TRUTH, rows)
    standing = found.take(suppress(found, 0.5).kept)
    assert ranked_by_worth(found, true).score.tolist() == pytest.approx([0.6, 0.98, 0, 0])
    ap = average_precision(TRUTH, standing)
    after = average_precision(TRUTH, ranked_by_worth(standing, true))
    before = average_precision(TRUTH, chosen_by_worth(found, true, 0.5))
    # IoU 0.6 hits at .50, .55 and .60; behind the false alarm each of these has precision 1/2.
    assert (ap, after, before) == pytest.approx((0.15, 0.3, 1.0))
