"""Deformable convolution: what it is without offsets, and with them against sampling by `grid_sample`."""

import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from dsla.errors import ConfigError, ModelError
from dsla.models import Detector
from dsla.models.backbone import build_backbone
from dsla.models.deform import DeformConv, deform_convolutions, deformed
from dsla.models.frozen_norm import fold_frozen_norms, unfold_frozen_norms
from dsla.models.head import Head

FORMS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": 1, "stride": 2, "groups": 2},
    {"kernel_size": 3, "padding": 2, "dilation": 2, "groups": 4, "bias": False},
    {"kernel_size": (1, 3), "padding": (0, 1)},
]
forms = pytest.mark.parametrize("form", FORMS, ids=str)


def moving(version, **form) -> DeformConv:
    """With offsets of up to a few pixels, so that some places lie outside the picture."""
    torch.manual_seed(0)
    conv = DeformConv(4, 8, version=version, **form).double()
    nn.init.normal_(conv.offset.weight, std=0.5)
    nn.init.normal_(conv.offset.bias, std=1.0)
    return conv


def by_grid_sample(conv: DeformConv, x: torch.Tensor) -> torch.Tensor:
    """Sum over the kernel's places, each a picture sampled bilinearly at the moved places, 0 outside."""
    B, _, H, W = x.shape
    said = conv.offset(x)
    h, w = said.shape[2:]
    rows, columns = conv.kernel_size
    groups = conv.groups
    total = torch.zeros(B, conv.out_channels, h, w, dtype=x.dtype)
    for place in range(rows * columns):
        i, j = divmod(place, columns)
        top = torch.arange(h, dtype=x.dtype) * conv.stride[0] - conv.padding[0] + i * conv.dilation[0]
        left = torch.arange(w, dtype=x.dtype) * conv.stride[1] - conv.padding[1] + j * conv.dilation[1]
        y = top[:, None] + said[:, 2 * place]
        z = left[None, :] + said[:, 2 * place + 1]
        grid = torch.stack([(2 * z + 1) / W - 1, (2 * y + 1) / H - 1], dim=-1)
        sampled = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        if conv.version == "v2":
            sampled = sampled * said[:, 2 * rows * columns + place, None].sigmoid()
        total += F.conv2d(sampled, conv.weight[:, :, i : i + 1, j : j + 1], groups=groups)
    return total if conv.bias is None else total + conv.bias.view(1, -1, 1, 1)


@forms
@pytest.mark.parametrize(("version", "share"), [("v1", 1.0), ("v2", 0.5)])
def test_without_offsets_it_is_the_plain_convolution_or_half_of_it(form, version, share):
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 8, **form)
    x = torch.randn(2, 4, 9, 7)
    bias = 0 if plain.bias is None else plain.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(deformed(plain, version)(x), share * (plain(x) - bias) + bias)


