"""mmdet's names, as the published architecture has them: nothing missing, nothing left over, the same numbers."""

import re
from pathlib import Path

import pytest
import torch
from published import forward, random_state, shapes

from dsla.convert import convert, export, mmdet
from dsla.convert.architecture import model_settings
from dsla.convert.checkpoint import Checkpoint
from dsla.convert.config_text import ConfigText
from dsla.convert.description import Told
from dsla.convert.keys import give, take
from dsla.engine.predict import load
from dsla.errors import ModelError

R50_LOG = """
img_norm_cfg = dict(
    mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0], to_rgb=False)
model = dict(
    type='SmoothedLabelLearning',
    backbone=dict(type='ResNet', depth=50, norm_cfg=dict(type='BN', requires_grad=False), style='caffe'),
    neck=dict(type='FPN', start_level=1, add_extra_convs=True, extra_convs_on_inputs=False,
              relu_before_extra_convs=True),
    bbox_head=dict(type='SmoothedLabelLearningHead', num_classes=80,
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=2.0)),
    test_cfg=dict(nms_pre=1000, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.6), max_per_img=100))
work_dir = Path('./sll')
gpu_ids = range(0, 4)
"""
OFFICIAL = {
    "R-50": {"depth": 50, "conv_bias": False},
    "R-101-DCN": {"depth": 101, "deformable_stages": (2, 3, 4), "head_deformable": True},
    "X-101-64x4d-DCN": {"depth": 101, "width_per_group": (4, 64), "deformable_stages": (3, 4), "head_deformable": True},
    "FCOS": {"depth": 50, "centerness": True},
}


def our_shapes(named: dict[str, tuple[int, ...]]) -> dict[str, torch.Size]:
    """Our names of mmdet's tensors, written from our own architecture; the scales of all levels are one tensor."""
    found: dict[str, torch.Size] = {"head.scales": torch.Size([5])}
    lasts = {"conv_cls": "classes", "conv_reg": "boxes", "conv_centerness": "quality"}
    for name, shape in named.items():
        part, *rest = name.split(".")
        if part == "backbone":
            ours = "backbone.net." + ".".join(rest)
        elif rest[0] == "lateral_convs":
            ours = f"neck.fpn.inner_blocks.{rest[1]}.0.{rest[3]}"
        elif rest[0] == "fpn_convs":
            i = int(rest[1])
            place = f"layer_blocks.{i}.0" if i < 3 else f"extra_blocks.convs.{i - 3}"
            ours = f"neck.fpn.{place}.{rest[3]}"
        elif rest[0] in ("cls_convs", "reg_convs"):
            tower = "class_tower" if rest[0] == "cls_convs" else "box_tower"
            place = 3 * int(rest[1]) + (rest[2] == "gn")
            ours = f"head.{tower}.{place}." + ".".join(rest[3:])
            if rest[2] == "conv":
                found[f"head.{tower}.{place}.bias"] = torch.Size([256])
        elif rest[0] == "scales":
            continue
        else:
            ours = f"head.{lasts[rest[0]]}.{rest[1]}"
        found[ours.replace("conv_offset", "offset")] = torch.Size(shape)
    return found


def described(named, style="pytorch", box="relu", text="", told=None, meta=None):
    tensors = {name: torch.empty(shape, device="meta") for name, shape in named.items()}
    meta = {"config": text} if text else meta or {}
    return mmdet.describe(Checkpoint(Path("x.pth"), tensors, meta), told or Told(style=style, box=box))


@pytest.mark.parametrize("published", OFFICIAL, ids=str)
def test_no_tensor_is_missing_or_left_over(published):
    named = shapes(**OFFICIAL[published])
    expected = our_shapes(named)
    tensors = mmdet._gathered({name: torch.empty(shape, device="meta") for name, shape in named.items()})
    taken = take(tensors, expected, mmdet.naming(3), fill=mmdet._fill, drop=lambda _: False, source="x")
    assert taken.state.keys() == expected.keys() and not taken.dropped
    assert len(taken.state) - len(taken.filled) == len(named) - 5 + 1
    towers = [f"head.{tower}_tower.{place}.bias" for tower in ("class", "box") for place in (0, 3, 6, 9)]
    assert sorted(taken.filled) == (sorted(towers) if published == "R-50" else [])
    # And out again: every name is one of theirs, and none is met twice.
    back = give(taken.state, mmdet.naming(3))
    assert len(back) == len(expected)
    biases = {f"bbox_head.{tower}.{i}.conv.bias" for tower in ("cls_convs", "reg_convs") for i in range(4)}
    assert set(back) - set(named) - biases == {"bbox_head.scales.scale"}


