"""The detector: shapes at odd sizes, box modes, preprocessing, frozen parts, parameter groups."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torchvision.models.detection.fcos import FCOSHead

from dsla.errors import ConfigError
from dsla.models import Detector
from dsla.models.fpn import FeaturePyramid, backbone_levels
from dsla.models.head import EXPONENT_CAP, Head

SMALL = {"num_classes": 3, "backbone": "test_resnet", "weights": "none", "width": 16, "groups": 4, "convs": 1}


def make_head(**options) -> Head:
    return Head(**({"num_classes": 3, "width": 16, "convs": 1, "groups": 4, "strides": (8, 16)} | options))


@pytest.mark.parametrize("size", [(64, 64), (33, 97), (1, 1), (250, 31)])
@pytest.mark.parametrize("levels", [(3, 4, 5, 6, 7), (2, 3, 4, 5), (3, 4, 5), (3, 4, 5, 6), (3, 4), (5, 6, 7), (4,)])
def test_shapes_at_any_size_and_levels(size, levels) -> None:
    detector = Detector(**SMALL, levels=levels, quality_branch=True).eval()
    with torch.no_grad():
        output = detector(torch.randn(2, 3, *size))
    P = len(output.points)
    assert output.logits.shape == (2, P, 3)
    assert output.ltrb.shape == (2, P, 4)
    assert output.quality.shape == (2, P)
    assert output.points.strides == tuple(2**n for n in levels)
    divisor = 2 ** min(levels[-1], 5)
    padded = [math.ceil(side / divisor) * divisor for side in size]
    assert output.points.sizes == tuple(tuple(math.ceil(s / 2**n) for s in padded) for n in levels)


def test_padding_by_itself_is_padding_with_zeros() -> None:
    detector = Detector(**SMALL).eval()
    picture = torch.randn(1, 3, 40, 70)
    with torch.no_grad():
        torch.testing.assert_close(detector(picture).logits, detector(F.pad(picture, (0, 26, 0, 24))).logits)


def test_rows_follow_the_points() -> None:
    """Feature maps that hold their own cells' positions come out as the points' positions."""
    head = make_head(num_classes=2, strides=(8, 16, 32))
    head.class_tower = torch.nn.Sequential()
    features = []
    for h, w, stride in ((4, 6, 8), (2, 3, 16), (1, 2, 32)):
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        feature = torch.zeros(1, 16, h, w)
        feature[0, 0], feature[0, 1] = (x + 0.5) * stride, (y + 0.5) * stride
        features.append(feature)
    with torch.no_grad():
        head.classes.weight.zero_()
        head.classes.weight[[0, 1], [0, 1], 1, 1] = 1.0
        head.classes.bias.zero_()
        output = head(features)
    torch.testing.assert_close(output.logits[0], output.points.xy)


@pytest.mark.parametrize(
    ("box", "rule"),
    [
        ("exp", lambda z, s: z.exp()),
        ("relu", lambda z, s: z.relu() * s),
        ("softplus", lambda z, s: F.softplus(z) * s),
        ("exp-stride", lambda z, s: z.exp() * s),
    ],
)
def test_box_modes_with_a_scale_a_level(box, rule) -> None:
    head = make_head(box=box)
    with torch.no_grad():
        head.scales.copy_(torch.tensor([0.5, 2.0]))
        features = [torch.randn(1, 16, 4, 5), torch.randn(1, 16, 2, 3)]
        ltrb = head(features).ltrb
        expected = []
        for feature, scale, stride in zip(features, (0.5, 2.0), (8, 16), strict=True):
            z = head.boxes(head.box_tower(feature)) * scale
            expected.append(rule(z, stride).permute(0, 2, 3, 1).reshape(1, -1, 4))
    torch.testing.assert_close(ltrb, torch.cat(expected, dim=1))


@pytest.mark.parametrize(
    ("box", "side", "pixels"),
    [
        ("exp", None, (1, 1)),
        ("exp", 20.0, (20, 20)),
        ("relu", None, (24, 48)),
        ("relu", 0.0, (0, 0)),
        ("softplus", None, (24, 48)),
        ("exp-stride", None, (24, 48)),
        ("exp-stride", 4.0, (32, 64)),
    ],
)
def test_where_boxes_start(box, side, pixels) -> None:
    head = make_head(box=box, initial_side=side)
    torch.nn.init.zeros_(head.boxes.weight)
    ltrb = head([torch.randn(1, 16, 1, 1), torch.randn(1, 16, 1, 1)]).ltrb
    torch.testing.assert_close(ltrb[0, :, 0], torch.tensor(pixels).float())


def test_a_start_that_a_mode_cannot_give_is_refused() -> None:
    for box, side in (("exp", 0.0), ("softplus", 0.0), ("relu", -1.0)):
        with pytest.raises(ConfigError, match="initial side"):
            make_head(box=box, initial_side=side)


@pytest.mark.parametrize("box", ["exp", "relu", "softplus", "exp-stride"])
def test_distances_are_finite_and_not_negative_whatever_the_tower_says(box) -> None:
    head = make_head(box=box)
    with torch.no_grad():
        for bias in (-1e4, 1e4):
            head.boxes.bias.fill_(bias)
            ltrb = head([torch.randn(1, 16, 2, 2), torch.randn(1, 16, 1, 1)]).ltrb
            assert ltrb.isfinite().all() and (ltrb >= 0).all()
    assert math.exp(EXPONENT_CAP) > 50_000


def test_classes_start_at_their_prior() -> None:
    output = Detector(**SMALL, prior=0.02)(torch.randn(1, 3, 64, 64))
    assert output.logits.sigmoid().mean().item() == pytest.approx(0.02, rel=0.2)


def test_boxes_stay_in_float_under_autocast() -> None:
    head = make_head(quality_branch=True)
    features = [torch.randn(1, 16, 4, 5), torch.randn(1, 16, 2, 3)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = head(features)
    assert output.logits.dtype == torch.bfloat16 and output.ltrb.dtype == torch.float32
    torch.testing.assert_close(output.ltrb, head(features).ltrb, rtol=0.02, atol=0.02)


def test_head_has_the_weights_of_torchvisions_fcos_and_gives_its_numbers() -> None:
    theirs = FCOSHead(in_channels=32, num_anchors=1, num_classes=4, num_convs=2)
    ours = make_head(num_classes=4, width=32, convs=2, groups=32, box="relu", quality_branch=True)
    ours.class_tower.load_state_dict(theirs.classification_head.conv.state_dict())
    ours.box_tower.load_state_dict(theirs.regression_head.conv.state_dict())
    ours.classes.load_state_dict(theirs.classification_head.cls_logits.state_dict())
    ours.boxes.load_state_dict(theirs.regression_head.bbox_reg.state_dict())
    ours.quality.load_state_dict(theirs.regression_head.bbox_ctrness.state_dict())
    features = [torch.randn(2, 32, 4, 5), torch.randn(2, 32, 2, 3)]
    with torch.no_grad():
        want, got = theirs(features), ours(features)
    torch.testing.assert_close(got.logits, want["cls_logits"])
    torch.testing.assert_close(got.ltrb / got.points.stride[:, None], want["bbox_regression"])
    torch.testing.assert_close(got.quality, want["bbox_ctrness"].squeeze(2))


@pytest.mark.parametrize("source", ["c5", "p5"])
def test_extra_levels_come_from_where_they_should(source) -> None:
    neck = FeaturePyramid((8, 8, 24), (3, 4, 5, 6, 7), 16, source)
    c3, c4, c5 = torch.randn(1, 8, 8, 12), torch.randn(1, 8, 4, 6), torch.randn(1, 24, 2, 3)
    with torch.no_grad():
        p = neck([c3, c4, c5])
        first, second = neck.fpn.extra_blocks.convs
        torch.testing.assert_close(p[3], first(c5 if source == "c5" else p[2]))
        torch.testing.assert_close(p[4], second(p[3].relu()))


def test_levels_must_be_a_run_that_can_be_built() -> None:
    assert backbone_levels((3, 4, 5, 6)) == (3, 4, 5)
    for levels in ((), (3, 5), (5, 4), (1, 2, 3), (6, 7), (3, 4, 5, 6, 7, 8)):
        with pytest.raises(ConfigError, match="levels"):
            backbone_levels(levels)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"groups": 5}, "groups"), ({"num_classes": 0}, "at least one"), ({"prior": 0.0}, "prior")],
)
def test_settings_that_cannot_be_built_are_refused(wrong, says) -> None:
    with pytest.raises(ConfigError, match=says):
        Detector(**(SMALL | wrong))


def test_preprocess_normalises_and_zeroes_the_padding() -> None:
    detector = Detector(**SMALL)
    images = torch.randint(0, 256, (2, 3, 40, 50), dtype=torch.uint8)
    untouched = images.clone()
    got = detector.preprocess(images, torch.tensor([[40, 50], [30, 41]]))
    want = (images.float() / 255 - detector.mean.view(3, 1, 1)) / detector.std.view(3, 1, 1)
    want[1, :, 30:] = 0
    want[1, :, :, 41:] = 0
    torch.testing.assert_close(got, want)
    assert (got[1, :, 30:] == 0).all() and (got[1, :, :, 41:] == 0).all()
    assert torch.equal(images, untouched)


def test_colour_mean_and_std_are_those_of_the_networks_channels() -> None:
    """A network that wants BGR, with its first convolution's channels turned round, sees what one of RGB sees."""
    mean, std = (0.1, 0.4, 0.6), (0.2, 0.3, 0.5)
    rgb = Detector(**SMALL, mean=mean, std=std).eval()
    bgr = Detector(**SMALL, mean=mean[::-1], std=std[::-1], colour="bgr").eval()
    state = rgb.state_dict()
    first = next(name for name, value in state.items() if value.ndim == 4 and value.shape[1] == 3)
    state |= {first: state[first].flip(1), "mean": bgr.mean, "std": bgr.std}
    bgr.load_state_dict(state)
    images, sizes = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8), torch.tensor([[64, 50]])
    untouched = images.clone()
    torch.testing.assert_close(bgr.preprocess(images, sizes), rgb.preprocess(images, sizes).flip(1))
    with torch.no_grad():
        one, other = (d(d.preprocess(images, sizes)).logits for d in (rgb, bgr))
    torch.testing.assert_close(one, other)
    assert torch.equal(images, untouched)


