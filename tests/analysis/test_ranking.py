import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr

from dsla.analysis import found_boxes, score_iou_spearman, true_boxes
from dsla.analysis.ranking import kendall_by_group, pearson_by_group, rank_agreement, spearman_by_group


def box(image: int, x: float = 0, *, width: float = 100, category: int = 1, crowd: int = 0):
    return {"image_id": image, "category_id": category, "bbox": [x, 0, width, 10], "iscrowd": crowd}


def found(image: int, overlap: float, score: float, *, category: int = 1):
    """A detection whose IoU with `box(image)` is its share of the width."""
    return {"image_id": image, "category_id": category, "bbox": [0, 0, 100 * overlap, 10], "score": score}


def truth(*boxes):
    return {
        "images": [{"id": number} for number in (1, 2, 3)],
        "annotations": list(boxes),
        "categories": [{"id": number, "name": f"class {number}"} for number in (1, 2)],
    }


def test_the_same_order_is_one_and_the_reverse_minus_one():
    same = [found(1, 0.6, 0.1), found(1, 0.7, 0.2), found(1, 0.8, 0.9)]
    assert score_iou_spearman(truth(box(1)), same) == pytest.approx(1)
    reverse = [found(1, 0.6, 0.9), found(1, 0.7, 0.2), found(1, 0.8, 0.1)]
    assert score_iou_spearman(truth(box(1)), reverse) == pytest.approx(-1)


def test_one_exchange_of_four_neighbours():
    rows = [found(1, 0.6, 0.1), found(1, 0.7, 0.3), found(1, 0.8, 0.2), found(1, 0.9, 0.4)]
    assert score_iou_spearman(truth(box(1)), rows) == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_ties_get_the_mean_of_their_ranks():
    rows = [found(1, 0.6, 0.2), found(1, 0.7, 0.2), found(1, 0.8, 0.9)]
    assert score_iou_spearman(truth(box(1)), rows) == pytest.approx(np.sqrt(3) / 2)


def test_pictures_weigh_the_same_whatever_they_hold():
    rows = [found(1, overlap, overlap) for overlap in np.linspace(0.5, 1, 50)]
    rows += [found(2, 0.6, 0.9), found(2, 0.7, 0.8), found(2, 0.8, 0.7)]
    assert score_iou_spearman(truth(box(1), box(2)), rows) == pytest.approx(0)


def test_what_is_about_no_box_is_left_out():
    rows = [found(1, 0.6, 0.1), found(1, 0.7, 0.2), found(1, 0.8, 0.9)]
    noise = [found(1, 0.49, 0.99), found(1, 1.0, 0.0005), found(1, 1.0, 0.01, category=2), found(3, 1.0, 0.5)]
    assert score_iou_spearman(truth(box(1)), rows + noise) == pytest.approx(1)
    crowd = box(1, category=2, crowd=1)
    assert score_iou_spearman(truth(box(1), crowd), rows + noise) == pytest.approx(1)
    assert score_iou_spearman(truth(box(1), box(1, category=2)), rows + noise) < 0.9


def test_the_limits_are_within():
    rows = [found(1, 0.5, 0.001), found(1, 0.7, 0.2), found(1, 0.8, 0.9)]
    assert score_iou_spearman(truth(box(1)), rows) == pytest.approx(1)
    assert score_iou_spearman(truth(box(1)), rows, score=0.1) is None
    assert score_iou_spearman(truth(box(1)), rows, iou=0.6) is None


def test_the_best_box_counts():
    rows = [found(1, 0.6, 0.9), found(1, 0.7, 0.2), found(1, 0.8, 0.1)]
    assert score_iou_spearman(truth(box(1), box(1, width=60)), rows) == pytest.approx(1)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [found(1, 0.6, 0.1), found(1, 0.7, 0.2)],
        [found(1, 0.6, 0.5), found(1, 0.7, 0.5), found(1, 0.8, 0.5)],
        [found(1, 0.7, 0.1), found(1, 0.7, 0.2), found(1, 0.7, 0.3)],
    ],
    ids=["nothing", "too few", "one score", "one overlap"],
)
def test_no_order_is_no_value(rows):
    assert score_iou_spearman(truth(box(1)), rows) is None


def test_correlations_within_groups_are_those_of_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (2, 400)).astype(np.float64)
    group = rng.integers(0, 9, 400)
    x[group == 4] = 3.0  # says nothing
    x, y, group = x[group != 7], y[group != 7], group[group != 7]
    own = [group == number for number in range(9)]
    expected = {
        spearman_by_group: [
            spearmanr(x[its], y[its]).statistic if n not in (4, 7) else np.nan for n, its in enumerate(own)
        ],
        pearson_by_group: [
            pearsonr(x[its], y[its]).statistic if n not in (4, 7) else np.nan for n, its in enumerate(own)
        ],
    }
    for function, values in expected.items():
        np.testing.assert_allclose(function(x, y, group, 9), values)
    taus = [kendalltau(x[its], y[its]).statistic if n != 4 else np.nan for n, its in enumerate(own) if n != 7]
    for large in (2, 30, 400):  # from where pairs are counted by sorting
        tau, names = kendall_by_group(x, y, group, large)
        np.testing.assert_allclose(tau, taus)
        assert names.tolist() == [0, 1, 2, 3, 4, 5, 6, 8]


def test_inversions_are_counted_by_true_box():
    near = [found(1, 0.6, 0.1), found(1, 0.7, 0.3), found(1, 0.8, 0.2)]  # one of three pairs in the wrong order
    far = [{**row, "image_id": 2} for row in (found(1, 0.6, 0.9), found(1, 0.9, 0.1))]  # the only pair
    lone = [{**found(1, 0.9, 0.5), "image_id": 3}]
    pictures = truth(box(1), box(2), box(3))
    told = rank_agreement(found_boxes(pictures, near + far + lone), true_boxes(pictures))
    assert told.inversions.value == pytest.approx((1 / 3 + 1) / 2)
    assert told.pearson.value == pytest.approx(pearsonr([0.6, 0.7, 0.8], [0.1, 0.3, 0.2]).statistic)
    assert told.spearman.value == told.spearman_by_class["class 1"] == pytest.approx(0.5)
    assert told.spearman_by_class["class 2"] is None
