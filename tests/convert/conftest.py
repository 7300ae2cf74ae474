"""A torchvision FCOS with random weights that finds something, and its model file."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.detection import FCOS, FCOS_ResNet50_FPN_Weights, fcos_resnet50_fpn
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.fcos import FCOSHead
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from dsla.convert import Conversion, convert
from dsla.engine.predict import Predictor, load


class Pair(NamedTuple):
    """The same detector twice."""

    theirs: FCOS
    file: Path
    conversion: Conversion
    ours: Predictor


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    torch.manual_seed(0)
    theirs = fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91).eval()
    make_it_find_something(theirs)
    folder = tmp_path_factory.mktemp("torchvision")
    torch.save(theirs.state_dict(), folder / "fcos.pth")
    conversion = convert(folder / "fcos.pth", folder / "fcos.safetensors", "torchvision")
    return Pair(theirs, folder / "fcos.pth", conversion, load(conversion.model))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The same of ResNet-18 and 32 channels, for what does not depend on the size."""
    torch.manual_seed(1)
    pyramid = BackboneWithFPN(
        resnet18(weights=None),
        {f"layer{i}": str(i) for i in (2, 3, 4)},
        in_channels_list=[128, 256, 512],
        out_channels=32,
        extra_blocks=LastLevelP6P7(32, 32),
    )
    theirs = FCOS(pyramid, num_classes=91, head=FCOSHead(32, 1, 91, num_convs=2)).eval()
    make_it_find_something(theirs)
    folder = tmp_path_factory.mktemp("small")
    torch.save(theirs.state_dict(), folder / "fcos.pth")
    conversion = convert(folder / "fcos.pth", folder / "fcos.safetensors", "torchvision")
    return Pair(theirs, folder / "fcos.pth", conversion, load(conversion.model))


@torch.no_grad()
def make_it_find_something(net: FCOS) -> None:
    """Random statistics of the norms, and last convolutions with scores from 0 to 1 and boxes of some strides."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.weight.uniform_(0.5, 1.0)
            module.bias.normal_(std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2.0)
    classes = net.head.classification_head.cls_logits
    boxes, centerness = net.head.regression_head.bbox_reg, net.head.regression_head.bbox_ctrness
    classes.weight.mul_(4.0)
    boxes.weight.mul_(3.0)
    boxes.bias.fill_(3.0)
    centerness.weight.mul_(10.0)
    centerness.bias.fill_(1.0)
    # A trained network never says what has no pictures.
    names = FCOS_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    unused = [i for i, name in enumerate(names) if name in ("__background__", "N/A")]
    classes.weight[unused] = 0.0
    classes.bias[unused] = -20.0
