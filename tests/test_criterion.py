"""The criterion: terms, normalisers, empty batches, and the blame for a loss that is not finite."""

import dataclasses

import pytest
import torch

from dsla.assign import DSLA, DW, FCOS, Assignment
from dsla.assign.centerness import centerness
from dsla.criterion import Criterion, NonFiniteLossError
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes, ltrb_iou
from dsla.losses import DualWeight, Focal, GIoULoss, QualityFocal
from dsla.models import HeadOutput

STRIDES = (8, 16, 32)
SIZES = ((8, 8), (4, 4), (2, 2))


def truth(*images):
    parts = []
    for rows in images:
        boxes = torch.tensor([row[:4] for row in rows], dtype=torch.float32).reshape(-1, 4)
        labels = torch.tensor([row[4] for row in rows], dtype=torch.int64)
        ignore = torch.tensor([bool(row[5]) for row in rows], dtype=torch.bool)
        parts.append((boxes, labels, ignore))
    return GroundTruth.collate(parts)


def output(images=2, classes=3, quality=False, seed=0):
    points = Points.lattice(SIZES, STRIDES)
    rng = torch.Generator().manual_seed(seed)
    shape = (images, len(points))
    return HeadOutput(
        logits=torch.randn(*shape, classes, generator=rng).requires_grad_(),
        ltrb=(torch.rand(*shape, 4, generator=rng) * 20 + 1).requires_grad_(),
        points=points,
        quality=torch.randn(*shape, generator=rng).requires_grad_() if quality else None,
    )


BOXES = truth([(4, 4, 40, 44, 1, 0), (20, 20, 60, 60, 2, 0)], [(10, 8, 30, 30, 0, 0)])


def test_terms_are_the_normalised_sums_of_the_losses():
    out = output()
    losses = Criterion(DSLA(), QualityFocal(), GIoULoss(), class_weight=2.0, box_weight=3.0)(out, BOXES)
    a = losses.assignment
    # By hand: dense quality focal loss and the sums of the assignment.
    target = torch.zeros_like(out.logits)
    target[a.image, a.point, BOXES.labels[a.gt]] = a.score
    p = out.logits.sigmoid()
    bce = torch.nn.functional.binary_cross_entropy_with_logits(out.logits, target, reduction="none")
    dense = (bce * (target - p).abs() ** 2).sum() / a.score.sum().clamp(min=1)
    torch.testing.assert_close(losses.terms["loss_class"], 2 * dense)
    boxes = BOXES.boxes[a.gt]
    xy = out.points.xy[a.point]
    side = torch.cat([xy - boxes[:, :2], boxes[:, 2:] - xy], dim=1)
    each = GIoULoss()(out.ltrb[a.image, a.point], side)
    torch.testing.assert_close(losses.terms["loss_box"], 3 * (each * a.weight).sum() / a.weight.sum().clamp(min=1))
    torch.testing.assert_close(losses.total, losses.terms["loss_class"] + losses.terms["loss_box"])


@pytest.mark.parametrize("quality", [False, True])
def test_a_batch_without_boxes_reaches_every_parameter(quality):
    out = output(quality=quality)
    losses = Criterion(FCOS(), Focal(), GIoULoss())(out, truth([], []))
    losses.total.backward()
    assert losses.terms["loss_box"] == 0
    assert (out.ltrb.grad == 0).all()
    assert out.logits.grad.abs().sum() > 0
    if out.quality is not None:
        assert (out.quality.grad == 0).all()


def test_quality_branch_learns_the_weight_at_positives_only():
    out = output(quality=True)
    losses = Criterion(FCOS(), Focal(), GIoULoss())(out, BOXES)
    losses.terms["loss_quality"].backward()
    positive = torch.zeros(out.quality.shape, dtype=torch.bool)
    positive[losses.assignment.image, losses.assignment.point] = True
    assert (out.quality.grad[~positive] == 0).all()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        out.quality.detach()[losses.assignment.image, losses.assignment.point], losses.assignment.weight
    )
    torch.testing.assert_close(losses.terms["loss_quality"].detach(), expected)


def test_quality_branch_may_learn_the_iou_instead():
    out = output(quality=True)
    losses = Criterion(FCOS(), Focal(), GIoULoss(), quality_target="iou")(out, BOXES)
    a = losses.assignment
    target = ltrb_from_boxes(out.points.xy[a.point], BOXES.boxes[a.gt])
    reached = ltrb_iou(out.ltrb.detach()[a.image, a.point], target)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(out.quality.detach()[a.image, a.point], reached)
    torch.testing.assert_close(losses.terms["loss_quality"].detach(), expected)


