import numpy as np
import pytest

from dsla.analysis import found_boxes, lrp_of_pictures, match, optimal_lrp, true_boxes
from dsla.analysis.lrp import best_thresholds

TRUTH = {
    "images": [{"id": 1}, {"id": 2}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 10]},
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 100, 10]},
    ],
    "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
}


def row(image: int, width: float, score: float, x: float = 0):
    return {"image_id": image, "category_id": 1, "bbox": [x, 0, width, 10], "score": score}


def told(rows):
    true, found = true_boxes(TRUTH), found_boxes(TRUTH, rows)
    return optimal_lrp(found, true, match(found, true))


def test_the_parts_of_an_answer_whose_error_is_known():
    """One hit of IoU 0.9, then a false alarm, then a hit of IoU 0.6."""
    lrp = told([row(1, 90, 0.9), row(1, 50, 0.8, x=700), row(2, 60, 0.7)])
    # s = 0.9: (0.2 + 1 missed) / 2 = 0.6; 0.8: (0.2 + 1 + 1) / 3; 0.7: (0.2 + 0.8 + 1) / 3 = 0.667
    assert lrp.error.value == pytest.approx(0.6) and lrp.threshold[0] == 0.9
    assert lrp.localisation.value == pytest.approx(0.1)
    assert (lrp.false_positives.value, lrp.false_negatives.value) == (0, 0.5)
    assert lrp.by_class == {"a": pytest.approx(0.6)} and np.isnan(lrp.threshold[1])


def test_perfect_and_useless():
    assert told([row(1, 100, 0.9), row(2, 100, 0.2)]).error.value == 0
    useless = told([row(1, 40, 0.9)])
    assert useless.error.value == 1 and useless.threshold[0] == np.inf
    assert told([]).error.value == 1


def test_the_optimum_is_the_least_over_all_thresholds(problem):
    truth, rows = problem
    rows = [{**row, "score": round(row["score"], 1)} for row in rows]  # many ties
    true, found = true_boxes(truth), found_boxes(truth, rows)
    lrp = optimal_lrp(found, true, match(found, true))
    least = []
    for label in (0, 1):
        errors = [1.0]
        for score in np.unique(found.score):
            used = found.take((found.score >= score) & (found.label == label))
            matches = match(used, true)
            hit, count = matches.hit, matches.counted
            missed = int((~true.crowd & (true.label == label)).sum()) - hit.sum()
            error = ((1 - matches.iou[hit]) / 0.5).sum() + (count & ~hit).sum() + missed
            errors.append(error / (count.sum() + missed))
        least.append(min(errors))
    assert lrp.error.value == pytest.approx(np.mean(least))
    assert [lrp.by_class["c2"], lrp.by_class["c5"]] == pytest.approx(least)


def test_thresholds_of_some_pictures_know_nothing_of_the_others(problem):
    truth, rows = problem
    true, found = true_boxes(truth), found_boxes(truth, rows)
    some = np.arange(12) % 2 == 0
    chosen = best_thresholds(found, true, match(found, true), pictures=some)
    ids = {10 + picture for picture in range(0, 12, 2)}
    part = {key: [entry for entry in truth[key] if entry[name] in ids]
            for key, name in (("images", "id"), ("annotations", "image_id"))}  # fmt: skip
    alone = {**truth, **part}
    own = found_boxes(alone, [row for row in rows if row["image_id"] in ids])
    np.testing.assert_array_equal(chosen, best_thresholds(own, true_boxes(alone), match(own, true_boxes(alone))))


def test_the_error_of_each_picture():
    true = true_boxes(TRUTH)
    found = found_boxes(TRUTH, [row(1, 90, 0.9), row(1, 50, 0.8, x=700), row(2, 60, 0.2)])
    errors = lrp_of_pictures(true, found, match(found, true), 0.3)
    np.testing.assert_allclose(errors, [(0.2 + 1) / 2, 1])
