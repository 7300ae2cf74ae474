"""Losses of predicted boxes against true ones, both given as ltrb distances around the same point.

All work in float32 whatever the predictions' type, and row by row: N positives in, N losses out. Distances of
the target may be negative, for a point that lies outside its box.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from dsla.geometry.boxes import EPS, ltrb_giou, ltrb_iou

_MIN_SIDE = 1e-3  # pixels; a predicted box without extent has no aspect ratio, and no gradient towards one


@dataclass(frozen=True)
class IoULoss:
    """-log(IoU), the IoU clamped to 1e-6, below which it gives no gradient.

    Source: Yu et al., "UnitBox", ACM MM 2016, arXiv 1608.01471; the clamp is mmdet's.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: Literal["iou"] = "iou"

    def __call__(self, pred: Float[Tensor, "N 4"], target: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
        """Loss of each row; ltrb in one unit for both."""
        return -ltrb_iou(pred.float(), target.float(), eps=1e-6).clamp(min=1e-6).log()


@dataclass(frozen=True)
class GIoULoss:
    """1 - GIoU. Source: Rezatofighi et al., CVPR 2019, arXiv 1902.09630."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: Literal["giou"] = "giou"

    def __call__(self, pred: Float[Tensor, "N 4"], target: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
        """Loss of each row, in [0, 2); ltrb in one unit for both."""
        return 1 - ltrb_giou(pred.float(), target.float())


@dataclass(frozen=True)
class DIoULoss:
    """1 - IoU + (distance of the centres / diagonal of the hull)^2.

    Source: Zheng et al., "Distance-IoU Loss", AAAI 2020, arXiv 1911.08287.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: Literal["diou"] = "diou"

    def __call__(self, pred: Float[Tensor, "N 4"], target: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
        """Loss of each row, in [0, 2); ltrb in one unit for both."""
        pred, target = pred.float(), target.float()
        return 1 - ltrb_iou(pred, target) + _centre_distance(pred, target)


@dataclass(frozen=True)
class CIoULoss:
    """DIoU loss + alpha * v, v the squared difference of the boxes' aspect angles, alpha = v / (1 - IoU + v).

    `aspect_from` is the least IoU at which v counts: 0 as in the first paper, 0.5 as in its journal version.
    No gradient flows through alpha. Source: Zheng et al., AAAI 2020, arXiv 1911.08287, and "Enhancing
    Geometric Factors", IEEE Transactions on Cybernetics 2021, arXiv 2005.03572.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: Literal["ciou"] = "ciou"
    aspect_from: float = 0.0

    def __call__(self, pred: Float[Tensor, "N 4"], target: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
        """Loss of each row; ltrb in one unit for both."""
        pred, target = pred.float(), target.float()
        iou = ltrb_iou(pred, target)
        v = 4 / math.pi**2 * (_aspect_angle(target) - _aspect_angle(pred)).square()
        with torch.no_grad():
            alpha = v / (1 - iou + v).clamp(min=EPS)
            alpha = torch.where(iou >= self.aspect_from, alpha, 0.0)
        return 1 - iou + _centre_distance(pred, target) + alpha * v


def _centre_distance(a: Float[Tensor, "N 4"], b: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    """Squared distance of the centres over the squared diagonal of the smallest box around both, (N,)."""
    shift = ((a[:, 2:] - a[:, :2]) - (b[:, 2:] - b[:, :2])) / 2  # (N, 2), the point cancels
    far = torch.maximum(a, b)
    hull = far[:, :2] + far[:, 2:]  # (N, 2) width, height
    return shift.square().sum(1) / hull.square().sum(1).clamp(min=EPS)


def _aspect_angle(ltrb: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    """Angle whose tangent is width over height, (N,) radians."""
    width, height = (ltrb[:, :2] + ltrb[:, 2:]).clamp(min=_MIN_SIDE).unbind(1)
    return torch.atan2(width, height)
