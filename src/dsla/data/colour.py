"""Brightness, contrast and saturation in one pass over the pixels.

torchvision's three functions make a picture of bytes each, rounded down and cut to 0..255. Here their product is
applied at once: with grey g(x) = 0.2989 R + 0.587 G + 0.114 B and its mean m over the picture,

    b c s x  +  b c (1 - s) g(x)  +  (1 - c) b m

is the same blend of each with black, with the mean and with grey. It rounds once and cuts once, so that nothing is lost
in between, and takes a quarter of the time. The mean is made of whole numbers: it does not depend on the order in which
threads add them up.
"""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from dsla.data.malloc_memory import empty

_GREY = (0.2989, 0.587, 0.114)  # ITU-R 601-2, as torchvision and Pillow have it


def recolour(
    image: UInt8[Tensor, "3 H W"], brightness: float = 1.0, contrast: float = 1.0, saturation: float = 1.0
) -> UInt8[Tensor, "3 H W"]:
    """Change a picture's colours by factors; 1 leaves each as it is.

    The result has its channels one after another in memory, as a batch has them, whatever the picture's are.
    """
    planes = empty(*image.shape).copy_(image)
    grey, work = empty(2, *image.shape[1:], dtype=np.float32)
    grey.zero_()
    total = 0.0
    for plane, part in zip(planes, _GREY, strict=True):
        grey.add_(work.copy_(plane), alpha=part)
        total += part * float(work.sum(dim=1).sum(dtype=torch.float64))  # whole numbers, up to 65,793 pixels across
    mean = total / max(grey.numel(), 1)
    grey.mul_(brightness * contrast * (1 - saturation)).add_((1 - contrast) * brightness * mean + 0.5)
    whole = work.view(torch.int32)  # torch makes bytes of these faster than of floats
    for plane in planes:  # a channel at a time: all three as floats are four pictures
        work.copy_(plane).mul_(brightness * contrast * saturation).add_(grey).clamp_(0, 255)
        plane.copy_(whole.copy_(work))
    return planes
