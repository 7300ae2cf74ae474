"""Things keep their numbers while they move, cross, are half hidden and are not seen for a while."""

import numpy as np
import pytest

from dsla.engine.detections import Detections
from dsla.engine.track import UNTRACKED, Tracker

NAMES = ("cell", "speck")


def frame(*things) -> Detections:
    """Each thing is (x, y, side, score, label)."""
    rows = np.array(things, np.float32).reshape(-1, 5)
    x, y, side, score, label = rows.T
    return Detections(
        boxes=np.stack([x, y, x + side, y + side], axis=1), scores=score, labels=label.astype(np.int64),
        class_names=NAMES, size=(500, 500),
    )  # fmt: skip


def followed(frames) -> list[list[int]]:
    tracker = Tracker(rate=10.0)
    return [tracker.update(each).tolist() for each in frames]


def test_things_keep_their_numbers_while_they_move_and_come_in_any_order():
    rng = np.random.default_rng(0)
    starts, speeds = rng.uniform(0, 400, (12, 2)), rng.uniform(-6, 6, (12, 2))
    starts = np.stack([np.arange(12) % 4 * 120.0, np.arange(12) // 4 * 150.0], axis=1)
    names: dict[int, set[int]] = {}
    tracker = Tracker(rate=10.0)
    for time in range(20):
        order = rng.permutation(12)
        places = starts + speeds * time + rng.normal(0, 1, (12, 2))
        ids = tracker.update(frame(*((*places[i], 40, 0.8, 0) for i in order)))
        for thing, its in zip(order.tolist(), ids.tolist(), strict=True):
            names.setdefault(thing, set()).add(its)
    assert all(len(its) == 1 for its in names.values())
    assert len({min(its) for its in names.values()}) == 12


def test_two_that_cross_do_not_change_numbers():
    first = followed(frame((10 + 12 * t, 100, 40, 0.9, 0), (250 - 12 * t, 118, 40, 0.9, 0)) for t in range(20))
    assert first == [[1, 2]] * 20


def test_a_thing_that_is_hidden_comes_back_under_its_number():
    def at(t):
        return (20 + 8 * t, 50, 40, 0.9, 0)

    frames = [frame(at(t)) if not 8 <= t < 14 else frame() for t in range(20)]
    assert [ids for ids in followed(frames) if ids] == [[1]] * 14
    gone = [frame(at(t)) for t in range(5)] + [frame()] * 12 + [frame(at(5)), frame(at(6))]
    assert followed(gone)[-1] == [2]  # a second later it is another


def test_low_scores_continue_a_track_and_never_start_one():
    scores = [0.9, 0.8, 0.3, 0.2, 0.4, 0.9]
    assert followed(frame((50 + 3 * t, 60, 40, s, 0)) for t, s in enumerate(scores)) == [[1]] * 6
    assert followed([frame((50, 60, 40, 0.3, 0))] * 6) == [[UNTRACKED]] * 6


def test_a_flash_gets_no_number_and_what_stays_gets_one():
    old = (10, 10, 40, 0.9, 0)
    frames = [frame(old), frame(old, (300, 300, 40, 0.9, 0)), frame(old), frame(old, (200, 300, 40, 0.9, 0))]
    frames += [frame(old, (202, 300, 40, 0.9, 0))]
    assert followed(frames) == [[1], [1, UNTRACKED], [1], [1, UNTRACKED], [1, 2]]


@pytest.mark.parametrize("label", [0, 1])
def test_a_track_keeps_its_class(label):
    frames = [frame((50, 60, 40, 0.9, 0)), frame((50, 60, 40, 0.9, label)), frame((50, 60, 40, 0.9, label))]
    assert followed(frames)[-1] == [1 + label]


def test_empty_frames_are_frames():
    assert followed([frame(), frame(), frame((1, 1, 9, 0.9, 0)), frame((1, 1, 9, 0.9, 0))]) == [
        [],
        [],
        [UNTRACKED],
        [1],
    ]
