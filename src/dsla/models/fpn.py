"""Feature pyramid (Lin et al., "Feature Pyramid Networks for Object Detection", 2017), FCOS's extra levels.

P3 to P5 come from torchvision's network; levels above 5 from 3x3 convolutions of stride 2 on C5 (RetinaNet)
or P5 (FCOS), with a ReLU before each but the first (Tian et al., "FCOS", 2019). Convolutions start from
kaiming uniform numbers with a = 1, biases from 0, as FCOS does.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from dsla.errors import ConfigError

FINEST, COARSEST_BACKBONE, COARSEST = 2, 5, 7


def backbone_levels(levels: Sequence[int]) -> tuple[int, ...]:
    """Give those of a pyramid's levels that the backbone must deliver.

    Raises:
        ConfigError: if the levels are no unbroken ascending run within 2 to 7 that starts at 5 or below.
    """
    run = tuple(levels)
    if not run or run != tuple(range(run[0], run[0] + len(run))):
        raise ConfigError(f"levels {list(run)}: must be an unbroken ascending run such as 3, 4, 5, 6, 7")
    if not FINEST <= run[0] <= COARSEST_BACKBONE or run[-1] > COARSEST:
        raise ConfigError(
            f"levels {list(run)}: must start at {FINEST} to {COARSEST_BACKBONE} and end at most at {COARSEST}"
        )
    return tuple(n for n in run if n <= COARSEST_BACKBONE)


class ExtraLevels(ExtraFPNBlock):
    """Levels above 5, each a 3x3 convolution of stride 2 on the one before, ReLU between them."""

    def __init__(self, count: int, in_channels: int, width: int, source: Literal["c5", "p5"]) -> None:
        super().__init__()
        self.source = source
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels if i == 0 else width, width, 3, stride=2, padding=1) for i in range(count)
        )
        for conv in self.convs:
            _start(conv)

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        """Append the extra levels to the pyramid `results` of the backbone's features `x`."""
        last = results[-1] if self.source == "p5" else x[-1]
        for i, conv in enumerate(self.convs):
            last = conv(last if i == 0 else F.relu(last))
            results.append(last)
            names.append(f"extra{i}")
        return results, names


class FeaturePyramid(nn.Module):
    """Feature maps of one width at every level, finest first.

    Args:
        channels: of the backbone's features, one a level of `backbone_levels(levels)`.
        levels: levels wanted.
        width: channels of every level.
        extra_from: what levels above 5 are made from.
    """

    def __init__(
        self,
        channels: Sequence[int],
        levels: Sequence[int],
        width: int,
        extra_from: Literal["c5", "p5"] = "p5",
    ) -> None:
        super().__init__()
        extra = len(levels) - len(backbone_levels(levels))
        block = ExtraLevels(extra, width if extra_from == "p5" else channels[-1], width, extra_from) if extra else None
        self.fpn = FeaturePyramidNetwork(list(channels), width, extra_blocks=block)

    def forward(self, features: Sequence[Float[Tensor, "B _ _ _"]]) -> list[Float[Tensor, "B _ _ _"]]:
        """Give the pyramid of the backbone's features; maps are enlarged to the exact size (nearest)."""
        named = OrderedDict((str(i), f) for i, f in enumerate(features))
        return list(self.fpn(named).values())


def _start(conv: nn.Module) -> None:
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    nn.init.kaiming_uniform_(conv.weight, a=1)
    nn.init.zeros_(conv.bias)
