"""The head that all levels share: a class and a box tower (Tian et al., "FCOS"; Su et al., "DSLA").

Letters: B images, P points over all levels, C classes. A tower is n times 3x3 convolution, GroupNorm, ReLU.
With z = scale_level * (box convolution's output), the distances to the four sides are, in pixels:

    exp          exp(z)              the papers' R-50 recipes: no stride in it
    relu         relu(z) * stride    FCOS's and DSLA's later recipes (`norm_on_bbox`)
    softplus     softplus(z) * stride
    exp-stride   exp(z) * stride

Exponents are cut at ln(1e5): a side never overflows, and no picture has a longer one.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dsla.errors import ConfigError
from dsla.geometry.points import Points
from dsla.models.deform import DeformConv

BoxMode: TypeAlias = Literal["exp", "relu", "softplus", "exp-stride"]

EXPONENT_CAP = math.log(1e5)
START_STRIDES = 3.0


@dataclass(frozen=True, eq=False)
class HeadOutput:
    """What the detector says of a batch, the same in training and evaluation.

    Attributes:
        logits: (B, P, C) class scores before the sigmoid.
        ltrb: (B, P, 4) distances from each point to the four sides, pixels of the network's input, >= 0,
            float32.
        points: the P points, level-major, then row-major.
        quality: (B, P) logits of FCOS's centerness branch, where there is one.
    """

    logits: Float[Tensor, "B P C"]
    ltrb: Float[Tensor, "B P 4"]
    points: Points
    quality: Float[Tensor, "B P"] | None = None


class Head(nn.Module):
    """Class scores and boxes at every point of every level, by the same convolutions.

    Args:
        num_classes: C.
        width: channels of the pyramid and of the towers.
        convs: convolutions of a tower.
        groups: groups of its GroupNorms.
        strides: of the levels.
        box: how the convolution's output becomes distances, see above.
        quality_branch: one more logit a point, on the box tower.
        offset: position of a point in its cell, in strides.
        prior: probability that every class starts with (focal loss, Lin et al., 2017).
        initial_side: distance to each side at the start: strides, or pixels for "exp". By default the bias of
            "exp" is 0 as published (1 pixel) and the others start at 3 strides, the middle of what a level is
            given; for "relu" that also keeps every point alive. `initial_side=0` with "relu" is the published
            start.
        dcn: make the last convolution of each tower deformable (v2), as mmdet's `dcn_on_last_conv` does.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        width: int,
        convs: int,
        groups: int,
        strides: Sequence[int],
        box: BoxMode = "exp",
        quality_branch: bool = False,
        offset: float = 0.5,
        prior: float = 0.01,
        initial_side: float | None = None,
        dcn: bool = False,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ConfigError(f"a detector of {num_classes} classes: at least one is needed")
        if width % groups:
            raise ConfigError(
                f"head of width {width}: {groups} groups of GroupNorm do not divide it; choose model.groups so"
            )
        if not 0 < prior < 1:
            raise ConfigError(f"class prior {prior}: must lie between 0 and 1")
        if dcn and convs == 0:
            raise ConfigError("a deformable head without convolutions; set model.convs to 1 or more")
        self.strides, self.offset = tuple(strides), offset
        self.box_mode: BoxMode = box
        self.class_tower = _tower(width, convs, groups, dcn)
        self.box_tower = _tower(width, convs, groups, dcn)
        self.classes = nn.Conv2d(width, num_classes, 3, padding=1)
        self.boxes = nn.Conv2d(width, 4, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(self.strides)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _begin(module)
        for module in self.modules():
            if isinstance(module, DeformConv):
                module.reset_offset()
        # Made last: it draws from the same stream, and all else must begin alike with it and without.
        self.quality = nn.Conv2d(width, 1, 3, padding=1) if quality_branch else None
        if self.quality is not None:
            _begin(self.quality)
        _fill_bias(self.classes, -math.log((1 - prior) / prior))
        _fill_bias(self.boxes, initial_bias(box, initial_side))

    def forward(self, features: Sequence[Float[Tensor, "B _ _ _"]]) -> HeadOutput:
        """Give the output at all levels; one feature map a stride."""
        logits, ltrb, quality = self.rows(features)
        sizes = [(f.shape[2], f.shape[3]) for f in features]
        return HeadOutput(
            logits=logits,
            ltrb=ltrb,
            points=Points.lattice(sizes, self.strides, self.offset, device=features[0].device),
            quality=quality,
        )

    def rows(
        self, features: Sequence[Float[Tensor, "B _ _ _"]]
    ) -> tuple[Float[Tensor, "B P C"], Float[Tensor, "B P 4"], Float[Tensor, "B P"] | None]:
        """Give logits, distances and quality at all points, without saying where the points are."""
        logits: list[Tensor] = []
        ltrb: list[Tensor] = []
        quality: list[Tensor] = []
        for level, feature in enumerate(features):
            towered = self.box_tower(feature)
            logits.append(_rows(self.classes(self.class_tower(feature))))
            ltrb.append(_rows(self._distances(towered, level)))
            if self.quality is not None:
                quality.append(_rows(self.quality(towered)).squeeze(2))
        return torch.cat(logits, dim=1), torch.cat(ltrb, dim=1), torch.cat(quality, dim=1) if quality else None

    def _distances(self, tower: Float[Tensor, "B W h w"], level: int) -> Float[Tensor, "B 4 h w"]:
        """Give one level's distances in pixels, in float32 also under autocast: half is too coarse."""
        with _without_autocast(tower):
            z = self.boxes(tower.to(self.boxes.weight.dtype)).float() * self.scales[level].float()
        stride = self.strides[level]
        if self.box_mode == "relu":
            return F.relu(z) * stride
        if self.box_mode == "softplus":
            return F.softplus(z) * stride
        return z.clamp(max=EXPONENT_CAP).exp() * (1 if self.box_mode == "exp" else stride)


def initial_bias(box: BoxMode, side: float | None) -> float:
    """Give the bias of the box convolution with which every side starts at `side` (see `Head`).

    Raises:
        ConfigError: if the mode cannot give such a side.
    """
    if side is None:
        if box == "exp":
            return 0.0
        side = START_STRIDES
    if side < 0 or (side == 0 and box != "relu"):
        raise ConfigError(f"initial side {side}: must be positive for the box mode {box}")
    if box == "relu":
        return side
    if box == "softplus":
        return side + math.log(-math.expm1(-side))
    return math.log(side)


def _tower(width: int, convs: int, groups: int, dcn: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(convs):
        kind = DeformConv if dcn and i == convs - 1 else nn.Conv2d
        layers += [kind(width, width, 3, padding=1), nn.GroupNorm(groups, width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _rows(x: Float[Tensor, "B K h w"]) -> Float[Tensor, "B hw K"]:
    """Put the points of a level in rows, row-major."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _begin(conv: nn.Conv2d) -> None:
    nn.init.normal_(conv.weight, std=0.01)
    _fill_bias(conv, 0.0)


def _fill_bias(conv: nn.Conv2d, value: float) -> None:
    assert conv.bias is not None
    nn.init.constant_(conv.bias, value)


def _without_autocast(x: Tensor) -> AbstractContextManager[object]:
    if x.is_meta:  # has no autocast to be asked about
        return nullcontext()
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
