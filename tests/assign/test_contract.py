"""What every assigner promises, whatever its rule."""

import pickle

import pytest
import torch

from dsla.assign import DSLA, FCOS, AnyAssigner, Assigner, Predictions
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes

ASSIGNERS = [
    DSLA(),
    DSLA(cover=True),
    DSLA(center_radius=1.5, cover=True),
    DSLA(relaxation=False, core_zone=False),
    DSLA(coupling=False),
    DSLA(iou_only=True),
    DSLA(classes_per_point="all"),
    DSLA(ranges=((0.0, 50.0), (30.0, 90.0), (80.0, 1e8))),
    DSLA.official(),
    FCOS(),
    FCOS(center_radius=1.5, cover=True),
]
every_assigner = pytest.mark.parametrize("assigner", ASSIGNERS, ids=repr)

SIDE, STRIDES = 256, (8, 16, 32)
POINTS = Points.lattice([(SIDE // s, SIDE // s) for s in STRIDES], STRIDES)
IMAGES = 3


def truth_of(boxes, labels=None, image=None, ignore=None):
    boxes = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    count = len(boxes)
    return GroundTruth(
        boxes,
        torch.arange(count) % 3 if labels is None else torch.tensor(labels, dtype=torch.int64),
        torch.zeros(count, dtype=torch.int64) if image is None else torch.tensor(image, dtype=torch.int64),
        torch.zeros(count, dtype=torch.bool) if ignore is None else torch.tensor(ignore, dtype=torch.bool),
        IMAGES,
    )


def drawn(seed=0, count=24):
    """Boxes of 3 to 180 px well inside the picture, on two of three images."""
    generator = torch.Generator().manual_seed(seed)
    side = 3 * 60 ** torch.rand(count, 2, generator=generator)
    corner = 40 + (SIDE - 80 - side).clamp(min=0) * torch.rand(count, 2, generator=generator)
    image = (torch.arange(count) * 2 // count * 2).tolist()
    return truth_of(torch.cat([corner, corner + side], 1), image=image)


def predictions(seed=0, kind=torch.float32, points=POINTS):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(IMAGES, len(points), 3, generator=generator)
    ltrb = 60 * torch.rand(IMAGES, len(points), 4, generator=generator)
    return Predictions(logits.to(kind), ltrb.to(kind))


def same_everywhere(points):
    ltrb = torch.tensor([10.0, 20.0, 30.0, 15.0]).expand(IMAGES, len(points), 4)
    return Predictions(torch.zeros(IMAGES, len(points), 3), ltrb)


def rows(assignment, points, truth):
    """Positives as a sorted table that does not know the indices of points and boxes."""
    table = torch.cat(
        [
            assignment.image[:, None],
            points.level[assignment.point][:, None],
            points.xy[assignment.point],
            truth.boxes[assignment.gt],
            truth.labels[assignment.gt][:, None],
            assignment.score[:, None],
            assignment.weight[:, None],
        ],
        dim=1,
    )
    return sorted(table.tolist())


def assert_same(got, expected):
    assert len(got) == len(expected)
    torch.testing.assert_close(torch.tensor(got), torch.tensor(expected), rtol=1e-5, atol=1e-4)


@every_assigner
def test_shapes_types_and_ranges(assigner):
    truth = drawn()
    got = assigner(POINTS, truth, predictions())
    count = len(got.gt)
    assert count > 0
    for index, length in ((got.image, IMAGES), (got.point, len(POINTS)), (got.gt, len(truth))):
        assert index.shape == (count,)
        assert index.dtype == torch.int64
        assert 0 <= int(index.min()) <= int(index.max()) < length
    for value in (got.score, got.weight):
        assert value.shape == (count,)
        assert value.dtype == torch.float32
        assert ((value >= 0) & (value <= 1)).all()
    assert got.ignored.shape == (IMAGES, len(POINTS))
    assert got.ignored.dtype == torch.bool
    assert torch.equal(truth.image[got.gt], got.image)


@every_assigner
def test_a_point_learns_a_class_once_and_one_box(assigner):
    truth = drawn()
    got = assigner(POINTS, truth, predictions())
    slot = got.image * len(POINTS) + got.point
    assert len((slot * 3 + truth.labels[got.gt]).unique()) == len(slot)
    with_box = slot[got.weight > 0]
    assert len(with_box.unique()) == len(with_box)


@every_assigner
def test_positives_lie_in_their_box_unless_coverage_put_them_there(assigner):
    truth = drawn()
    got = assigner(POINTS, truth, predictions())
    inside = ltrb_from_boxes(POINTS.xy[got.point], truth.boxes[got.gt]).amin(1) > 0
    if assigner.cover:
        outside = got.gt[~inside]
        assert len(outside) > 0
        assert len(outside.unique()) == len(outside)  # one point a box, as it had none
        assert set(got.gt.tolist()) == set(range(len(truth)))
    else:
        assert inside.all()


@every_assigner
@pytest.mark.parametrize("ignored", [0, 3])
def test_nothing_to_learn(assigner, ignored):
    truth = truth_of([[10.0, 10.0, 90.0, 90.0]] * ignored, ignore=[True] * ignored)
    got = assigner(POINTS, truth, predictions())
    assert len(got.image) == len(got.point) == len(got.gt) == len(got.score) == len(got.weight) == 0
    assert bool(got.ignored.any()) == (ignored > 0 and not getattr(assigner, "released", False))


@every_assigner
def test_odd_boxes(assigner):
    """Smaller than a stride, larger than the picture, outside it, of no area, on lattice lines, twice."""
    truth = truth_of(
        [
            [9.0, 9.0, 11.0, 11.0],
            [-300.0, -300.0, 900.0, 900.0],
            [400.0, 400.0, 500.0, 500.0],
            [-90.0, 20.0, -20.0, 60.0],
            [50.0, 50.0, 50.0, 90.0],
            [70.0, 70.0, 70.0, 70.0],
            [16.0, 16.0, 48.0, 48.0],
            [20.0, 20.0, 44.0, 44.0],
            [20.0, 20.0, 44.0, 44.0],
        ]
    )
    got = assigner(POINTS, truth, predictions())
    assert torch.isfinite(got.score).all()
    assert torch.isfinite(got.weight).all()
    assert ((got.score >= 0) & (got.score <= 1)).all()
    if assigner.cover:
        assert set(got.gt.tolist()) >= {0, 2, 3, 4, 5, 6}


@every_assigner
def test_the_order_of_boxes_does_not_matter(assigner):
    truth = drawn()
    expected = rows(assigner(POINTS, truth, predictions()), POINTS, truth)
    order = torch.cat([torch.randperm(12), 12 + torch.randperm(12)])
    shuffled = GroundTruth(truth.boxes[order], truth.labels[order], truth.image[order], truth.ignore[order], IMAGES)
    assert rows(assigner(POINTS, shuffled, predictions()), POINTS, shuffled) == expected


@every_assigner
def test_a_shift_by_whole_strides_moves_the_result(assigner):
    wide = Points.lattice([(SIDE // s + 128 // s, SIDE // s + 128 // s) for s in STRIDES], STRIDES)
    truth, shift = drawn(), torch.tensor([64.0, 96.0])
    moved = truth_of(truth.boxes + shift.repeat(2), image=truth.image.tolist())
    expected = rows(assigner(wide, truth, same_everywhere(wide)), wide, truth)
    for row in expected:
        row[2:8] = (torch.tensor(row[2:8]) + shift.repeat(3)).tolist()
    assert_same(rows(assigner(wide, moved, same_everywhere(wide)), wide, moved), sorted(expected))


@every_assigner
@pytest.mark.parametrize("axis", [0, 1], ids=["left_right", "up_down"])
def test_a_flip_mirrors_the_result(assigner, axis):
    truth, pred = drawn(1), predictions()
    boxes = truth.boxes.clone()
    boxes[:, [axis, axis + 2]] = SIDE - boxes[:, [axis + 2, axis]]
    flipped = truth_of(boxes, image=truth.image.tolist())
    mirror = POINTS.xy.clone()
    mirror[:, axis] = SIDE - mirror[:, axis]
    of = {(*xy, level): i for i, (xy, level) in enumerate(keys(POINTS.xy))}
    order = torch.tensor([of[(*xy, level)] for xy, level in keys(mirror)])
    sides = pred.ltrb[:, order].clone()
    sides[..., [axis, axis + 2]] = sides[..., [axis + 2, axis]]
    got = rows(assigner(POINTS, flipped, Predictions(pred.logits[:, order], sides)), POINTS, flipped)
    for row in got:
        row[2 + axis] = SIDE - row[2 + axis]
        row[4 + axis], row[6 + axis] = SIDE - row[6 + axis], SIDE - row[4 + axis]
    assert_same(sorted(got), rows(assigner(POINTS, truth, pred), POINTS, truth))


def keys(xy):
    return list(zip(map(tuple, xy.tolist()), POINTS.level.tolist(), strict=True))


@every_assigner
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_predictions(assigner, kind):
    truth, half = drawn(), predictions(kind=kind)
    got = assigner(POINTS, truth, half)
    expected = assigner(POINTS, truth, Predictions(half.logits.float(), half.ltrb.float()))
    assert got.score.dtype == got.weight.dtype == torch.float32
    assert rows(got, POINTS, truth) == rows(expected, POINTS, truth)


@every_assigner
def test_no_gradient_and_inputs_unchanged(assigner):
    truth, pred = drawn(), predictions()
    live = Predictions(pred.logits.clone().requires_grad_(), pred.ltrb.clone().requires_grad_())
    before = [x.clone() for x in (truth.boxes, truth.labels, truth.image, truth.ignore, POINTS.xy)]
    got = assigner(POINTS, truth, live)
    assert not got.score.requires_grad
    assert not got.weight.requires_grad
    after = (truth.boxes, truth.labels, truth.image, truth.ignore, POINTS.xy)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(live.logits, pred.logits)
    assert torch.equal(live.ltrb, pred.ltrb)


@every_assigner
def test_twice_the_same(assigner):
    truth, pred = drawn(), predictions()
    one, two = assigner(POINTS, truth, pred), assigner(POINTS, truth, pred)
    for name in ("image", "point", "gt", "score", "weight", "ignored"):
        assert torch.equal(getattr(one, name), getattr(two, name))


@every_assigner
def test_needs_predictions_is_honest(assigner):
    truth = drawn()
    if assigner.needs_predictions:
        with pytest.raises(ValueError, match="needs predictions"):
            assigner(POINTS, truth, None)
        one, two = (assigner(POINTS, truth, predictions(seed)) for seed in (1, 2))
        assert not torch.equal(one.score, two.score)
    else:
        without, given = assigner(POINTS, truth), assigner(POINTS, truth, predictions())
        assert rows(without, POINTS, truth) == rows(given, POINTS, truth)


@every_assigner
def test_pickle_repr_and_configuration(assigner):
    assert isinstance(assigner, Assigner)
    assert isinstance(assigner, AnyAssigner)
    assert pickle.loads(pickle.dumps(assigner)) == assigner
    assert eval(repr(assigner)) == assigner
    assert hash(assigner) == hash(eval(repr(assigner)))


@every_assigner
def test_ignored_points(assigner):
    """Inside an ignore region and not positive; an object inside the region keeps its points."""
    region, thing = [32.0, 32.0, 160.0, 160.0], [64.0, 64.0, 104.0, 104.0]
    truth = truth_of([region, thing], labels=[0, 1], ignore=[True, False])
    got = assigner(POINTS, truth, predictions())
    assert set(got.gt.tolist()) == {1}
    if getattr(assigner, "released", False):
        assert not got.ignored.any()  # the released code accepts ignore boxes and never uses them
        return
    inside = ((POINTS.xy > 32) & (POINTS.xy < 160)).all(1)
    expected = inside.clone()
    expected[got.point] = False
    assert torch.equal(got.ignored[0], expected)
    assert not got.ignored[1:].any()
    alone = assigner(POINTS, truth_of([thing], labels=[1]), predictions())
    assert torch.equal(alone.point, got.point)
    assert torch.equal(alone.score, got.score)
