import numpy as np
import pytest

from dsla.analysis import compare_neighbours, shortfall, slope
from dsla.analysis.adjacency import neighbours

SIZES = ((2, 3), (1, 2))


def measured(scores, positives, ignored=()):
    """Points 0 1 2 / 3 4 5 of one level and 6 7 of the next; `positives` are (point, class, label)."""
    at = np.array([each[0] for each in positives], dtype=np.int64)
    label = np.array([each[1] for each in positives], dtype=np.int64)
    target = np.array([each[2] for each in positives], dtype=np.float64)
    mask = np.zeros(8, dtype=bool)
    mask[list(ignored)] = True
    return compare_neighbours(SIZES, np.asarray(scores, dtype=np.float32), at, label, target, mask)


def test_neighbours_are_of_one_level_and_each_pair_once():
    pairs = {tuple(pair) for pair in neighbours(SIZES).tolist()}
    assert pairs == {(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5), (6, 7)}
    assert len(neighbours(((1, 1),))) == 0


def test_a_hard_label_over_flat_scores_falls_short_everywhere():
    scores = np.full((8, 1), 0.3)
    hard = measured(scores, [(0, 0, 1.0), (1, 0, 1.0)])
    # Pairs with a positive: 0-1 (dy 0), 1-2, 0-3, 1-4 (dy 1).
    assert hard.moments.tolist() == [4, 3, 0, 0, 3, 3, 3]
    assert shortfall([hard]).value == 1 and slope([hard]).value == pytest.approx(0)


def test_scores_that_follow_the_labels_fall_short_of_nothing():
    labels = [0.1, 0.9, 0.4, 0.0, 0.5, 0.0]
    scores = np.zeros((8, 1))
    scores[:6, 0] = labels
    told = measured(scores, [(point, 0, value) for point, value in enumerate(labels) if value])
    assert shortfall([told]).value == pytest.approx(0, abs=1e-7) and slope([told]).value == pytest.approx(1)
    halved = measured(scores / 2, [(point, 0, value) for point, value in enumerate(labels) if value])
    assert slope([halved]).value == pytest.approx(0.5)
    # Jumps: 0-1 (0.8), 1-2, 3-4 and 4-5 (0.5): half of each is missing.
    assert shortfall([halved]).value == pytest.approx((0.4 + 3 * 0.25) / 4)


def test_each_class_is_a_pair_of_its_own_and_ignored_points_are_in_none():
    scores = np.zeros((8, 2))
    told = measured(scores, [(6, 0, 1.0), (7, 1, 1.0)])
    assert told.moments[0] == 2 and told.moments[1] == 2  # from 1 to 0 in class 0, from 0 to 1 in class 1
    assert measured(scores, [(6, 0, 1.0)], ignored=[7]).moments[0] == 0
    assert told.density.sum() == 2 and told.density[19, 0] == 2


def test_no_jump_is_no_value_and_pictures_add_up():
    scores = np.zeros((8, 1))
    soft = measured(scores, [(0, 0, 0.4)])
    assert shortfall([soft]).value is None and shortfall([]).value is None
    assert slope([measured(scores, [])]).value is None
    hard = measured(scores, [(6, 0, 1.0)])
    both = shortfall([soft, hard])
    assert both.value == 1
    assert np.isnan(both.on(np.array([[1], [0]]))).all()
