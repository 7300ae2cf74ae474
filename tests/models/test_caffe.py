"""Caffe's style of residual networks: where strides are, what is refused, and the cost that its paper gives."""

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from dsla.errors import ModelError
from dsla.models.backbone import build_backbone
from dsla.models.caffe import stride_in_first


def strides(net) -> dict[str, tuple[int, int]]:
    convs = {n: m for n, m in net.named_modules() if isinstance(m, torch.nn.Conv2d)}
    return {name: conv.stride for name, conv in convs.items() if conv.stride != (1, 1)}


@pytest.mark.parametrize("name", ["resnet50", "resnext50_32x4d"])
def test_the_first_convolution_of_a_stage_has_its_stride(name):
    stages = [f"layer{n}.0" for n in (2, 3, 4)]
    with torch.device("meta"):
        plain, moved = (build_backbone(name, "none", (3, 4, 5), style=style) for style in ("pytorch", "caffe"))
    same = {"conv1", *(f"{stage}.downsample.0" for stage in stages)}
    assert set(strides(plain.net)) == same | {f"{stage}.conv2" for stage in stages}
    assert set(strides(moved.net)) == same | {f"{stage}.conv1" for stage in stages}
    assert {n: p.shape for n, p in plain.named_parameters()} == {n: p.shape for n, p in moved.named_parameters()}
    x = torch.zeros(1, 3, 64, 96, device="meta")
    assert [f.shape for f in moved(x)] == [f.shape for f in plain(x)]


def test_multiply_adds_are_those_of_the_paper():
    """He et al., table 1, count 3.8 thousand million for ResNet-50 at 224 px; the other style has 6 % more."""
    with torch.device("meta"):
        net = timm.create_model("resnet50")
    counts = []
    for change in (False, True):
        if change:
            stride_in_first("resnet50", net)
        with FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, 3, 224, 224, device="meta"))
        counts.append(counter.get_total_flops() / 2)
    assert counts[1] == pytest.approx(3.8e9, rel=0.02)
    assert counts[0] > 1.05 * counts[1]


def test_pixels_are_not_scaled():
    with torch.device("meta"):
        backbone = build_backbone("resnet50", "none", (3,), style="caffe")
    assert [255 * s for s in backbone.std] == pytest.approx([1, 1, 1])
    assert [255 * m for m in backbone.mean] == pytest.approx([123.675, 116.28, 103.53])


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "test_convnext"])
def test_networks_without_such_blocks_are_refused(name):
    with pytest.raises(ModelError, match=rf"backbone {name}: no bottleneck blocks .* model\.style=pytorch"):
        build_backbone(name, "none", (3,), style="caffe")