@forms
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_with_offsets_it_samples_where_they_say(form, version):
    conv = moving(version, **form)
    x = torch.randn(2, 4, 9, 7, dtype=torch.float64)
    want = by_grid_sample(conv, x)
    torch.testing.assert_close(conv(x), want)
    conv.reset_offset()
    assert not torch.allclose(conv(x), want)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_gradients_reach_weights_and_offsets(version):
    conv = moving(version, kernel_size=3, padding=1, groups=2)
    x = torch.randn(1, 4, 6, 5, dtype=torch.float64)
    names, values = zip(*conv.named_parameters(), strict=True)
    assert set(names) == {"weight", "bias", "offset.weight", "offset.bias"}
    got = torch.autograd.grad(conv(x).square().sum(), values)
    want = torch.autograd.grad(by_grid_sample(conv, x).square().sum(), values)
    for name, one, other in zip(names, got, want, strict=True):
        torch.testing.assert_close(one, other, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize(("version", "channels"), [("v1", 18), ("v2", 27)])
def test_parameters_are_named_as_the_plain_ones_and_are_the_same(version, channels):
    with torch.device("meta"):
        net = timm.create_model("resnext50_32x4d", features_only=True, out_indices=(3, 4))
        before = dict(net.named_parameters())
        still = frozenset(name for name, _ in net.named_modules() if name.startswith(("conv1", "layer1", "layer2")))
        deform_convolutions("resnext50_32x4d", net, version, but=still)
    after = dict(net.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    new = {name: tuple(parameter.shape) for name, parameter in after.items() if name not in before}
    moved = [f"layer{stage}.{block}.conv2" for stage, blocks in ((3, 6), (4, 3)) for block in range(blocks)]
    assert set(new) == {f"{name}.offset.{part}" for name in moved for part in ("weight", "bias")}
    assert new["layer3.0.conv2.offset.weight"] == (channels, 512, 3, 3)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_frozen_norms_fold_into_them_without_changing_anything(version):
    torch.manual_seed(0)
    net = timm.create_model("test_resnet", features_only=True, out_indices=(2, 3)).eval()
    deform_convolutions("test_resnet", net, version, but=frozenset(n for n, _ in net.named_modules() if "conv1" in n))
    net.double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, DeformConv):
            nn.init.normal_(module.offset.weight, std=0.1)
    plain, names = copy.deepcopy(net), list(net.state_dict())
    fold_frozen_norms(net)
    assert [type(m).__name__ for m in net.modules() if isinstance(m, DeformConv)][-1] == "FoldedDeformConv"
    assert list(net.state_dict()) == names
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    for one, other in zip(net(x), plain(x), strict=True):
        torch.testing.assert_close(one, other)
    unfold_frozen_norms(net)
    assert [type(m) for m in net.modules()] == [type(m) for m in plain.modules()]


def test_last_stages_of_a_backbone_and_nothing_before():
    backbone = build_backbone("test_resnet", "none", (3, 4, 5), dcn="v1", dcn_stages=2)
    found = [name for name, module in backbone.net.named_modules() if isinstance(module, DeformConv)]
    assert found and {name.split(".")[0] for name in found} == {"layer3", "layer4"}
    with torch.no_grad():
        assert [f.shape[2] for f in backbone(torch.zeros(1, 3, 64, 64))] == [8, 4, 2]


def test_a_backbone_file_without_offsets_is_enough(tmp_path):
    torch.manual_seed(0)
    plain = build_backbone("test_resnet", "none", (3, 4, 5)).eval()
    torch.save(plain.net.state_dict(), tmp_path / "plain.pth")
    torch.manual_seed(1)
    moved = build_backbone("test_resnet", tmp_path / "plain.pth", (3, 4, 5), dcn="v1", dcn_stages=3).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for one, other in zip(moved(x), plain(x), strict=True):
            torch.testing.assert_close(one, other)


def test_head_deforms_the_last_convolution_of_each_tower():
    head = Head(num_classes=2, width=8, convs=2, groups=2, strides=(8, 16), dcn=True)
    found = [name for name, module in head.named_modules() if isinstance(module, DeformConv)]
    assert found == ["class_tower.3", "box_tower.3"]
    assert not any(head.get_submodule(name).offset.weight.any() for name in found)
    plain = Head(num_classes=2, width=8, convs=2, groups=2, strides=(8, 16))
    assert set(head.state_dict()) - set(plain.state_dict()) == {
        f"{n}.offset.{p}" for n in found for p in ("weight", "bias")
    }


def test_a_deformable_detector_learns_all_of_it():
    options = {"num_classes": 2, "backbone": "test_resnet", "weights": "none", "width": 8, "groups": 2, "convs": 1}
    detector = Detector(**options, dcn="v1", dcn_stages=2, head_dcn=True)
    output = detector(torch.randn(1, 3, 64, 64))
    (output.logits.sum() + output.ltrb.sum()).backward()
    trained = {n: p for n, p in detector.named_parameters() if p.requires_grad}
    assert all(p.grad is not None and p.grad.stride() == p.stride() for p in trained.values())
    groups = detector.parameter_groups(1.0, 1.0, 0.1, bias_factor=2.0)
    assert sorted(id(p) for g in groups for p in g["params"]) == sorted(map(id, trained.values()))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"dcn": "v1"}, ConfigError, "dcn_stages is 0"),
        ({"dcn_stages": 2}, ConfigError, "dcn is None"),
        ({"dcn": "v2", "dcn_stages": 4}, ConfigError, "leave the first of 4"),
        ({"head_dcn": True, "convs": 0}, ConfigError, "without convolutions"),
        ({"dcn": "v1", "dcn_stages": 1, "backbone": "test_convnext"}, ModelError, "no plain 3x3 convolutions"),
    ],
)
def test_what_cannot_be_deformed_is_refused(options, error, says):
    with pytest.raises(error, match=says):
        Detector(
            **({"num_classes": 2, "backbone": "test_resnet", "weights": "none", "width": 8, "groups": 2} | options)
        )
