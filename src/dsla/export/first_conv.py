"""The colours' mean and scale put into the weights of a network's first convolution, which then takes bytes.

What an 8-bit graph would otherwise compute in 32 bits before its first convolution, and round afterwards, is gone, and
the bytes lose nothing. Bytes count from the middle grey, so that weights that were rounded meet small numbers. A fourth
channel says where the picture is: its weights make up for what is between that grey and the colours' means, so that
padding, the convolution's own too, still counts as exactly the mean. Four is also the number of channels from which
run-times have fast 8-bit convolutions.

Letters: B images, H and W pixels.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from dsla.export.fold import PaddedConv
from dsla.models import Detector
from dsla.models.detector import inside

MIDDLE, MOST = 114, 255  # the first is near the mean of photographs


def centred_bytes(images: UInt8[Tensor, "B 3 H W"], sizes: Int64[Tensor, "B 2"]) -> Float[Tensor, "B 4 H W"]:
    """The pictures' bytes and a channel that says where they are, less the middle grey; in place of `preprocess`."""
    within = inside(sizes, (images.shape[2], images.shape[3]))
    middle, most = (torch.tensor(value, dtype=torch.uint8) for value in (MIDDLE, MOST))
    channels = torch.cat([torch.where(within, images, middle), torch.where(within, most, middle)], dim=1)
    return channels.float() - MIDDLE


def take_bytes(detector: Detector) -> bool:
    """Change the first convolution so that the network takes `centred_bytes`.

    Args:
        detector: folded, see `dsla.export.fold`; it is altered.

    Returns whether it was changed: a network that does not start with a convolution of its input stays as it is.
    """
    conv = _first(detector)
    if conv is None:
        return False
    weight = conv.weight.detach() / (MOST * detector.std.view(1, 3, 1, 1))
    away = MIDDLE - MOST * detector.mean.view(1, 3, 1, 1)
    place = (weight * away).sum(dim=1, keepdim=True) / (MOST - MIDDLE)
    colours = weight if detector.colour == "rgb" else weight.flip(1)
    conv.weight = nn.Parameter(torch.cat([colours, place], dim=1), requires_grad=False)
    conv.in_channels = 4
    return True


def _first(detector: Detector) -> nn.Conv2d | None:
    """The convolution that the network's input goes into."""
    picture = torch.rand(1, 3, detector.divisor, detector.divisor)
    takers: list[nn.Module] = []

    def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if torch.equal(inputs[0], picture):
            takers.append(module)

    hooks = [
        module.register_forward_pre_hook(look)
        for module in detector.backbone.modules()
        if isinstance(module, nn.Conv2d | PaddedConv)
    ]
    try:
        with torch.no_grad():
            detector.backbone(picture)
    finally:
        for hook in hooks:
            hook.remove()
    convs = {module.conv if isinstance(module, PaddedConv) else module for module in takers}
    conv = convs.pop() if len(convs) == 1 else None
    if not isinstance(conv, nn.Conv2d) or conv.groups > 1 or conv.padding_mode != "zeros":
        return None
    return conv