def test_what_the_weights_expect_comes_in_the_order_of_the_channels() -> None:
    caffe = Detector(**(SMALL | {"backbone": "resnet26"}), levels=(3,), style="caffe", colour="bgr")
    assert (255 * caffe.mean).tolist() == pytest.approx([103.53, 116.28, 123.675])
    assert (255 * caffe.std).tolist() == pytest.approx([1, 1, 1])
    named = SMALL | {"backbone": "resnet18"}
    rgb, bgr = (Detector(**named, levels=(3,), colour=colour) for colour in ("rgb", "bgr"))
    assert rgb.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert (bgr.mean.tolist(), bgr.std.tolist()) == (rgb.mean.tolist()[::-1], rgb.std.tolist()[::-1])
    with pytest.raises(ConfigError, match="std is"):
        Detector(**SMALL, std=(0.2, 0.0, 0.2))


def test_feature_norms_bring_every_place_to_mean_0_and_variance_1() -> None:
    detector = Detector(**SMALL, feature_norm=True)
    with torch.no_grad():
        for feature in detector.backbone(50 * torch.randn(1, 3, 64, 64)):
            torch.testing.assert_close(feature.mean(1), torch.zeros_like(feature[:, 0]), atol=1e-4, rtol=0)
            torch.testing.assert_close(feature.var(1, correction=0), torch.ones_like(feature[:, 0]), atol=0.05, rtol=0)
    groups = {g["name"]: g for g in detector.parameter_groups(1.0, 0.1, 0.1)}
    norms = {id(p) for p in detector.backbone.norms.parameters()}
    assert norms == {id(p) for p in groups["backbone_norm"]["params"]}