@pytest.mark.parametrize("weighting", ["assigner", "score", "one", "centerness"])
def test_box_weights_are_a_choice_of_their_own(weighting):
    out = output()
    rule = DSLA(classes_per_point="all")
    losses = Criterion(rule, QualityFocal(), GIoULoss(), box_weighting=weighting)(out, BOXES)
    a = losses.assignment
    target = ltrb_from_boxes(out.points.xy[a.point], BOXES.boxes[a.gt])
    weight = {
        "assigner": a.weight,
        "score": a.score,
        "one": torch.ones_like(a.weight),
        "centerness": centerness(target),
    }[weighting] * (a.weight > 0)  # rows of further classes have no box
    each = GIoULoss()(out.ltrb[a.image, a.point], target)
    torch.testing.assert_close(losses.terms["loss_box"], (each * weight).sum() / weight.sum().clamp(min=1))


def test_the_weight_of_the_background_reaches_the_class_loss():
    out = output()
    losses = Criterion(DW(), DualWeight(), GIoULoss())(out, BOXES)
    a = losses.assignment
    assert a.negative is not None and (a.negative > 0).any()
    without = dataclasses.replace(a, negative=torch.zeros_like(a.negative))
    again = Criterion(Given(without), DualWeight(), GIoULoss())
    p = out.logits.detach().sigmoid()[a.image, a.point, BOXES.labels[a.gt]]
    more = (a.negative * p**2 * -torch.log1p(-p)).sum() / a.score.sum().clamp(min=1)
    got = losses.terms["loss_class"] - again(out, BOXES).terms["loss_class"]
    torch.testing.assert_close(got.detach(), more, rtol=1e-4, atol=1e-6)


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """Says what it was given, whatever it is asked."""

    assignment: Assignment
    needs_predictions: bool = False
    positives_inside: bool = True

    def __call__(self, points, truth, pred=None):
        return self.assignment


def test_rules_are_told_how_far_the_training_is():
    seen = []

    @dataclasses.dataclass(frozen=True)
    class Watching:
        needs_predictions: bool = False
        positives_inside: bool = True

        def __call__(self, points, truth, pred=None):
            seen.append(pred.progress)
            return DSLA()(points, truth, pred)

    criterion = Criterion(Watching(), QualityFocal(), GIoULoss())
    criterion(output(), BOXES, 0.25)
    criterion(output(), BOXES)
    assert seen == [0.25, 1.0]


def test_no_class_loss_inside_an_ignore_region():
    crowd = truth([(4, 4, 40, 44, 1, 0), (0, 0, 64, 64, 0, 1)], [(10, 8, 30, 30, 0, 0)])
    out = output()
    losses = Criterion(DSLA(), QualityFocal(), GIoULoss())(out, crowd)
    losses.terms["loss_class"].backward()
    quiet = losses.assignment.ignored
    assert quiet[0].any() and not quiet[1].any()
    assert (out.logits.grad[quiet] == 0).all()
    changed = output()
    with torch.no_grad():
        changed.logits[quiet] = 7.0
    again = Criterion(DSLA(), QualityFocal(), GIoULoss())(changed, crowd)
    assert torch.equal(again.terms["loss_class"], losses.terms["loss_class"])


@pytest.mark.parametrize(("term", "level"), [("loss_class", 1), ("loss_box", 0)])
def test_a_loss_that_is_not_finite_names_term_image_and_level(term, level):
    out = output()
    positive = DSLA(coupling=False)(out.points, BOXES)
    there = (positive.image == 1) & (out.points.level[positive.point] == level)
    with torch.no_grad():
        if term == "loss_class":
            out.logits[1, out.points.starts[level]] = float("nan")
        else:
            out.ltrb[1, positive.point[there][0]] = float("inf")
    with pytest.raises(NonFiniteLossError, match=rf"{term} is not finite on pyramid level\(s\) \[{level}\]") as caught:
        Criterion(DSLA(coupling=False), QualityFocal(), GIoULoss())(out, BOXES)
    assert (caught.value.term, caught.value.images, caught.value.levels) == (term, [1], [level])
