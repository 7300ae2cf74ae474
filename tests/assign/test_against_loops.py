"""The vectorised assigners agree with the same rules in plain Python loops, on drawn scenes."""

import pytest
import slow_dsla
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scenes import Scene, scenes

from dsla.assign import DSLA, FCOS

RULES = settings(deadline=None, max_examples=120, derandomize=True, database=None)

switches = st.builds(
    slow_dsla.Rules,
    relaxation=st.booleans(),
    factor=st.sampled_from([0.2, 0.25, 0.0]),
    core_zone=st.booleans(),
    coupling=st.booleans(),
    iou_only=st.booleans(),
    radius=st.sampled_from([None, 1.5, 2.5]),
    cover=st.booleans(),
)


def assigner_of(rules):
    return DSLA(
        relaxation=rules.relaxation,
        relaxation_factor=rules.factor,
        core_zone=rules.core_zone,
        coupling=rules.coupling,
        iou_only=rules.iou_only,
        center_radius=rules.radius,
        cover=rules.cover,
    )


def compare(scene, got, expected):
    """Each positive has the box, score and weight that the loops give; ties in the last digit are free."""
    rows = list(zip(got.image.tolist(), got.point.tolist(), strict=True))
    positives = {(b, i) for b, row in enumerate(expected.winner) for i, g in enumerate(row) if g is not None}
    assert set(rows) == positives
    assert len(rows) == len(positives)
    for (b, i), g, score, weight in zip(rows, got.gt.tolist(), got.score.tolist(), got.weight.tolist(), strict=True):
        if g != expected.winner[b][i]:
            assert nearly_tied(scene, expected.static[b][i], g, expected.winner[b][i])
            continue
        assert score == pytest.approx(expected.score[b, i], abs=2e-6)
        assert weight == pytest.approx(expected.weight[b, i], abs=2e-6)
    assert got.ignored.tolist() == expected.ignored


def nearly_tied(scene, labels, one, other):
    """Two different boxes whose labels differ by rounding alone; exact ties are decided by a rule."""
    if one not in labels or other not in labels:
        return False
    a, b = scene.boxes[one], scene.boxes[other]
    same_box = (a.x1, a.y1, a.x2, a.y2) == (b.x1, b.y1, b.x2, b.y2)
    both_full = labels[one] == labels[other] == 1.0
    return not same_box and not both_full and abs(labels[one] - labels[other]) < 1e-6


def box(x1, y1, x2, y2, label=0, image=0, ignore=False):
    return slow_dsla.Box(x1, y1, x2, y2, label, image, ignore)


FIVE = (8, 16, 32, 64, 128)
ONE_LEVEL = ((8, 8),)
ON_THE_ENDS_OF_RANGES = Scene(  # m is exactly 48, 64 and 80 at some points
    ((20, 20), (10, 10), (5, 5)), (8, 16, 32), 0.5, [box(4, 4, 132, 132), box(12, 4, 92, 84)], 1, 1
)
CORE_ZONES_TIE = Scene(ONE_LEVEL, (8,), 0.5, [box(4, 4, 44, 44), box(8, 8, 40, 40), box(0, 0, 48, 48)], 1, 2)
CROWD_OF_TINY = Scene(((4, 4),), (8,), 0.5, [box(13 + k / 4, 13, 14 + k / 4, 14) for k in range(11)], 1, 3)
DISPLACED = Scene(((4, 4),), (8,), 0.5, [box(8, 8, 16, 16), box(13, 13, 15, 15), box(11, 11, 12, 12)], 1, 4)


@example(ON_THE_ENDS_OF_RANGES, slow_dsla.Rules(factor=0.25))
@example(CORE_ZONES_TIE, slow_dsla.Rules())
@example(CROWD_OF_TINY, slow_dsla.Rules(cover=True))
@example(DISPLACED, slow_dsla.Rules(cover=True))
@given(scenes(), switches)
@RULES
def test_dsla(scene: Scene, rules):
    predicted = scene.predictions
    got = assigner_of(rules)(scene.points, scene.truth, predicted)
    expected = slow_dsla.assign_dsla(
        scene.sizes, scene.strides, scene.offset, scene.boxes, scene.images, predicted.ltrb.tolist(), rules
    )
    compare(scene, got, expected)


@example(ON_THE_ENDS_OF_RANGES, None, False)
@example(CROWD_OF_TINY, None, True)
@example(DISPLACED, 1.5, True)
@given(scenes(), st.sampled_from([None, 1.5, 2.5]), st.booleans())
@RULES
def test_fcos(scene: Scene, radius, cover):
    got = FCOS(center_radius=radius, cover=cover)(scene.points, scene.truth)
    expected = slow_dsla.assign_fcos(scene.sizes, scene.strides, scene.offset, scene.boxes, scene.images, radius, cover)
    compare(scene, got, expected)
    assert bool((got.score == 1).all())


@given(scenes())
@RULES
def test_all_classes_of_a_point(scene: Scene):
    """Besides its box a point learns the best box of every other class, with no weight in the box loss."""
    predicted = scene.predictions
    got = DSLA(classes_per_point="all")(scene.points, scene.truth, predicted)
    slow = slow_dsla.assign_dsla(
        scene.sizes,
        scene.strides,
        scene.offset,
        scene.boxes,
        scene.images,
        predicted.ltrb.tolist(),
        slow_dsla.Rules(),
    )
    wanted = {
        (b, i, scene.boxes[g].label)
        for b, row in enumerate(slow.static)
        for i, labels in enumerate(row)
        for g in labels
    }
    labels = scene.truth.labels[got.gt]
    rows = list(zip(got.image.tolist(), got.point.tolist(), labels.tolist(), strict=True))
    assert set(rows) == wanted
    assert len(rows) == len(wanted)
    best = {(b, i) for b, row in enumerate(slow.winner) for i, g in enumerate(row) if g is not None}
    weighted = torch.nonzero(got.weight > 0).flatten().tolist()
    assert len(weighted) == len(best)
    assert {rows[n][:2] for n in weighted} == best
