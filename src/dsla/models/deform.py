"""Deformable convolution: the kernel's places are moved by what an ordinary convolution says at each point.

    v1    y(p) = sum_k w_k * x(p + p_k + d_k(p))               Dai et al., ICCV 2017, arXiv 1703.06211
    v2    y(p) = sum_k w_k * x(p + p_k + d_k(p)) * m_k(p)      Zhu et al., CVPR 2019, arXiv 1811.11168

x between pixels is bilinear, 0 outside. The offsets d and the masks m come from the convolution `offset`, which starts
from zeros: v1 then is the plain convolution, v2 half of it.

Letters: B images, K places of the kernel, S channels of the convolution `offset`.
"""

from typing import Literal, TypeAlias

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from dsla.errors import ModelError

Version: TypeAlias = Literal["v1", "v2"]


class DeformConv(nn.Conv2d):
    """A convolution with moved places.

    `weight` and `bias` are those of the plain convolution. `offset` is a convolution of the same kernel, stride,
    padding and dilation with 2K channels for v1, (y, x) of each place row by row, and 3K for v2: the same 2K, then K
    masks before their sigmoid. That is the layout of mmcv's `conv_offset`.

    Args:
        version: "v1" moves, "v2" moves and weighs.
        others: as for `torch.nn.Conv2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        version: Version = "v2",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.version: Version = version
        places = self.kernel_size[0] * self.kernel_size[1]
        self.offset = nn.Conv2d(
            in_channels, (2 if version == "v1" else 3) * places, kernel_size, stride, padding, dilation
        )
        self.reset_offset()

    def reset_offset(self) -> None:
        """Let every place lie where a plain convolution has it."""
        nn.init.zeros_(self.offset.weight)
        assert self.offset.bias is not None
        nn.init.zeros_(self.offset.bias)

    def forward(self, input: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        return self._deformed(input, self.weight, self.bias)

    def _deformed(self, x: Float[Tensor, "B _ _ _"], weight: Tensor, bias: Tensor | None) -> Float[Tensor, "B _ _ _"]:
        said: Float[Tensor, "B S _ _"] = self.offset(x)
        places = self.kernel_size[0] * self.kernel_size[1]
        mask = said[:, 2 * places :].sigmoid() if self.version == "v2" else None
        return deform_conv2d(
            x,
            said[:, : 2 * places],
            weight,
            bias,
            stride=self.stride,  # pyright: ignore[reportArgumentType]
            padding=self.padding,  # pyright: ignore[reportArgumentType]
            dilation=self.dilation,  # pyright: ignore[reportArgumentType]
            mask=mask,
        )


def deformed(conv: nn.Conv2d, version: Version) -> DeformConv:
    """A deformable convolution with a plain one's form and its very parameters."""
    twin = DeformConv(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # pyright: ignore[reportArgumentType]
        stride=conv.stride,  # pyright: ignore[reportArgumentType]
        padding=conv.padding,  # pyright: ignore[reportArgumentType]
        dilation=conv.dilation,  # pyright: ignore[reportArgumentType]
        groups=conv.groups,
        bias=conv.bias is not None,
        version=version,
    )
    twin.weight, twin.bias = conv.weight, conv.bias
    return twin


def deform_convolutions(name: str, net: nn.Module, version: Version, *, but: frozenset[str]) -> None:
    """Make the 3x3 convolutions of a backbone deformable; the names of their parameters stay.

    Args:
        name: of the backbone, for the message.
        net: its feature network, with its weights; it is changed in place.
        version: of the deformable convolution.
        but: names of modules that stay as they are.

    Raises:
        ModelError: if there is no such convolution.
    """
    found = [
        (path, module)
        for path, module in net.named_modules()
        if type(module) is nn.Conv2d and module.kernel_size == (3, 3) and path not in but
    ]
    if not found:
        raise ModelError(
            f"backbone {name}: no plain 3x3 convolutions in the stages that were to be deformable; "
            "set model.dcn=null and model.dcn_stages=0, or choose a ResNet or ResNeXt"
        )
    for path, conv in found:
        parent, _, last = path.rpartition(".")
        setattr(net.get_submodule(parent), last, deformed(conv, version))
