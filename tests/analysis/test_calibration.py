import hotcoco
import numpy as np
import pytest

from dsla.analysis import found_boxes, match, reliability, tide_errors, true_boxes
from dsla.analysis.boxes import FoundBoxes
from dsla.analysis.calibration import bin_of, calibration_error


def boxes(scores, labels=None, pictures=None) -> FoundBoxes:
    N = len(scores)
    zeros = np.zeros(N, dtype=np.int64)
    return FoundBoxes(
        np.zeros((N, 4)),
        np.array(scores, dtype=np.float64),
        zeros if labels is None else np.array(labels),
        zeros if pictures is None else np.array(pictures),
    )


def test_bins_are_closed_above_and_the_first_has_its_zero():
    assert bin_of(np.array([0.0, 0.05, 0.1, 0.100001, 0.95, 1.0]), 10).tolist() == [0, 0, 0, 1, 9, 9]


def test_errors_whose_answer_is_known():
    used = np.ones(4, dtype=bool)
    found = boxes([0.85, 0.85, 0.15, 0.15])
    error = calibration_error(found, np.array([1.0, 0, 0, 0]), used, 1, 10)
    assert error.value == pytest.approx(0.5 * abs(0.85 - 0.5) + 0.5 * 0.15)
    by_class = calibration_error(boxes([0.8, 0.6, 0.4], [0, 0, 1]), np.array([0.9, 0.6, 0.0]), used[:3], 1, 25, 3)
    assert by_class.value == pytest.approx(((0.1 + 0) / 2 + 0.4) / 2)  # the third class has no box
    assert calibration_error(found, np.zeros(4), ~used, 1, 10).value is None


def test_without_a_threshold_it_is_hotcoco_s_calibration_error(problem):
    truth, rows = problem
    true, found = true_boxes(truth), found_boxes(truth, rows)
    matches = match(found, true)
    ours = calibration_error(found, matches.hit.astype(np.float64), matches.counted, 12, 10)
    coco = hotcoco.COCO(dict(truth))
    judge = hotcoco.COCOeval(coco, coco.load_res([dict(row) for row in rows]), "bbox")
    judge.evaluate()
    assert ours.value == pytest.approx(judge.calibration(n_bins=10, iou_threshold=0.5)["ece"])
    assert tide_errors(truth, found_boxes(truth, rows))["ece"] == pytest.approx(ours.value)


def test_thresholds_come_from_one_half_and_the_figures_from_the_other(problem):
    truth, rows = problem
    true, found = true_boxes(truth), found_boxes(truth, rows)
    told = reliability(found, true, match(found, true), match(found, true, 0.0))
    used = found.take((found.picture % 2 == 1) & (found.score >= told.threshold[found.label]))
    matches, any_overlap = match(used, true), match(used, true, 0.0)
    dece = laece = 0.0
    counted = matches.counted
    for number in range(10):
        its = counted & (bin_of(used.score, 10) == number)
        if its.any():
            dece += its.sum() / counted.sum() * abs(used.score[its].mean() - matches.hit[its].mean())
    classes = []
    for label in range(3):
        its_class = any_overlap.counted & (used.label == label)
        if its_class.any():
            cells = [its_class & (bin_of(used.score, 25) == number) for number in range(25)]
            classes.append(
                sum(its.sum() / its_class.sum() * abs(used.score[its].mean() - any_overlap.iou[its].mean())
                    for its in cells if its.any())
            )  # fmt: skip
    laece = np.mean(classes)
    assert told.dece.value == pytest.approx(dece) and told.laece.value == pytest.approx(laece)
    assert told.curve[:, 0].sum() == counted.sum()


def test_tide_knows_what_is_missed_and_what_is_there_twice(problem):
    truth, rows = problem
    told = tide_errors(truth, found_boxes(truth, rows))
    assert told["gain"].keys() == {"Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"}
    assert told["count"]["Bkg"] > 0 and 0 < told["AP50"] < 1
    perfect = [
        {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for entry in truth["annotations"]
        if not entry["iscrowd"]
    ]
    assert tide_errors(truth, found_boxes(truth, perfect))["AP50"] == pytest.approx(1)
    assert not any(tide_errors(truth, found_boxes(truth, perfect))["gain"].values())
    assert tide_errors(truth, found_boxes(truth, perfect[1:]))["count"]["Miss"] == 1
