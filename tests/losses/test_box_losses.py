"""Box losses on ltrb pairs equal torchvision's on the same boxes as corners, gradients included."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from dsla.geometry import boxes_from_ltrb
from dsla.losses import AnyBoxLoss, CIoULoss, DIoULoss, GIoULoss, IoULoss

RULES = settings(deadline=None, max_examples=60, derandomize=True, database=None)
LOSSES = [IoULoss(), GIoULoss(), DIoULoss(), CIoULoss()]
ids = [loss.name for loss in LOSSES]
PAIRS = [
    (GIoULoss(), generalized_box_iou_loss),
    (DIoULoss(), distance_box_iou_loss),
    (CIoULoss(), complete_box_iou_loss),
]


def draw(count, seed):
    """Predicted distances at least 1 px, true distances of any sign but of positive sides."""
    generator = torch.Generator().manual_seed(seed)
    pred = 1 + 60 * torch.rand(count, 4, generator=generator)
    target = 1 + 60 * torch.rand(count, 4, generator=generator)
    shift = 40 * (torch.rand(count, 2, generator=generator) - 0.5)
    return pred, target + torch.cat([shift, -shift], dim=1)


@pytest.mark.parametrize(("loss", "reference"), PAIRS, ids=[loss.name for loss, _ in PAIRS])
@given(st.integers(0, 20), st.integers(0, 99))
@RULES
def test_equals_torchvision(loss, reference, count, seed):
    pred, target = draw(count, seed)
    xy = 100 * torch.rand(count, 2, generator=torch.Generator().manual_seed(seed + 1))
    ours = pred.clone().requires_grad_()
    theirs = pred.clone().double().requires_grad_()
    got = loss(ours, target)
    expected = reference(boxes_from_ltrb(xy.double(), theirs), boxes_from_ltrb(xy.double(), target.double()))
    torch.testing.assert_close(got, expected.float(), rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(got.sum(), ours)
    (slope,) = torch.autograd.grad(expected.sum(), theirs)
    torch.testing.assert_close(gradient, slope.float(), rtol=1e-3, atol=1e-5)


def test_iou_loss_is_the_negative_logarithm():
    pred = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    target = torch.tensor([[1.0, 1.0, 3.0, 1.0]])
    assert IoULoss()(pred, target).item() == pytest.approx(0.6931472)


def test_iou_loss_is_clamped_where_nothing_overlaps():
    pred = torch.ones(1, 4, requires_grad=True)
    far = torch.tensor([[-10.0, -10.0, 20.0, 20.0]])
    value = IoULoss()(pred, far)
    value.sum().backward()
    assert value.item() == pytest.approx(13.815511, rel=1e-5)
    assert (pred.grad == 0).all()


def test_aspect_term_can_wait_for_overlap():
    pred, target = draw(200, 0)
    early, late = CIoULoss()(pred, target), CIoULoss(aspect_from=0.5)(pred, target)
    plain = DIoULoss()(pred, target)
    overlapping = 1 - GIoULoss()(pred, target) > 0.5
    assert overlapping.any()
    assert torch.equal(early[overlapping], late[overlapping])
    assert (late <= early).all()
    assert torch.equal(late[late != early], plain[late != early])


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_degenerate_boxes_give_finite_losses_and_gradients(loss):
    """A head with ReLU outputs predicts boxes without extent; truth may be one pixel or none."""
    zero, one, thin = torch.zeros(1, 4), torch.full((1, 4), 0.5), torch.tensor([[5.0, 0.0, 5.0, 0.0]])
    pred = torch.cat([zero, zero, thin, one, zero]).requires_grad_()
    target = torch.cat([zero, one, one, thin, thin])
    value = loss(pred, target)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_a_perfect_box_costs_nothing_and_scale_does_not_matter(loss):
    pred, target = draw(10, 1)
    torch.testing.assert_close(loss(target, target), torch.zeros(10), atol=1e-6, rtol=0)
    torch.testing.assert_close(loss(pred, target), loss(pred / 8, target / 8), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_half_precision_is_computed_in_float32(loss):
    pred, target = draw(10, 2)
    half = (20 * pred).half()  # areas beyond what float16 holds
    value = loss(half, 20 * target)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(half.float(), 20 * target))


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_no_rows(loss):
    pred = torch.zeros(0, 4, requires_grad=True)
    value = loss(pred, torch.zeros(0, 4))
    assert value.shape == (0,)
    value.sum().backward()


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_configuration_round_trips_and_refuses_the_unknown(loss):
    adapter = TypeAdapter(AnyBoxLoss)
    plain = adapter.dump_python(loss)
    assert adapter.validate_python(plain) == loss
    assert copy.deepcopy(loss) == loss
    with pytest.raises(ValidationError, match="Unexpected keyword argument"):
        adapter.validate_python({**plain, "mode": "log"})
