"""Backbones: any timm name, features by stride, frozen parts, and errors that name the cure."""

import copy
import pickle

import pytest
import timm
import torch

from dsla.errors import ConfigError, ModelError
from dsla.models.backbone import Backbone, build_backbone

LITE = "tf_efficientnet_lite0"


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_convnext", "test_efficientnet", "mobilenetv3_small_050", "resnet18", LITE]
)
@pytest.mark.parametrize("levels", [(3, 4, 5), (2, 3, 4, 5), (3, 4)])
def test_gives_features_of_the_strides_and_channels_it_promises(name: str, levels: tuple[int, ...]) -> None:
    backbone = build_backbone(name, "none", levels).eval()
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, 64, 96))
    assert [f.shape for f in features] == [
        (1, c, 64 // s, 96 // s) for c, s in zip(backbone.channels, backbone.strides, strict=True)
    ]
    assert backbone.strides == tuple(2**n for n in levels)


def test_window_transformers_take_any_size_and_channels_come_first() -> None:
    backbone = build_backbone("swin_tiny_patch4_window7_224", "none", (3,)).eval()
    with torch.no_grad():
        (feature,) = backbone(torch.zeros(1, 3, 64, 96))
    assert feature.shape == (1, 192, 8, 12)


def test_nothing_is_built_beyond_the_last_level() -> None:
    def size(levels: tuple[int, ...]) -> int:
        return sum(p.numel() for p in build_backbone("test_resnet", "none", levels).parameters())

    whole = sum(p.numel() for p in timm.create_model("test_resnet").parameters())
    assert size((3, 4)) < size((3, 4, 5)) < whole


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("test_resnet", "layer1"),
        ("test_convnext", "stages_0"),
        (LITE, "blocks.1"),
        ("densenet121", "features_denseblock1"),
    ],
)
def test_frozen_stages_end_with_the_feature_of_their_stride(name: str, end: str) -> None:
    net = build_backbone(name, "none", (3, 4, 5), frozen_stages=1, freeze_norm=False).net
    taking = [n for n, p in net.named_parameters() if p.requires_grad]
    still = [n for n, p in net.named_parameters() if not p.requires_grad]
    assert still and taking
    assert still[-1].startswith(end) and not any(n.startswith(end) for n in taking)
    assert [n for n, _ in net.named_parameters()] == still + taking


@pytest.mark.parametrize("stages", [0, 1, 2])
def test_frozen_stages_take_no_gradient_and_keep_no_activation(stages: int) -> None:
    backbone = build_backbone(LITE, "none", (2, 3, 4), frozen_stages=stages).train()
    features = backbone(torch.randn(1, 3, 64, 64))
    assert [f.requires_grad for f in features] == [stages < 1, stages < 2, True]
    sum(f.sum() for f in features).backward()
    for name, parameter in backbone.net.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    nodes, seen = [features[-1].grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [n for n, _ in node.next_functions]
    convolutions = sum("Convolution" in n.name() for n in seen)
    trained = [
        m for n, m in backbone.net.named_modules() if isinstance(m, torch.nn.Conv2d) and n not in backbone.frozen
    ]
    assert convolutions == len(trained)


def test_frozen_norms_keep_their_statistics_in_training() -> None:
    backbone = build_backbone("test_resnet", "none", (3,)).train()
    before = copy.deepcopy(backbone.state_dict())
    backbone(torch.randn(4, 3, 64, 64))
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not any(m.training or m.weight.requires_grad or m.bias.requires_grad for m in norms)


def test_norms_can_train_their_scale_only_or_everything() -> None:
    scale_only = build_backbone("test_resnet", "none", (3,), freeze_affine=False).train()
    norms = [m for m in scale_only.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(m.weight.requires_grad and not m.training for m in norms)
    free = build_backbone("test_resnet", "none", (3,), freeze_norm=False).train()
    norms = [m for m in free.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(m.weight.requires_grad and m.training for m in norms)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))])
def test_copies_stay_frozen(again) -> None:
    backbone = again(build_backbone("test_resnet", "none", (3,), frozen_stages=1)).train()
    assert isinstance(backbone, Backbone)
    assert not any(m.training for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert not backbone.net.layer1.training


def test_preprocessing_comes_with_the_weights() -> None:
    assert build_backbone(LITE, "bundled", (3,)).mean == (0.5, 0.5, 0.5)
    assert build_backbone("resnet18", "none", (3,)).mean == pytest.approx((0.485, 0.456, 0.406))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnet-50", "nearest names are resnet50"),
        ("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "timm.list_models"),
        ("resnet18.no_such_tag", "no_such_tag"),
        ("test_vit", "plain transformer"),
        ("levit_128", "no features of stride 8, only of 16, 32, 64"),
        ("efficientformer_l1", "224 x 224 pixels only"),
    ],
)
def test_unfit_names_are_refused_with_a_cure(name: str, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        build_backbone(name, "none", (3, 4, 5))
    assert name in str(caught.value)


def test_frozen_stages_must_exist() -> None:
    with pytest.raises(ConfigError, match="frozen_stages is 5"):
        build_backbone("test_resnet", "none", (3,), frozen_stages=5)
    with pytest.raises(ModelError, match="end of stage 1"):
        build_backbone("hrnet_w18_small", "none", (3,), frozen_stages=1)
