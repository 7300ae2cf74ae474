"""Brightness, contrast and saturation in one pass over the pixels.

torchvision's three functions make a picture of bytes each, rounded down and cut to 0..255. Here their product is
applied at once: with grey g(x) = 0.2989 R + 0.587 G + 0.114 B and its mean m over the picture,

    b c s x  +  b c (1 - s) g(x)  +  (1 - c) b m

is the same blend of each with black, with the mean and with grey. It rounds once and cuts once, so that nothing is lost
in between, and takes a quarter of the time. The mean is made of whole numbers: it does not depend on the order in which
threads add them up.
"""

import torch
from jaxtyping import UInt8
from torch import Tensor

_GREY = (0.2989, 0.587, 0.114)  # ITU-R 601-2, as torchvision and Pillow have it

_INT32 = (2**31 - 1) // 255  # pixels whose sum has room in the narrower, faster number


def recolour(
    image: UInt8[Tensor, "3 H W"], brightness: float = 1.0, contrast: float = 1.0, saturation: float = 1.0
) -> UInt8[Tensor, "3 H W"]:
    """Change a picture's colours by factors; 1 leaves each as it is.

    The result has its channels one after another in memory, as a batch has them, whatever the picture's are.
    """
    planes = image.clone(memory_format=torch.contiguous_format)
    pixels = planes[0].numel()
    dtype = torch.int32 if pixels <= _INT32 else torch.int64
    total = planes.flatten(1).sum(dim=1, dtype=dtype).tolist()
    mean = sum(part * count for part, count in zip(_GREY, total, strict=True)) / max(pixels, 1)
    grey = planes[0].float().mul_(_GREY[0])
    for plane, part in zip(planes[1:], _GREY[1:], strict=True):
        grey.add_(plane, alpha=part)
    grey.mul_(brightness * contrast * (1 - saturation)).add_((1 - contrast) * brightness * mean + 0.5)
    work = torch.empty_like(grey)
    for plane in planes:  # a channel at a time: all three as floats are four pictures
        plane.copy_(work.copy_(plane).mul_(brightness * contrast * saturation).add_(grey).clamp_(0, 255))
    return planes
