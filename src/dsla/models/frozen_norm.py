"""Frozen batch norms, folded into the convolutions before them while the network runs.

A batch norm with frozen statistics is y = a * x + b a channel, so norm(conv(x, w)) = conv(x, a * w) + b. Scaling the
weights costs nothing; scaling the feature map means reading and writing all of it, twice more in the backward pass.
Parameters, buffers and their names stay as they are, and gradients reach weight, scale and shift.
"""

from typing import Any

import torch
from jaxtyping import Float
from timm.layers import BatchNormAct2d, DropPath
from timm.layers.conv2d_same import Conv2dSame, conv2d_same
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from dsla.models.deform import DeformConv


class FoldedConv(nn.Conv2d):
    """A convolution that does the scaling of the norm after it."""

    norm_after: tuple[_BatchNorm]  # in a tuple, so that it is not a submodule a second time

    def forward(self, input: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        return self._conv_forward(input, *folded_weights(self, self.norm_after[0]))


class FoldedConvSame(Conv2dSame):
    """The same with TensorFlow's "SAME" padding, as timm has it."""

    norm_after: tuple[_BatchNorm]

    def forward(self, x: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        weight, bias = folded_weights(self, self.norm_after[0])
        return conv2d_same(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)  # pyright: ignore[reportArgumentType]


class FoldedDeformConv(DeformConv):
    """The same with moved places; the convolution that says where has no norm of its own."""

    norm_after: tuple[_BatchNorm]

    def forward(self, input: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        return self._deformed(input, *folded_weights(self, self.norm_after[0]))


class FoldedNorm(nn.BatchNorm2d):
    """A batch norm whose work the convolution before it has done."""

    def forward(self, input: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        return input


class FoldedNormAct(BatchNormAct2d):
    """timm's norm with activation, of which the activation is left."""

    drop: nn.Module
    act: nn.Module

    def forward(self, x: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        return self.act(self.drop(x))


_CONVS: dict[type, type] = {nn.Conv2d: FoldedConv, Conv2dSame: FoldedConvSame, DeformConv: FoldedDeformConv}
_NORMS: dict[type, type] = {nn.BatchNorm2d: FoldedNorm, BatchNormAct2d: FoldedNormAct}


def fold_frozen_norms(net: nn.Module) -> int:
    """Fold each frozen batch norm of a network that directly follows a convolution; count them.

    The pairs are found by tracing. Networks that cannot be traced, and norms that follow something else, keep
    running as they are, with the same result. The norms must stay in evaluation mode from here on.
    """
    try:
        nodes = list(_Tracer().trace(net).nodes)
    except Exception:  # tracing fails in as many ways as networks are written; it only costs the speed-up
        return 0
    modules: dict[str, Any] = dict(net.named_modules())
    used = [node.target for node in nodes if node.op == "call_module"]
    folded = 0
    for node in nodes:
        if node.op != "call_module" or type(modules[str(node.target)]) not in _NORMS:
            continue
        before = node.args[0]
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        conv, norm = modules[str(before.target)], modules[str(node.target)]
        once = used.count(before.target) == used.count(node.target) == 1
        if type(conv) not in _CONVS or not once or not norm.track_running_stats or not norm.affine:
            continue
        conv.__class__, norm.__class__ = _CONVS[type(conv)], _NORMS[type(norm)]
        conv.norm_after = (norm,)
        folded += 1
    return folded


def unfold_frozen_norms(net: nn.Module) -> None:
    """Undo `fold_frozen_norms`: every norm does its own work again."""
    plain = {folded: original for original, folded in (_CONVS | _NORMS).items()}
    for module in net.modules():
        if type(module) in plain:
            module.__class__ = plain[type(module)]
            vars(module).pop("norm_after", None)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _BatchNorm | nn.Conv2d | DropPath) or super().is_leaf_module(m, module_qualified_name)


def folded_weights(conv: Any, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Give weight and bias of a convolution and the norm after it in one."""
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    if conv.bias is not None:
        shift = shift + conv.bias * scale
    return conv.weight * scale.view(-1, 1, 1, 1), shift