@pytest.mark.parametrize(
    "published, backbone, deformable",
    [
        ("R-50", "resnet50", {}),
        ("R-101-DCN", "resnet101", {"dcn": "v1", "dcn_stages": 3, "head_dcn": True}),
        ("X-101-64x4d-DCN", "resnext101_64x4d", {"dcn": "v1", "dcn_stages": 2, "head_dcn": True}),
    ],
)
def test_the_architecture_is_read_off_the_shapes(published, backbone, deformable):
    named = our_shapes(shapes(**OFFICIAL[published]))
    ours = {name: torch.empty(shape, device="meta") for name, shape in named.items()}
    assert model_settings(ours, "x") == deformable | {
        "backbone": backbone, "levels": [3, 4, 5, 6, 7], "width": 256, "convs": 4, "extra_from": "p5",
        "quality_branch": False,
    }  # fmt: skip
    ours["neck.fpn.extra_blocks.convs.0.weight"] = torch.empty(256, 2048, 3, 3, device="meta")
    assert model_settings(ours, "x")["extra_from"] == "c5"


def test_a_plain_fcos_computes_what_the_published_architecture_does(tmp_path):
    """Against plain functions that read mmdet's names themselves."""
    state = random_state(shapes(centerness=True))
    meta = {"dataset_meta": {"classes": [f"thing {i}" for i in range(80)]}, "epoch": 12}
    torch.save({"state_dict": state, "meta": meta}, tmp_path / "fcos.pth")
    done = convert(tmp_path / "fcos.pth", tmp_path / "fcos.safetensors", "mmdet", style="pytorch", box="relu")
    assert done.filled == () and done.dropped == () and done.tensors == len(state) - 5 + 1
    ours = load(done.model)
    assert ours.class_names[3] == "thing 3"
    assert ours.config.model.offset == 0.5 and ours.config.inference.score == "product"
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, sides, centerness = forward(state, images)
        output = ours.detector(images)
    close = {"atol": 1e-4, "rtol": 1e-4}
    torch.testing.assert_close(output.logits, logits, **close)
    torch.testing.assert_close(output.ltrb, sides, **close)
    torch.testing.assert_close(output.quality, centerness, **close)
    again = torch.load(export(done.model, tmp_path / "again.pth", "mmdet"), weights_only=True)
    assert again["state_dict"].keys() == state.keys()
    assert all(torch.equal(again["state_dict"][name], state[name]) for name in state)
    assert again["meta"]["CLASSES"] == ours.class_names


