"""Boxes as corners (xyxy) and as distances from a point to the four sides (ltrb).

Two boxes seen from one point need no corners: with (l, t, r, b) around the same point their intersection is
(min l + min r) * (min t + min b). Distances may be negative (the point lies outside the box); everything here
stays right then. Formulas: IoU, and GIoU of Rezatofighi et al., CVPR 2019.
"""

import torch
from jaxtyping import Float
from torch import Tensor

EPS = 1e-7


def ltrb_from_boxes(xy: Float[Tensor, "N 2"], boxes: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Distances (left, top, right, bottom) from points to the sides of boxes; positive inside."""
    return torch.cat([xy - boxes[:, :2], boxes[:, 2:] - xy], dim=1)


def boxes_from_ltrb(xy: Float[Tensor, "*N 2"], ltrb: Float[Tensor, "*M 4"]) -> Float[Tensor, "*M 4"]:
    """Corners of boxes given as distances from points; `xy` broadcasts over leading dimensions of `ltrb`."""
    return torch.cat([xy - ltrb[..., :2], xy + ltrb[..., 2:]], dim=-1)


def ltrb_overlap(a: Float[Tensor, "N 4"], b: Float[Tensor, "N 4"]) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Intersection and union, in square pixels, of two boxes around the same point."""
    near = torch.minimum(a, b)
    sides = (near[:, :2] + near[:, 2:]).clamp(min=0)
    intersection = sides[:, 0] * sides[:, 1]
    area_a = (a[:, 0] + a[:, 2]) * (a[:, 1] + a[:, 3])
    area_b = (b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3])
    return intersection, area_a + area_b - intersection


def ltrb_iou(a: Float[Tensor, "N 4"], b: Float[Tensor, "N 4"], eps: float = EPS) -> Float[Tensor, " N"]:
    """IoU of two boxes around the same point, row by row."""
    intersection, union = ltrb_overlap(a, b)
    return intersection / union.clamp(min=eps)


def ltrb_giou(a: Float[Tensor, "N 4"], b: Float[Tensor, "N 4"], eps: float = EPS) -> Float[Tensor, " N"]:
    """GIoU of two boxes around the same point, row by row, in (-1, 1]."""
    return ltrb_iou_giou(a, b, eps)[1]


def ltrb_iou_giou(
    a: Float[Tensor, "N 4"], b: Float[Tensor, "N 4"], eps: float = EPS
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Both at once, for little more than the price of one."""
    intersection, union = ltrb_overlap(a, b)
    far = torch.maximum(a, b)
    hull = (far[:, 0] + far[:, 2]) * (far[:, 1] + far[:, 3])
    iou = intersection / union.clamp(min=eps)
    return iou, iou - (hull - union) / hull.clamp(min=eps)
