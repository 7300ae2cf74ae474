"""A network that takes bytes sees what it saw after `preprocess`."""

import pytest
import torch

from dsla.export.first_conv import centred_bytes, take_bytes
from dsla.export.fold import folded
from dsla.models import Detector

MEAN, STD = (0.3, 0.45, 0.6), (0.2, 0.25, 0.3)  # a grey that is far from some channel's mean


def detector(backbone: str, colour: str) -> Detector:
    torch.manual_seed(0)
    return folded(
        Detector(
            num_classes=3, backbone=backbone, weights="none", levels=(3, 4), width=8, convs=1, groups=2,
            colour=colour, mean=MEAN, std=STD, frozen_stages=0,
        )
    )  # fmt: skip


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "tf_efficientnet_lite0"])
@torch.no_grad()
def test_features_are_the_same_to_the_edge_and_beyond_it(backbone, colour):
    plain, changed = detector(backbone, colour), detector(backbone, colour)
    assert take_bytes(changed)
    images = torch.randint(0, 256, (2, 3, 96, 64), dtype=torch.uint8)  # with anything in the padding
    sizes = torch.tensor([[96, 41], [70, 64]])
    expected = plain.backbone(plain.preprocess(images, sizes))
    for feature, wanted in zip(changed.backbone(centred_bytes(images, sizes)), expected, strict=True):
        assert torch.allclose(feature, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def test_a_network_whose_input_goes_two_ways_stays_as_it_is():
    network = detector("repvgg_a0", "rgb")  # a 3x3 and a 1x1 convolution side by side
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    assert not take_bytes(network)
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
