"""The sparse assigners agree with the dense form of their rule, and portions of any size give the same bits."""

import dense as module
import pytest
import slow_dsla
import torch
from dense import dense
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scenes import Scene, scenes

from dsla.assign import ATSS, DSLA, DW, FCOS, POTO, TAL, Assignment, OneToFew, Predictions, SimOTA, SoftDynamic
from dsla.assign import best_of_box as rows_module
from dsla.assign import bounds as bounds_module
from dsla.assign import chunks as chunks_module
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes

# No shrinking: it takes minutes, and the scenes are small as they are drawn.
RULES = settings(
    deadline=None, max_examples=40, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)

ASSIGNERS = [
    ATSS(),
    ATSS(topk=4, label="iou"),
    SimOTA(),
    SimOTA(candidates="all", label="one"),
    SoftDynamic(),
    SoftDynamic(topk=5, centre_radius=1.0),
    TAL(),
    TAL(alpha=0.5, topk=10),
    TAL(candidates="all"),
    TAL(small_targets=True),
    POTO(),
    OneToFew(),
    DW(),
    DW(prior_width=2.0, least=0.1),
]
every_assigner = pytest.mark.parametrize("assigner", ASSIGNERS, ids=repr)

switches = st.fixed_dictionaries(
    {
        "relaxation": st.booleans(),
        "relaxation_factor": st.sampled_from([0.2, 0.3]),
        "core_zone": st.booleans(),
        "coupling": st.booleans(),
        "iou_only": st.booleans(),
        "center_radius": st.sampled_from([None, 1.5]),
        "reach": st.sampled_from([8.0, 4.0]),
        "released": st.booleans(),
    }
)


def pairs(assignment):
    return set(
        zip(assignment.image.tolist(), assignment.point.tolist(), assignment.gt.tolist(), strict=True),
    )


def doubled(truth, pred):
    """The same in float64, in which the dense form rounds next to nothing."""
    boxes = GroundTruth(truth.boxes.double(), truth.labels, truth.image, truth.ignore, truth.num_images)
    return boxes, Predictions(pred.logits.double(), pred.ltrb.double(), pred.progress)


def check(assigner, points, truth, pred):
    """Equal positives and boxes, scores and weights within 1e-5; other choices only where the values all but tie."""
    got = assigner(points, truth, pred)
    expected = dense(assigner, points, *doubled(truth, pred))
    if pairs(got) == pairs(expected):
        assert torch.equal(got.point, expected.point)
        assert torch.equal(got.ignored, expected.ignored)
        for name in ("score", "weight", "negative"):
            ours, theirs = getattr(got, name), getattr(expected, name)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                torch.testing.assert_close(ours, theirs.float(), rtol=0, atol=1e-5)
    elif isinstance(assigner, POTO | OneToFew):
        same_matching(assigner, points, truth, pred, got, expected)
    else:
        alternatives = [pairs(each) for each in variants(assigner, points, truth, pred)]
        if isinstance(assigner, SimOTA) and assigner.candidates == "all":
            # Where a box must take points out of place, the source's cost of 1e8 leaves no digits to choose by.
            placed = pairs_in_place(assigner, points, truth)
            got_pairs, alternatives = pairs(got) & placed, [each & placed for each in alternatives]
        else:
            got_pairs = pairs(got)
        # What all variants have must be there, and nothing that none has.
        assert set.intersection(*alternatives) <= got_pairs <= set.union(*alternatives)


def variants(assigner, points, truth, pred):
    """The dense form's assignments where what it compares is moved by a millionth; exact ties stay."""
    try:
        for seed in range(6):
            module.JITTER = seed
            yield dense(assigner, points, *doubled(truth, pred))
    finally:
        module.JITTER = None


def pairs_in_place(assigner, points, truth):
    """All pairs in box and centre square."""
    sides = torch.cat([points.xy[:, None] - truth.boxes[:, :2], truth.boxes[:, 2:] - points.xy[:, None]], dim=2)
    away = (sides[..., 2:] - sides[..., :2]).abs().amax(dim=2) / 2
    point, gt = torch.nonzero((sides.amin(dim=2) > 0) & (away < assigner.radius * points.stride[:, None])).T
    return set(zip(truth.image[gt].tolist(), point.tolist(), gt.tolist(), strict=True))


def same_matching(assigner, points, truth, pred, got, expected):
    """Equal boxes can change places in a matching: as many matched, with the same sum of qualities."""
    certain = [each.score == 1 for each in (got, expected)]
    count, total = [], []
    for each, mine in zip((got, expected), certain, strict=True):
        image, point, gt = each.image[mine], each.point[mine], each.gt[mine]
        probability = pred.logits[image, point, truth.labels[gt]].double().sigmoid()
        side = ltrb_from_boxes(points.xy[point], truth.boxes[gt])
        both = torch.minimum(side, pred.ltrb[image, point])[:, :2] + torch.minimum(side, pred.ltrb[image, point])[:, 2:]
        both = both.clamp(min=0).prod(1)
        said = pred.ltrb[image, point]
        union = (said[:, :2] + said[:, 2:]).prod(1) + (side[:, :2] + side[:, 2:]).prod(1) - both
        count.append(len(gt.unique()))
        total.append(float((probability ** (1 - assigner.alpha) * (both / union) ** assigner.alpha).sum()))
    assert count[0] == count[1]
    assert total[0] == pytest.approx(total[1], abs=1e-5)


