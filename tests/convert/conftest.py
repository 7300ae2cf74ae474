"""A torchvision FCOS with random weights that finds something, its model file, and pictures to look at."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import fcos_resnet50_fpn

from dsla.convert import Conversion, convert
from dsla.engine.predict import Predictor, load


class Pair(NamedTuple):
    """The same detector twice."""

    theirs: nn.Module
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


@torch.no_grad()
def make_it_find_something(net: nn.Module) -> None:
    """Random statistics of the norms, and last convolutions with scores from 0 to 1 and boxes of some strides."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.0)
            module.bias.normal_(std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2.0)
    head: dict[str, Tensor] = {name: parameter for name, parameter in net.named_parameters() if "head." in name}
    for name, size in (("cls_logits", 8.0), ("bbox_reg", 5.0), ("bbox_ctrness", 10.0)):
        part = next(value for key, value in head.items() if key.endswith(f"{name}.weight"))
        part.mul_(size)
    for name, value in head.items():
        if name.endswith("bbox_reg.bias"):
            value.fill_(3.0)
        if name.endswith("bbox_ctrness.bias"):
            value.fill_(1.0)
