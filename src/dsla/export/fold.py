"""A detector made ready for export: batch norms folded into the convolutions for good, padding that is known.

Training folds frozen batch norms anew at each step (`dsla.models.frozen_norm`), since their convolutions learn. An
exported network does not learn, and a run-time should find a plain convolution with plain numbers.
"""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from dsla.models import Detector
from dsla.models.frozen_norm import (
    FoldedConv,
    FoldedConvSame,
    FoldedNorm,
    FoldedNormAct,
    fold_frozen_norms,
    folded_weights,
)


class PaddedConv(nn.Module):
    """A convolution of TensorFlow's "SAME" padding for inputs whose sides its stride divides.

    The padding is then the same for every size; asked of the size, it would be computed in the graph each time.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        total = [
            max((k - 1) * d + 1 - s, 0) for k, s, d in zip(conv.kernel_size, conv.stride, conv.dilation, strict=True)
        ]
        (top, bottom), (left, right) = ((side // 2, side - side // 2) for side in total)
        self.padding = (left, right, top, bottom)

    def forward(self, x: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        """Pad and convolve."""
        return self.conv(F.pad(x, self.padding))


def folded(detector: Detector) -> Detector:
    """A copy in evaluation mode, on the CPU, that computes the same with fewer operations."""
    twin = copy.deepcopy(detector).to("cpu").eval()
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    net = twin.backbone.net
    fold_frozen_norms(net)  # those that learned stand still now too
    for name, module in list(net.named_modules()):
        found: Any = module  # timm's layers are not typed
        if isinstance(module, FoldedConv | FoldedConvSame):
            _replace(net, name, _baked(found, *folded_weights(found, found.norm_after[0])))
        elif isinstance(module, Conv2dSame):
            _replace(net, name, _baked(found, found.weight, found.bias))
        elif isinstance(module, FoldedNormAct):
            _replace(net, name, nn.Sequential(found.drop, found.act))
        elif isinstance(module, FoldedNorm):
            _replace(net, name, nn.Identity())
    return twin


def _replace(net: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(net.get_submodule(parent), child, module)


def _baked(conv: Any, weight: Tensor, bias: Tensor | None) -> nn.Module:
    same = isinstance(conv, Conv2dSame)
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        0 if same else conv.padding,
        conv.dilation,
        conv.groups,
        bias=bias is not None,
    )
    with torch.no_grad():
        plain.weight.copy_(weight)
        if bias is not None and plain.bias is not None:
            plain.bias.copy_(bias)
    plain.requires_grad_(False)
    return PaddedConv(plain) if same else plain