@given(scenes(), switches)
@RULES
def test_dsla(scene: Scene, fields):
    check(DSLA(**fields), scene.points, scene.truth, scene.predictions)


@given(scenes(), st.sampled_from([None, 1.5, 2.5]), st.sampled_from([8.0, 3.0]))
@RULES
def test_fcos(scene: Scene, radius, reach):
    check(FCOS(center_radius=radius, reach=reach), scene.points, scene.truth, scene.predictions)


@every_assigner
@given(scene=scenes())
@RULES
def test_on_drawn_scenes(scene: Scene, assigner):
    check(assigner, scene.points, scene.truth, scene.predictions)


WIDE = Points.lattice(((20, 28), (10, 14), (5, 7), (3, 4)), (8, 16, 32, 64))


def crowd(boxes, seed, spread=0.3):
    """Two pictures of crossing boxes of 3 to 200 px, a few to be ignored; predictions near boxes, or anywhere."""
    rng = torch.Generator().manual_seed(seed)
    side = 3 * 66 ** torch.rand(boxes, 2, generator=rng)
    corner = torch.rand(boxes, 2, generator=rng) * (torch.tensor([224.0, 160.0]) - side / 2)
    image = torch.arange(boxes) * 2 // boxes
    ignore = torch.rand(boxes, generator=rng) < 0.05
    truth = GroundTruth(torch.cat([corner, corner + side], 1), torch.arange(boxes) % 3, image, ignore, 2)
    logits = 2 * torch.randn(2, len(WIDE), 3, generator=rng) - 2
    ltrb = 4 * WIDE.stride[None, :, None] * torch.rand(2, len(WIDE), 4, generator=rng)
    owned = dense(FCOS(), WIDE, truth)
    near = ltrb_from_boxes(WIDE.xy[owned.point], truth.boxes[owned.gt])
    ltrb[owned.image, owned.point] = near * (spread * torch.randn(near.shape, generator=rng)).exp()
    return truth, Predictions(logits, ltrb, progress=0.4)


@pytest.mark.parametrize(("boxes", "seed", "spread"), [(6, 1, 0.1), (60, 2, 0.3), (60, 3, 2.0), (300, 4, 0.3)])
@pytest.mark.parametrize("assigner", [DSLA(), DSLA.official(), FCOS(), *ASSIGNERS], ids=repr)
def test_in_a_crowd(assigner, boxes, seed, spread):
    check(assigner, WIDE, *crowd(boxes, seed, spread))


@pytest.mark.parametrize("cells", [1, 64, 1 << 30])
@pytest.mark.parametrize("number", [1, 700, 1 << 40])
@pytest.mark.parametrize("assigner", [DSLA(), FCOS(), *ASSIGNERS], ids=repr)
def test_portions_do_not_change_a_bit(assigner, number, cells, monkeypatch):
    truth, pred = crowd(40, 5)
    expected = assigner(WIDE, truth, pred)
    monkeypatch.setattr(chunks_module, "PAIRS", number)
    monkeypatch.setattr(rows_module, "CELLS", cells)
    got = assigner(WIDE, truth, pred)
    assert isinstance(got, Assignment)
    for name in ("image", "point", "gt", "score", "weight", "ignored", "negative"):
        one, other = getattr(got, name), getattr(expected, name)
        assert one is other is None or torch.equal(one, other), name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("assigner", [each for each in ASSIGNERS if isinstance(each, TAL | SoftDynamic | DW)], ids=repr)
def test_bounds_leave_out_nothing_that_counts(assigner, seed, monkeypatch):
    truth, pred = crowd(80, seed, spread=[0.1, 0.3, 1.0, 3.0][seed])
    monkeypatch.setattr(bounds_module, "WORTH_IT", 1 << 40)
    expected = assigner(WIDE, truth, pred)
    monkeypatch.setattr(bounds_module, "WORTH_IT", 13)
    got = assigner(WIDE, truth, pred)
    for name in ("image", "point", "gt"):
        assert torch.equal(getattr(got, name), getattr(expected, name))
    exact = not isinstance(assigner, DW)  # it leaves out less than rounding, but not nothing
    for name in ("score", "weight", "negative"):
        one, other = getattr(got, name), getattr(expected, name)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=0, atol=0 if exact else 1e-6)


def test_the_dense_form_of_nothing():
    empty = GroundTruth.collate([(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).bool())])
    assert len(dense(DSLA(), WIDE, empty).gt) == 0


def test_the_dense_form_agrees_with_loops():
    """Two slow forms written apart: matrices and loops."""
    truth, pred = crowd(12, 6)
    got = dense(DSLA(), WIDE, *doubled(truth, pred))
    boxes = [
        slow_dsla.Box(*row, label, image, ignore)
        for row, label, image, ignore in zip(
            truth.boxes.tolist(), truth.labels.tolist(), truth.image.tolist(), truth.ignore.tolist(), strict=True
        )
    ]
    loops = slow_dsla.assign_dsla(WIDE.sizes, WIDE.strides, 0.5, boxes, 2, pred.ltrb.tolist(), slow_dsla.Rules())
    expected = {(b, i, g) for b, row in enumerate(loops.winner) for i, g in enumerate(row) if g is not None}
    assert pairs(got) == expected
    for place, score in zip(zip(got.image.tolist(), got.point.tolist(), strict=True), got.score.tolist(), strict=True):
        assert score == pytest.approx(loops.score[place], abs=1e-6)
