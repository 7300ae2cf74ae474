"""The detector: backbone, feature pyramid and shared head under one roof.

Letters: B images, H and W pixels of the network's input.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from dsla.errors import ConfigError
from dsla.models.backbone import Style, Weights, build_backbone
from dsla.models.deform import Version
from dsla.models.fpn import FeaturePyramid, backbone_levels
from dsla.models.head import BoxMode, Head, HeadOutput

POSITION_TABLES = ("pos_embed", "position_bias_table")  # of transformers; two-dimensional, yet not decayed


def inside(sizes: Int[Tensor, "B 2"], size: tuple[int, int]) -> Bool[Tensor, "B 1 H W"]:
    """Which pixels belong to the pictures, and not to their padding.

    Args:
        sizes: true (h, w) of each picture, in pixels.
        size: (H, W) that they are padded to, at the bottom and right.
    """
    rows = torch.arange(size[0], device=sizes.device) < sizes[:, :1]  # (B, H)
    columns = torch.arange(size[1], device=sizes.device) < sizes[:, 1:]  # (B, W)
    return rows[:, None, :, None] & columns[:, None, None, :]


class Detector(nn.Module):
    """An anchor-free detector that says at every point of its pyramid what is there and where its sides are.

    Args:
        num_classes: classes, background not counted.
        backbone: any name of timm.
        weights: where the backbone's weights come from: "bundled", "timm", "none", or a file.
        levels: levels of the pyramid, an unbroken run within 2 to 7; level n has stride 2**n.
        width: channels of pyramid and head.
        convs: convolutions in each of the head's two towers.
        groups: groups of the head's GroupNorms.
        box: how the head says distances, see `dsla.models.head`.
        quality_branch: add FCOS's centerness branch.
        offset: position of a point in its cell, in strides; 0.0 as in the released DSLA code.
        frozen_stages: the stem and so many stages of the backbone are not trained; stage n ends with C(n+1).
        freeze_norm: the backbone's batch norms keep their statistics, and scale and shift if `freeze_affine`.
        extra_from: levels above 5 are made from the backbone's C5 or the pyramid's P5.
        prior: probability that every class starts with.
        initial_side: distance to each side at the start, see `dsla.models.head.Head`.
        style: "caffe" has a residual network's strides in the first 1x1 convolutions, see `dsla.models.caffe`.
        colour: order of the channels that the backbone's weights expect; pictures are RGB everywhere else.
        mean, std: of the network's channels in that order, in pixels of [0, 1]; None is what the weights expect.
        dcn, dcn_stages: version of the deformable 3x3 convolutions, and how many of the last stages have them.
        head_dcn: the last convolution of each tower is deformable.
        drop_path: rate of stochastic depth in the backbone's last block.
        feature_norm: a layer norm on each of the backbone's features.

    Raises:
        ModelError: if the backbone or its weights cannot be had.
        ConfigError: if arguments contradict each other.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        backbone: str = "tf_efficientnet_lite0",
        weights: Weights = "bundled",
        levels: tuple[int, ...] = (3, 4, 5, 6, 7),
        width: int = 64,
        convs: int = 2,
        groups: int = 16,
        box: BoxMode = "exp",
        quality_branch: bool = False,
        offset: float = 0.5,
        frozen_stages: int = 0,
        freeze_norm: bool = True,
        freeze_affine: bool = True,
        extra_from: Literal["c5", "p5"] = "p5",
        prior: float = 0.01,
        initial_side: float | None = None,
        style: Style = "pytorch",
        colour: Literal["rgb", "bgr"] = "rgb",
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
        dcn: Version | None = None,
        dcn_stages: int = 0,
        head_dcn: bool = False,
        drop_path: float = 0.0,
        feature_norm: bool = False,
    ) -> None:
        super().__init__()
        if std is not None and min(std) <= 0:
            raise ConfigError(f"std is {list(std)}; every channel's must be positive")
        self.num_classes = num_classes
        self.levels = tuple(levels)
        self.strides = tuple(2**n for n in levels)
        self.backbone = build_backbone(
            backbone,
            weights,
            backbone_levels(levels),
            frozen_stages=frozen_stages,
            freeze_norm=freeze_norm,
            freeze_affine=freeze_affine,
            style=style,
            dcn=dcn,
            dcn_stages=dcn_stages,
            drop_path=drop_path,
            feature_norm=feature_norm,
        )
        self.divisor = self.backbone.strides[-1]
        self.neck = FeaturePyramid(self.backbone.channels, levels, width, extra_from)
        self.head = Head(
            num_classes=num_classes,
            width=width,
            convs=convs,
            groups=groups,
            strides=self.strides,
            box=box,
            quality_branch=quality_branch,
            offset=offset,
            prior=prior,
            initial_side=initial_side,
            dcn=head_dcn,
        )
        self.colour: Literal["rgb", "bgr"] = colour
        order = 1 if colour == "rgb" else -1
        self.register_buffer("mean", torch.tensor(mean or self.backbone.mean[::order]))
        self.register_buffer("std", torch.tensor(std or self.backbone.std[::order]))
        # Takes a quarter off a training step on a CPU. Pictures alone would not do: gradients would then have
        # other strides than their parameters, and DDP warns.
        self.to(memory_format=torch.channels_last)

    def preprocess(self, images: UInt8[Tensor, "B 3 H W"], sizes: Int[Tensor, "B 2"]) -> Float[Tensor, "B 3 H W"]:
        """Bring RGB pictures to the colours and the scale that the weights expect; padding becomes exactly 0.

        Element by element, so a picture gives the same numbers whatever stands beside it in the batch.

        Args:
            images: pictures padded at the bottom and right to one size.
            sizes: true (h, w) of each picture, in pixels.
        """
        x = (images if self.colour == "rgb" else images.flip(1)).to(self.mean.dtype)
        x = x.sub_((self.mean * 255).view(3, 1, 1)).div_((self.std * 255).view(3, 1, 1))
        H, W = x.shape[-2:]
        # A graph that is being exported cannot branch on its inputs.
        if not torch.compiler.is_exporting() and bool((sizes == sizes.new_tensor([H, W])).all()):
            return x
        return x.mul_(inside(sizes, (H, W)))

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> HeadOutput:
        """Say what is where, for preprocessed pictures of any size.

        Pictures are padded with zeros at the bottom and right to a multiple of the backbone's last stride, so
        the points may lie beyond H and W.
        """
        H, W = images.shape[-2:]
        bottom, right = -H % self.divisor, -W % self.divisor
        if bottom or right:
            images = F.pad(images, (0, right, 0, bottom))
        images = images.contiguous(memory_format=torch.channels_last)
        return self.head(self.neck(self.backbone(images)))

    def parameter_groups(
        self, lr: float, backbone_factor: float, weight_decay: float, bias_factor: float = 1.0
    ) -> list[dict[str, Any]]:
        """Sort the trainable parameters into groups for an optimiser.

        No decay on norms, biases, level scales and transformers' position tables.

        Args:
            lr: learning rate of neck and head.
            backbone_factor: the backbone's learning rate, as a share of `lr`.
            weight_decay: decay of the weights.
            bias_factor: rate of convolutions' and linear layers' biases, as a multiple (2 in the official
                recipes).
        """
        groups: dict[str, dict[str, Any]] = {}
        for module, name, parameter in self._trainable():
            is_backbone = module.startswith("backbone.")
            owner = self.get_submodule(module) if module else self
            is_bias = name == "bias" and isinstance(owner, nn.Conv2d | nn.Linear)
            decays = parameter.ndim > 1 and not name.endswith(POSITION_TABLES)
            kind = "bias" if is_bias else "weight" if decays else "norm"
            rate = lr * (backbone_factor if is_backbone else 1.0) * (bias_factor if is_bias else 1.0)
            key = f"{'backbone' if is_backbone else 'head'}_{kind}"
            empty = {"name": key, "params": [], "lr": rate, "weight_decay": weight_decay if decays else 0.0}
            groups.setdefault(key, empty)["params"].append(parameter)
        return list(groups.values())

    def _trainable(self) -> Iterator[tuple[str, str, nn.Parameter]]:
        for path, parameter in self.named_parameters():
            if parameter.requires_grad:
                module, _, name = path.rpartition(".")
                yield module, name, parameter
