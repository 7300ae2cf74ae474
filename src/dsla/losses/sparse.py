"""Class losses on sparse targets: a dense form for all logits, another form for the few that have a target.

Nearly all of the R x C logits are negatives, so the losses share one dense form, that of a target of 0,

    factor * sigmoid(x)^power * softplus(x)

A dense target is never built: the dense form is summed block by block, the sparse entries are put in their places,
and the backward pass computes the derivative anew from the logits, so that nothing of size R x C is kept besides
them. Everything is computed in float32, whatever the type of the logits.

R points of all pictures, C classes, N entries with a target.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Logits at a time: on a CPU the temporaries of a block stay in its cache, a GPU wants few launches.
BLOCK_CPU, BLOCK_GPU = 1 << 17, 1 << 24

PositiveForm = Callable[[Tensor, Tensor], Tensor]


def sparse_loss(
    logits: Tensor,
    row: Tensor,
    label: Tensor,
    target: Tensor,
    counted: Tensor | None,
    negative: Tensor | None,
    factor: float,
    power: float,
    positive: PositiveForm,
) -> Tensor:
    """Loss of each of the R points, summed over classes.

    Args:
        logits: (R, C) before the sigmoid.
        row: (N,) row of each target.
        label: (N,) its class; pairs (row, label) are distinct.
        target: (N,) its value, in [0, 1].
        counted: (R,) rows without it give exactly 0 and get exactly 0 gradient; None counts all.
        negative: (N,) share of the dense form that is added at each target; None adds nothing.
        factor: of the dense form.
        power: of the probability in the dense form.
        positive: the form of an entry with a target above 0, of logit and target.
    """

    def both(x: Tensor, y: Tensor) -> Tensor:
        assert negative is not None
        return positive(x, y) + negative * factor * x.sigmoid().pow(power) * F.softplus(x)

    target = target.detach().float()
    if negative is None:
        form, kept = positive, target > 0  # a target of 0 is a negative like any other
        row, label, target = row[kept], label[kept], target[kept]
    else:
        form, negative = both, negative.detach().float()
    return _SparseFocal.apply(logits, row, label, target, counted, factor, power, form)  # pyright: ignore[reportReturnType]


class _SparseFocal(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        logits: Tensor,
        row: Tensor,
        label: Tensor,
        target: Tensor,
        counted: Tensor | None,
        factor: float,
        power: float,
        positive: PositiveForm,
    ) -> Tensor:
        # The few positives go through autograd once, here, so that none of their derivatives is hand-made.
        with torch.enable_grad():
            x = logits.detach()[row, label].float().requires_grad_()
            value = positive(x, target)
            (slope,) = torch.autograd.grad(value.sum(), x)
        ctx.save_for_backward(logits, row, label, slope, counted)
        ctx.factor, ctx.power = factor, power

        total = logits.new_empty(len(logits), dtype=torch.float32)
        for block in _blocks(logits):
            x = logits[block].float()
            total[block] = F.softplus(x).mul_(x.sigmoid().pow_(power)).sum(1)
        total *= factor
        # Entries leave the sum by value and not by subtraction: a confident positive would drown in rounding.
        rows, place = row.unique(return_inverse=True)
        x = logits[rows].float()
        dense = F.softplus(x).mul_(x.sigmoid().pow_(power)).mul_(factor)
        dense[place, label] = value.detach()
        total[rows] = dense.sum(1)
        return total if counted is None else torch.where(counted, total, 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        logits, row, label, slope, counted = ctx.saved_tensors
        result = torch.empty_like(logits)
        weight = (grad * ctx.factor)[:, None]
        for block in _blocks(logits):
            x = logits[block].float()
            p = x.sigmoid()
            # d/dx p^k softplus(x) = p^k (k (1 - p) softplus(x) + p)
            slope_of_block = F.softplus(x).mul_(1 - p).mul_(ctx.power).add_(p).mul_(p.pow_(ctx.power))
            result[block] = slope_of_block.mul_(weight[block])
        result[row, label] = (slope * grad[row]).to(result.dtype)
        if counted is not None:
            result.masked_fill_(~counted[:, None], 0.0)
        return result, None, None, None, None, None, None, None


def _blocks(logits: Tensor) -> list[slice]:
    block = BLOCK_CPU if logits.device.type == "cpu" else BLOCK_GPU
    step = max(1, block // max(1, logits.shape[1]))
    return [slice(start, start + step) for start in range(0, len(logits), step)]