def test_the_official_r50_computes_what_the_published_architecture_does(tmp_path):
    """Caffe style, BGR, exp sides, towers without biases; by the configuration that the checkpoint carries."""
    state = random_state(shapes(conv_bias=False), seed=2)
    twin = {"ema_backbone_conv1_weight": state["backbone.conv1.weight"]}
    torch.save({"state_dict": state | twin, "meta": {"config": R50_LOG}}, tmp_path / "dsla.pth")
    done = convert(tmp_path / "dsla.pth", tmp_path / "dsla.safetensors", "mmdet")
    assert done.dropped == ("ema_backbone_conv1_weight",) and len(done.filled) == 8
    ours = load(done.model)
    assert (ours.config.model.offset, ours.config.model.box, ours.config.assigner.name) == (0.0, "exp", "dsla")
    picture = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    images = picture.flip(1).float() - torch.tensor([102.9801, 115.9465, 122.7717]).view(3, 1, 1)
    with torch.no_grad():
        logits, sides, _ = forward(state, images, caffe=True, relu_sides=False)
        output = ours.detector(ours.detector.preprocess(picture, torch.tensor([[64, 96]])))
    torch.testing.assert_close(output.logits, logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(output.ltrb, sides, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("published", ["R-101-DCN", "X-101-64x4d-DCN"])
def test_our_detector_has_the_tensors_of_the_official_ones(published):
    named = shapes(**OFFICIAL[published])
    config = described(named).config
    with torch.device("meta"):
        state = config.build_detector(80, weights="none").state_dict()
    assert {k: v.shape for k, v in state.items() if k not in ("mean", "std")} == our_shapes(named)


def test_what_the_configuration_in_a_checkpoint_says(monkeypatch):
    """The official R-50's log: caffe, BGR with its own mean, exp; corner points; the log's losses."""
    seen = {}
    monkeypatch.setattr(mmdet, "override", lambda config, changes, source: seen.update(changes) or config)
    mmdet.describe(
        Checkpoint(Path("x.pth"), {k: torch.empty(s, device="meta") for k, s in shapes(conv_bias=False).items()},
                   {"config": R50_LOG}), Told()
    )  # fmt: skip
    model = seen["model"]
    assert (model["style"], model["colour"], model["box"]) == ("caffe", "bgr", "exp")
    assert model["mean"] == pytest.approx([v / 255 for v in (102.9801, 115.9465, 122.7717)])
    assert model["std"] == pytest.approx([1 / 255] * 3)
    assert seen["inference"] == {"score_threshold": 0.05, "nms_iou": 0.6, "topk": 1000, "max_detections": 100}


def test_the_official_recipes_by_the_form_of_the_sides():
    r50 = described(shapes(conv_bias=False), box="exp").config
    assert r50.model.offset == 0.0 and r50.assigner.released and r50.assigner.center_radius is None
    assert (r50.loss.class_weight, r50.loss.box.name) == (2.0, "iou")
    larger = described(shapes(), box="relu").config
    assert larger.assigner.center_radius == 1.5 and (larger.loss.class_weight, larger.loss.box.name) == (1.0, "giou")


def test_means_of_a_preprocessor_and_what_is_told_win_over_the_usual_ones():
    told = Told(mean=(1.0, 2.0, 3.0))
    colours = mmdet._colours(told, ConfigText(""), "pytorch", {"data_preprocessor.std": torch.tensor([5.0, 6, 7])})
    assert colours["mean"] == pytest.approx((1 / 255, 2 / 255, 3 / 255))
    assert colours["std"] == pytest.approx((5 / 255, 6 / 255, 7 / 255))
    usual = mmdet._colours(Told(), ConfigText(""), "pytorch", {})
    assert usual == {"colour": "rgb", "mean": None, "std": None}
    assert mmdet._colours(Told(), ConfigText("x = dict(bgr_to_rgb=True)"), "caffe", {})["colour"] == "rgb"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"told": Told(style="pytorch")}, r"say --box relu .* or --box exp$"),
        ({"told": Told()}, r"say --style caffe or --style pytorch .*, and --box relu"),
        ({"box": "exp"}, r"its centerness branch is on the class tower.*--assigner dsla"),
        ({"text": "m = dict(style='pytorch', norm_on_bbox=True)"}, r"its centerness branch is on the class tower"),
        ({"text": "m = dict(style='pytorch', norm_on_bbox=True, centerness_on_reg=True, "
                   "relu_before_extra_convs=False)"}, r"without ReLU between them"),
    ],
)  # fmt: skip
def test_what_the_tensors_do_not_show_must_be_told(change, message):
    with pytest.raises(ModelError, match=message):
        described(shapes(centerness=True), **change)


def test_an_fcos_goes_on_as_dsla_without_its_branch():
    result = described(shapes(centerness=True), told=Told(assigner="dsla", style="pytorch", box="exp"))
    assert result.config.assigner.name == "dsla" and result.config.model.offset == 0.5
    assert not result.config.model.quality_branch and result.drop("bbox_head.conv_centerness.bias")
    with pytest.raises(ModelError, match="has no centerness branch to keep"):
        described(shapes(), told=Told(assigner="fcos", style="pytorch", box="relu"))


def test_names_of_mmdet_1_are_read():
    named = {re.sub(r"conv_(cls|reg|centerness)", r"fcos_\1", k): v for k, v in shapes(centerness=True).items()}
    assert "bbox_head.fcos_centerness.bias" in named
    assert described(named).config.model.quality_branch


@pytest.mark.parametrize("text", ["", "not ( python", "x = y(z)", "x" * 10 + "\0"])
def test_a_text_that_is_no_configuration_says_nothing(text):
    assert not ConfigText(text) and ConfigText(text).first("style") is None


def test_configurations_are_parsed_and_never_executed(tmp_path):
    text = f"import os\nos.mkdir({str(tmp_path / 'made')!r})\nm = dict(style='caffe', n={{'to_rgb': False}})"
    assert ConfigText(text).first("style") == "caffe" and ConfigText(text).first("to_rgb") is False
    assert not (tmp_path / "made").exists()
