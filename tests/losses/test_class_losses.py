"""Classification losses against dense forms, torchvision, and the edges of their range."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torchvision.ops import sigmoid_focal_loss

from dsla.losses import AnyClassLoss, DualWeight, Focal, MatchabilityAware, QualityFocal, Varifocal

RULES = settings(deadline=None, max_examples=60, derandomize=True, database=None)
LOSSES = [
    QualityFocal(),
    QualityFocal(beta=1.0),
    QualityFocal(beta=0.5),
    Varifocal(),
    MatchabilityAware(),
    MatchabilityAware(alpha=0.75, gamma=2.0, target_power=1.0),
    DualWeight(),
    Focal(),
    Focal(alpha=0.5, gamma=1.5),
]
ids = [repr(loss) for loss in LOSSES]


def dense(loss, logits, target):
    """The loss written over a dense target, (R, C)."""
    p = logits.sigmoid()
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if isinstance(loss, QualityFocal):
        return bce * (target - p).abs() ** loss.beta
    if isinstance(loss, Varifocal):
        return bce * torch.where(target > 0, target, loss.alpha * p**loss.gamma)
    if isinstance(loss, MatchabilityAware):
        soft = F.binary_cross_entropy_with_logits(logits, target**loss.target_power, reduction="none")
        return torch.where(target > 0, soft, loss.alpha * p**loss.gamma * bce)
    if isinstance(loss, DualWeight):
        return torch.where(target > 0, -target * F.logsigmoid(logits), loss.alpha * p**loss.gamma * bce)
    hard = (target > 0).to(logits.dtype)
    return sigmoid_focal_loss(logits, hard, alpha=loss.alpha, gamma=loss.gamma)


def problem(rows, classes, share, seed, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=generator) * spread
    row, label = torch.nonzero(torch.rand(rows, classes, generator=generator) < share, as_tuple=True)
    target = torch.rand(len(row), generator=generator)
    full = torch.zeros(rows, classes)
    full[row, label] = target
    return logits, row, label, target, full


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
@given(st.integers(0, 40), st.integers(1, 7), st.sampled_from([0.0, 0.1, 0.6]), st.integers(0, 99))
@RULES
def test_equals_the_dense_form(loss, rows, classes, share, seed):
    logits, row, label, target, full = problem(rows, classes, share, seed)
    logits.requires_grad_()
    weight = torch.rand(rows)
    got = loss(logits, row, label, target)
    (gradient,) = torch.autograd.grad((got * weight).sum(), logits)
    double = logits.detach().double().requires_grad_()
    expected = dense(loss, double, full.double()).sum(1)
    (slope,) = torch.autograd.grad((expected * weight).sum(), double)
    torch.testing.assert_close(got, expected.float(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, slope.float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_blocks_join_without_seams(loss, monkeypatch):
    logits, row, label, target, _ = problem(50, 3, 0.2, 0)
    logits.requires_grad_()
    whole = loss(logits, row, label, target)
    (of_whole,) = torch.autograd.grad(whole.sum(), logits)
    monkeypatch.setattr("dsla.losses.sparse.BLOCK_CPU", 7)
    pieces = loss(logits, row, label, target)
    (of_pieces,) = torch.autograd.grad(pieces.sum(), logits)
    torch.testing.assert_close(whole, pieces, rtol=1e-6, atol=0)
    torch.testing.assert_close(of_whole, of_pieces, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_large_logits_stay_finite_and_right(loss, kind):
    logits = torch.tensor([[100.0, -100.0], [-100.0, 100.0], [30.0, -30.0]], dtype=kind, requires_grad=True)
    row, label, target = torch.arange(3), torch.zeros(3, dtype=torch.int64), torch.tensor([1.0, 0.7, 0.3])
    got = loss(logits, row, label, target)
    got.sum().backward()
    assert got.dtype == torch.float32
    assert logits.grad is not None
    assert logits.grad.dtype == kind
    assert torch.isfinite(got).all()
    assert torch.isfinite(logits.grad).all()
    full = torch.zeros(3, 2, dtype=torch.float64)
    full[row, label] = target.double()
    torch.testing.assert_close(got, dense(loss, logits.detach().double(), full).sum(1).float(), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_half_precision_logits_are_summed_in_float32(loss):
    logits, row, label, target, _ = problem(30, 80, 0.02, 3)
    half = logits.half()
    assert torch.equal(loss(half, row, label, target), loss(half.float(), row, label, target))


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_a_confident_positive_does_not_drown_its_row(loss):
    """The entry's negative form, here 100, leaves no rounding error behind."""
    logits = torch.tensor([[100.0, -12.0]])
    got = loss(logits, torch.tensor([0]), torch.tensor([0]), torch.tensor([1.0]))
    rest = loss(torch.tensor([[-200.0, -12.0]]), *[torch.zeros(0, dtype=torch.int64)] * 2, torch.zeros(0))
    assert got.item() == pytest.approx(rest.item(), rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_rows_not_counted_are_exactly_nothing(loss):
    logits, row, label, target, _ = problem(20, 4, 0.3, 5)
    logits[3] = math.inf
    logits.requires_grad_()
    counted = torch.rand(20, generator=torch.Generator().manual_seed(1)) < 0.5
    counted[3] = False
    got = loss(logits, row, label, target, counted)
    got.sum().backward()
    assert logits.grad is not None
    assert (got[~counted] == 0).all()
    assert (logits.grad[~counted] == 0).all()
    full = loss(logits.detach(), row, label, target)
    assert torch.equal(got[counted], full[counted])
    assert (logits.grad[counted].abs().sum(1) > 0).all()


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_a_target_of_zero_is_a_negative(loss):
    logits = torch.randn(6, 3)
    none = torch.zeros(0, dtype=torch.int64)
    plain = loss(logits, none, none, torch.zeros(0))
    assert torch.equal(loss(logits, torch.arange(6), torch.zeros_like(torch.arange(6)), torch.zeros(6)), plain)


def test_quality_focal_gives_gradient_through_its_factor():
    """At y = p the loss is 0 with gradient 0; beside it the factor's slope dominates."""
    x = torch.tensor([[0.4]], requires_grad=True)
    y = torch.tensor([0.9])
    (slope,) = torch.autograd.grad(QualityFocal()(x, *[torch.tensor([0])] * 2, y).sum(), x)
    p = x.detach().sigmoid()
    detached = (p - y) * (y - p) ** 2
    through = -2 * (y - p) * p * (1 - p) * F.binary_cross_entropy_with_logits(x.detach(), y[None])
    assert slope.item() == pytest.approx((detached + through).item(), rel=1e-5)


def test_what_is_not_finite_shows():
    logits = torch.tensor([[math.nan, 0.0]])
    none = torch.zeros(0, dtype=torch.int64)
    assert math.isnan(QualityFocal()(logits, none, none, torch.zeros(0)).item())


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_configuration_round_trips_and_refuses_the_unknown(loss):
    adapter = TypeAdapter(AnyClassLoss)
    plain = adapter.dump_python(loss)
    assert adapter.validate_python(plain) == loss
    assert copy.deepcopy(loss) == loss
    with pytest.raises(ValidationError, match="Unexpected keyword argument"):
        adapter.validate_python({**plain, "gama": 2.0})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QualityFocal(beta=-1.0), "beta is -1.0"),
        (lambda: Varifocal(gamma=math.nan), "gamma is nan"),
        (lambda: Focal(alpha=2.0), "0 to 1"),
    ],
)
def test_parameters_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("loss", [DualWeight(alpha=0.5), QualityFocal(), Focal()], ids=repr)
def test_a_share_of_the_background_stays_at_a_target(loss):
    """`negative` adds so much of what the same logit would cost as a negative; 0 adds nothing."""
    logits, row, label, target, _ = problem(12, 4, 0.4, 5)
    target = target.clamp(min=0.1)
    nobody = torch.zeros(0, dtype=torch.int64)
    background = torch.stack(
        [loss(logits[r : r + 1, c : c + 1], nobody, nobody, torch.zeros(0)) for r, c in zip(row, label, strict=True)]
    )
    share = torch.linspace(0, 1, len(row))
    expected = loss(logits, row, label, target).index_add(0, row, share * background[:, 0])
    got = loss(logits.requires_grad_(), row, label, target, None, share)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    (slope,) = torch.autograd.grad(got.sum(), logits)
    step = 1e-3
    with torch.no_grad():
        moved = (
            loss(logits + step, row, label, target, None, share) - loss(logits - step, row, label, target, None, share)
        ) / (2 * step)
    torch.testing.assert_close(slope.sum(1), moved, rtol=2e-2, atol=2e-3)
