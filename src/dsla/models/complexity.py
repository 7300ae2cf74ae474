"""What a network amounts to: its parameters, and the multiply-adds that one picture costs.

Counted are the multiplications of convolutions and matrix products, an addition with each, as the papers of ResNet,
FCOS and torchvision's documentation count; not norms, activations and sampling between pixels, that of deformable
convolutions included. A network on torch's meta device has shapes and no numbers, so counting costs next to nothing.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torchvision.ops  # noqa: F401  # pyright: ignore[reportUnusedImport]  # registers what is named below
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Complexity:
    """The size of a network.

    Attributes:
        parameters: all of them, those of frozen batch norms included; buffers not.
        trainable: those that take a gradient.
        multiply_adds: of the forward pass on one picture, without the choice of detections.
    """

    parameters: int
    trainable: int
    multiply_adds: int


def complexity_of(network: nn.Module, size: tuple[int, int]) -> Complexity:
    """Count parameters and multiply-adds; the network stays as it is.

    Args:
        network: takes pictures (B, 3, H, W); on any device, the meta device included.
        size: (h, w) of a picture as the network sees it, in pixels.
    """
    parameters = list(network.parameters())
    outline = copy.deepcopy(network).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_OURS) as counter:
        outline(torch.empty(1, 3, *size, device="meta"))
    return Complexity(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        multiply_adds=counter.get_total_flops() // 2,
    )


def _deformable(_: Any, weight: Sequence[int], *others: Any, out_shape: Sequence[int], **more: Any) -> int:
    """Multiplications and additions of a deformable convolution: those of the plain one of its form."""
    return 2 * math.prod(weight) * out_shape[0] * math.prod(out_shape[2:])


_OURS = {torch.ops.torchvision.deform_conv2d: _deformable}