def test_stochastic_depth_is_the_backbones_and_training_only() -> None:
    """And it does not keep frozen norms from being folded."""
    plain, deep = Detector(**SMALL), Detector(**SMALL, drop_path=0.5)
    deep.load_state_dict(plain.state_dict())
    assert [type(m) for m in deep.modules() if isinstance(m, torch.nn.BatchNorm2d)] == [
        type(m) for m in plain.modules() if isinstance(m, torch.nn.BatchNorm2d)
    ]
    images = torch.randn(8, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(deep.eval()(images).logits, plain.eval()(images).logits)
        blocks = [m for m in deep.modules() if isinstance(m, DropPath)]
        assert max(m.drop_prob for m in blocks) == 0.5
        kept = blocks[-1].train()(torch.ones(1000, 1)).count_nonzero().item()
    assert 400 < kept < 600


def test_preprocess_gives_the_same_numbers_alone_and_in_a_batch() -> None:
    detector = Detector(**SMALL)
    images = torch.zeros(2, 3, 40, 50, dtype=torch.uint8)
    images[0], images[1, :, :31, :37] = 200, torch.randint(0, 256, (3, 31, 37), dtype=torch.uint8)
    together = detector.preprocess(images, torch.tensor([[40, 50], [31, 37]]))
    alone = detector.preprocess(images[1:, :, :31, :37], torch.tensor([[31, 37]]))
    assert torch.equal(together[1:, :, :31, :37], alone)


def test_a_picture_is_seen_alike_beside_others_on_the_same_canvas() -> None:
    """On another canvas it is not: GroupNorm takes its statistics over the padding too."""
    detector = Detector(**SMALL).eval()
    images = torch.randn(3, 3, 64, 96)
    with torch.no_grad():
        together, alone = detector(images), detector(images[1:2])
    torch.testing.assert_close(together.logits[1:2], alone.logits)
    torch.testing.assert_close(together.ltrb[1:2], alone.ltrb)


def test_training_keeps_what_is_frozen() -> None:
    detector = Detector(**SMALL, frozen_stages=1).train()
    before = copy.deepcopy(detector.state_dict())
    output = detector(torch.randn(2, 3, 64, 64))
    (output.logits.square().sum() + output.ltrb.sum()).backward()
    optimiser = torch.optim.SGD(detector.parameter_groups(0.1, 0.5, 0.1))
    optimiser.step()
    after = detector.state_dict()
    for name in after:
        if name.startswith(("backbone.net.conv1", "backbone.net.bn1", "backbone.net.layer1")) or "running_" in name:
            assert torch.equal(after[name], before[name]), name
    changed = {n for n, p in detector.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {n for n, p in detector.named_parameters() if p.requires_grad}


def test_parameter_groups_hold_every_trained_parameter_once() -> None:
    detector = Detector(**SMALL, freeze_norm=False)
    groups = {g["name"]: g for g in detector.parameter_groups(0.01, 0.1, 1e-4, bias_factor=2.0)}
    held = [id(p) for g in groups.values() for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in detector.parameters() if p.requires_grad)
    rates = {name: (g["lr"], g["weight_decay"]) for name, g in groups.items()}
    assert rates == {
        "backbone_weight": (pytest.approx(0.001), 1e-4),
        "backbone_norm": (pytest.approx(0.001), 0.0),
        "head_weight": (0.01, 1e-4),
        "head_bias": (0.02, 0.0),
        "head_norm": (0.01, 0.0),
    }
    assert any(p is detector.head.scales for p in groups["head_norm"]["params"])
    assert all(p.ndim > 1 for name in ("backbone_weight", "head_weight") for p in groups[name]["params"])


def test_position_tables_are_not_decayed() -> None:
    detector = Detector(**(SMALL | {"backbone": "swin_tiny_patch4_window7_224"}), levels=(3,))
    decayed = [p for g in detector.parameter_groups(1.0, 1.0, 0.1) if g["weight_decay"] for p in g["params"]]
    tables = [p for n, p in detector.named_parameters() if n.endswith("position_bias_table")]
    assert tables and not any(d is t for d in decayed for t in tables)


def test_state_travels_with_its_preprocessing() -> None:
    source, copied = Detector(**SMALL), Detector(**SMALL)
    source.mean.fill_(0.25)
    copied.load_state_dict(source.state_dict())
    assert torch.equal(copied.mean, source.mean)
    assert copied.state_dict()["head.scales"].shape == (5,)


def test_gradients_lie_in_memory_as_their_parameters_do() -> None:
    """Otherwise DistributedDataParallel warns and copies."""
    detector = Detector(**SMALL)
    output = detector(torch.randn(1, 3, 64, 64))
    (output.logits.sum() + output.ltrb.sum()).backward()
    assert all(p.grad.stride() == p.stride() for p in detector.parameters() if p.grad is not None)


def test_gradients_reach_every_trained_parameter() -> None:
    detector = Detector(**SMALL, quality_branch=True)
    output = detector(torch.randn(1, 3, 64, 64))
    (output.logits.sum() + output.ltrb.sum() + output.quality.sum()).backward()
    assert [n for n, p in detector.named_parameters() if p.requires_grad and p.grad is None] == []
