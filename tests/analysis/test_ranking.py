import numpy as np
import pytest
from scipy.stats import spearmanr

from dsla.analysis import score_iou_spearman
from dsla.analysis.ranking import box_iou, spearman


def box(image: int, x: float = 0, *, width: float = 100, category: int = 1, crowd: int = 0):
    return {"image_id": image, "category_id": category, "bbox": [x, 0, width, 10], "iscrowd": crowd}


def found(image: int, overlap: float, score: float, *, category: int = 1):
    """A detection whose IoU with `box(image)` is its share of the width."""
    return {"image_id": image, "category_id": category, "bbox": [0, 0, 100 * overlap, 10], "score": score}


def truth(*boxes):
    return {"annotations": list(boxes)}


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
    pairs = np.random.default_rng(0).integers(0, 5, (40, 2)).astype(np.float64)
    assert spearman(pairs) == pytest.approx(spearmanr(*pairs.T).statistic)


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


def test_box_iou_of_empty_and_of_apart():
    a = np.array([[0.0, 0, 10, 10], [5, 5, 0, 0]])
    b = np.array([[5.0, 0, 10, 10], [20, 20, 5, 5], [5, 5, 0, 0]])
    np.testing.assert_allclose(box_iou(a, b), [[1 / 3, 0, 0], [0, 0, 0]])
