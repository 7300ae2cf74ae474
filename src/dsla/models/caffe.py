"""Residual networks in the style of their first release in Caffe (He et al., CVPR 2016, arXiv 1512.03385).

The stride of a stage sits in the first 1x1 convolution of its first block; torchvision and timm have it in the 3x3
one, which costs a little more and classifies better. The names and shapes of the parameters are the same, so weights
of one style load into the other without a word, and are wrong there.
"""

from timm.models.resnet import Bottleneck
from torch import nn

from dsla.errors import ModelError

CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)  # of pixels in [0, 1]: its weights want pixels of 0 to 255 without a scale


def stride_in_first(name: str, net: nn.Module) -> None:
    """Move the stride of each stage from the 3x3 convolution of its first block to the 1x1 before it.

    Args:
        name: of the backbone, for the message.
        net: its feature network; it is changed in place.

    Raises:
        ModelError: if it has no such blocks, or their stride is made by other means.
    """
    moved = 0
    for block in net.modules():
        if isinstance(block, Bottleneck) and tuple(block.conv2.stride) != (1, 1):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
            moved += 1
    if not moved:
        raise ModelError(
            f"backbone {name}: no bottleneck blocks with a stride in their 3x3 convolution, which model.style=caffe "
            "would move; use a plain ResNet or ResNeXt from resnet50 on, or model.style=pytorch"
        )
