"""One point a box: SciPy's dense solver finds the same sum, and no box is left alone without need."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from dsla.assign import matching
from dsla.assign.matching import one_to_one

ALONE = 1e4


def best_sum(quality, allowed):
    """How many of the rows get a column, and the sum of their qualities, by SciPy; a row may also stay alone."""
    rows = len(quality)
    cost = np.concatenate([np.where(allowed, 1 - quality, ALONE), np.full((rows, rows), ALONE)], axis=1)
    row, column = linear_sum_assignment(cost)
    matched = cost[row, column] < ALONE
    return matched.sum(), quality[row[matched], column[matched]].sum()


def check(quality, allowed):
    row, column = np.nonzero(allowed)
    chosen = one_to_one(*(torch.tensor(each) for each in (row, column, quality[row, column]))).numpy()
    assert len(set(row[chosen])) == len(set(column[chosen])) == chosen.sum()
    count, total = best_sum(quality, allowed)
    assert chosen.sum() == count
    assert quality[row, column][chosen].sum() == pytest.approx(total, abs=1e-7)


@pytest.mark.parametrize("rounds", [0, 1, 3, matching.ROUNDS])
@pytest.mark.parametrize("levels", [None, 3, 1])
def test_as_good_as_the_dense_solver(rounds, levels, monkeypatch):
    """With the auction cut short, too; with few different qualities, so that all is full of ties; with equal boxes."""
    monkeypatch.setattr(matching, "ROUNDS", rounds)
    rng = np.random.default_rng([rounds, levels or 0])
    for case in range(60):
        rows, columns = rng.integers(1, 12, 2)
        quality = rng.random((rows, columns))
        quality = quality if levels is None else np.round(quality * levels) / levels
        if case % 3 == 0:
            quality[1::2] = quality[: len(quality) - 1 : 2]
        allowed = rng.random((rows, columns)) < rng.choice([0.2, 0.5, 1.0])
        check(quality, allowed | (rng.random((rows, columns)) < 0.05))


def test_many_boxes_over_few_points():
    """Where no price is high enough to end the bidding, chains of exchanges do."""
    rng = np.random.default_rng(5)
    same = np.repeat(rng.random((1, 9)), 40, axis=0)
    check(same + 1e-9 * rng.random(same.shape), np.ones(same.shape, dtype=bool))
    check(same, np.ones(same.shape, dtype=bool))


def test_pictures_do_not_meet():
    rng = np.random.default_rng(1)
    quality, allowed = np.zeros((11, 17)), np.zeros((11, 17), dtype=bool)
    for row, column in ((slice(0, 4), slice(0, 9)), (slice(4, 10), slice(9, 16)), (slice(10, 11), slice(16, 17))):
        quality[row, column] = rng.random(quality[row, column].shape)
        allowed[row, column] = True
    check(quality, allowed)


def test_more_boxes_with_a_point_come_before_better_points():
    """Box 0 gives up its good point, since box 1 has no other."""
    chosen = one_to_one(torch.tensor([0, 0, 1]), torch.tensor([5, 6, 5]), torch.tensor([0.9, 0.0, 0.1]))
    assert chosen.tolist() == [False, True, True]


def test_a_box_without_any_free_point_stays_alone():
    zero = torch.zeros(2, dtype=torch.int64)
    assert one_to_one(torch.tensor([0, 1]), zero, torch.tensor([0.2, 0.6])).tolist() == [False, True]


def test_nothing_to_match():
    none = torch.zeros(0, dtype=torch.int64)
    assert one_to_one(none, none, torch.zeros(0)).shape == (0,)
