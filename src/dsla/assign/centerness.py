"""Centerness of a point in a box (FCOS, Tian et al., ICCV 2019; DSLA starts from the same formula).

c = sqrt( min(l, r) / max(l, r) * min(t, b) / max(t, b) ), 0 outside the box
"""

import torch
from jaxtyping import Float
from torch import Tensor


def centerness(ltrb: Float[Tensor, "M 4"]) -> Float[Tensor, " M"]:
    """1 in the middle of the box, falling to 0 at its sides; 0 outside."""
    near = torch.minimum(ltrb[:, :2], ltrb[:, 2:]).clamp(min=0)
    far = torch.maximum(ltrb[:, :2], ltrb[:, 2:])
    return (near / far).prod(dim=1).sqrt()


def centerness_weight(ltrb: Float[Tensor, "M 4"]) -> Float[Tensor, " M"]:
    """Centerness as a weight of boxes; 1 for a point outside its box, which only coverage gives."""
    return torch.where(ltrb.amin(dim=1) > 0, centerness(ltrb), 1.0)
