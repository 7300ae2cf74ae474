"""Losses of the class logits against soft targets: they differ in the form of the few entries with a target above 0.

All others are negatives and cost factor * sigmoid(x)^power * softplus(x); see `dsla.losses.sparse`.

R points of all pictures, C classes, N entries with a target.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dsla.losses.sparse import sparse_loss


@dataclass(frozen=True)
class QualityFocal:
    """Quality focal loss: BCE(x, y) * |y - sigmoid(x)|^beta.

    Gradient flows through the modulating factor too, as in mmdet. Source: Li et al., "Generalized Focal
    Loss", NeurIPS 2020, arXiv 2006.04388.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: Literal["quality_focal"] = "quality_focal"
    beta: float = 2.0

    def __post_init__(self) -> None:
        _check(beta=self.beta)

    def __call__(
        self,
        logits: Float[Tensor, "R C"],
        row: Int[Tensor, " N"],
        label: Int[Tensor, " N"],
        target: Float[Tensor, " N"],
        counted: Bool[Tensor, " R"] | None = None,
        negative: Float[Tensor, " N"] | None = None,
    ) -> Float[Tensor, " R"]:
        """Loss of each point, summed over classes.

        Args:
            logits: (R, C) before the sigmoid.
            row: (N,) row of each target above 0.
            label: (N,) its class; pairs (row, label) are distinct.
            target: (N,) its value, in [0, 1]; every other target is 0.
            counted: (R,) rows without it give exactly 0 and get exactly 0 gradient; None counts all.
            negative: (N,) share of a negative's loss that is added at each target; None adds nothing.
        """

        def positive(x: Tensor, y: Tensor) -> Tensor:
            # Below 1 the power has no derivative at 0, where y and the probability meet.
            distance = (y - x.sigmoid()).abs().clamp(min=1e-12)
            return F.binary_cross_entropy_with_logits(x, y, reduction="none") * distance.pow(self.beta)

        return sparse_loss(logits, row, label, target, counted, negative, 1.0, self.beta, positive)


@dataclass(frozen=True)
class Varifocal:
    """Varifocal loss: positives y * BCE(x, y), negatives alpha * sigmoid(x)^gamma * BCE(x, 0).

    A target of exactly 0 is a negative. Source: Zhang et al., "VarifocalNet", CVPR 2021, arXiv 2008.13367.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: Literal["varifocal"] = "varifocal"
    alpha: float = 0.75
    gamma: float = 2.0

    def __post_init__(self) -> None:
        _check(alpha=self.alpha, gamma=self.gamma)

    def __call__(
        self,
        logits: Float[Tensor, "R C"],
        row: Int[Tensor, " N"],
        label: Int[Tensor, " N"],
        target: Float[Tensor, " N"],
        counted: Bool[Tensor, " R"] | None = None,
        negative: Float[Tensor, " N"] | None = None,
    ) -> Float[Tensor, " R"]:
        """Loss of each point summed over classes; arguments and result as those of `QualityFocal`."""

        def positive(x: Tensor, y: Tensor) -> Tensor:
            return y * F.binary_cross_entropy_with_logits(x, y, reduction="none")

        return sparse_loss(logits, row, label, target, counted, negative, self.alpha, self.gamma, positive)


@dataclass(frozen=True)
class MatchabilityAware:
    """Matchability-aware loss: positives BCE(x, y^gamma), negatives sigmoid(x)^gamma * BCE(x, 0).

    Unlike varifocal loss it does not multiply a positive by its target again, so that a box which is still found
    badly, and has only small targets, is learned all the same. The source has gamma 1.5 for both; here the
    target keeps its own power. Source: Huang et al., "DEIM", CVPR 2025, arXiv 2412.04234.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: Literal["matchability"] = "matchability"
    alpha: float = 1.0
    gamma: float = 1.5
    target_power: float = 1.5

    def __post_init__(self) -> None:
        _check(alpha=self.alpha, gamma=self.gamma, target_power=self.target_power)

    def __call__(
        self,
        logits: Float[Tensor, "R C"],
        row: Int[Tensor, " N"],
        label: Int[Tensor, " N"],
        target: Float[Tensor, " N"],
        counted: Bool[Tensor, " R"] | None = None,
        negative: Float[Tensor, " N"] | None = None,
    ) -> Float[Tensor, " R"]:
        """Loss of each point summed over classes; arguments and result as those of `QualityFocal`."""

        def positive(x: Tensor, y: Tensor) -> Tensor:
            return F.binary_cross_entropy_with_logits(x, y.pow(self.target_power), reduction="none")

        return sparse_loss(logits, row, label, target, counted, negative, self.alpha, self.gamma, positive)


@dataclass(frozen=True)
class DualWeight:
    """Two weights at a positive: y * -log(p) + n * factor, n of the factor that every negative has.

    The factor is alpha * p^gamma * -log(1 - p); y is the target and n the assigner's `negative`, 0 where it gives
    none. Source: Li et al., "A Dual Weighting Label Assignment Scheme", CVPR 2022, arXiv 2203.09730.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: Literal["dual_weight"] = "dual_weight"
    alpha: float = 1.0
    gamma: float = 2.0

    def __post_init__(self) -> None:
        _check(alpha=self.alpha, gamma=self.gamma)

    def __call__(
        self,
        logits: Float[Tensor, "R C"],
        row: Int[Tensor, " N"],
        label: Int[Tensor, " N"],
        target: Float[Tensor, " N"],
        counted: Bool[Tensor, " R"] | None = None,
        negative: Float[Tensor, " N"] | None = None,
    ) -> Float[Tensor, " R"]:
        """Loss of each point summed over classes; arguments and result as those of `QualityFocal`."""

        def positive(x: Tensor, y: Tensor) -> Tensor:
            return y * F.softplus(-x)

        return sparse_loss(logits, row, label, target, counted, negative, self.alpha, self.gamma, positive)


@dataclass(frozen=True)
class Focal:
    """Focal loss with hard labels: every target above 0 counts as 1.

    Positives alpha * (1 - p)^gamma * -log(p), negatives (1 - alpha) * p^gamma * -log(1 - p). Source: Lin
    et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv 1708.02002.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: Literal["focal"] = "focal"
    alpha: float = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        _check(alpha=self.alpha, gamma=self.gamma)
        if self.alpha > 1:
            raise ValueError(f"alpha is {self.alpha}; give the share of the positives, 0 to 1")

    def __call__(
        self,
        logits: Float[Tensor, "R C"],
        row: Int[Tensor, " N"],
        label: Int[Tensor, " N"],
        target: Float[Tensor, " N"],
        counted: Bool[Tensor, " R"] | None = None,
        negative: Float[Tensor, " N"] | None = None,
    ) -> Float[Tensor, " R"]:
        """Loss of each point summed over classes; arguments and result as those of `QualityFocal`."""

        def positive(x: Tensor, y: Tensor) -> Tensor:
            return self.alpha * (-x).sigmoid().pow(self.gamma) * F.softplus(-x)

        return sparse_loss(logits, row, label, target, counted, negative, 1.0 - self.alpha, self.gamma, positive)


def _check(**values: float) -> None:
    for key, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{key} is {value}; give a finite number of at least 0")
