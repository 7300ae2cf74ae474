"""torchvision's FCOS and ours with its weights say the same: detections, losses, what is read and what is refused."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from commands import tiny_flags
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models.detection import FCOS_ResNet50_FPN_Weights
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FrozenBatchNorm2d

from dsla.config import Config, override, parse_assignments
from dsla.convert import convert, export
from dsla.convert.reading import _with_eps
from dsla.data import Resize, open_data
from dsla.data.sample import Batch, Sample
from dsla.data.scenes import Scenes
from dsla.engine.modelfile import read_model, save_model
from dsla.engine.predict import load
from dsla.errors import ModelError
from dsla.geometry import GroundTruth, Points
from dsla.models import Detected, HeadOutput, detect
from dsla.recipes import recipe

ROUNDING = 1e-5  # of scores, after 60 layers whose sums are taken in another order
CATEGORIES = FCOS_ResNet50_FPN_Weights.COCO_V1.meta["categories"]


class AlreadyResized(nn.Module):
    """torchvision's transform for pictures that have their size: its own normalisation and padding, no resizing."""

    def __init__(self, transform: Any) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, images: Sequence[Tensor], targets: Any = None) -> tuple[ImageList, Any]:
        sizes = [(int(image.shape[1]), int(image.shape[2])) for image in images]
        normal = [self.transform.normalize(image) for image in images]
        return ImageList(self.transform.batch_images(normal, size_divisible=32), sizes), targets

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        return result


@pytest.fixture
def theirs(pair):
    transform = pair.theirs.transform
    pair.theirs.transform = AlreadyResized(transform)
    yield pair.theirs
    pair.theirs.transform = transform


def both(theirs, ours, samples: Sequence[Sample]) -> tuple[list[dict[str, Tensor]], list[Detected]]:
    """Detections of torchvision and of ours for pictures that go into both as they are."""
    batch = Batch.collate(samples)
    with torch.no_grad():
        expected = theirs([sample.image / 255 for sample in samples])
        output = ours.detector(ours.detector.preprocess(batch.images, batch.sizes))
    return expected, detect(output, batch.sizes, ours.config.inference)


def coco_ids() -> list[int]:
    """torchvision's outputs that stand for a class."""
    return [i for i, name in enumerate(CATEGORIES) if name not in ("__background__", "N/A")]


def agree(expected: list[dict[str, Tensor]], found: list[Detected], class_names: Sequence[str]) -> int:
    """Assert equal detections in the same order, where scores differ by more than rounding; give their number."""
    moved = 0
    for want, got in zip(expected, found, strict=True):
        area = (want["boxes"][:, 2:] - want["boxes"][:, :2]).prod(dim=1)
        assert bool((area > 0).all()), "boxes without area, which ours drops"
        assert len(got.boxes) == len(want["boxes"])
        torch.testing.assert_close(got.scores, want["scores"], atol=ROUNDING, rtol=0)
        left = list(range(len(got.boxes)))
        for i in range(len(got.boxes)):
            near = [j for j in left if abs(float(want["scores"][j] - got.scores[i])) <= ROUNDING]
            same = [
                j
                for j in near
                if CATEGORIES[int(want["labels"][j])] == class_names[int(got.labels[i])]
                and float((want["boxes"][j] - got.boxes[i]).abs().max()) < 1e-3
            ]
            assert same, f"detection {i}, {got.boxes[i]}: theirs of this score are {want['boxes'][near]}"
            moved += same[0] != left[0]
            left.remove(same[0])
    total = sum(len(got.boxes) for got in found)
    assert moved <= 0.01 * total
    return total


def test_detections_are_torchvisions_on_generated_pictures(pair, theirs):
    scenes = Scenes(count=3, seed=5, size=(90, 150))
    expected, found = both(theirs, pair.ours, [scenes.sample(i) for i in range(len(scenes))])
    assert agree(expected, found, pair.ours.class_names) == 300


def test_detections_are_torchvisions_on_real_pictures(pair, theirs, shared_data):
    """Cut so that no point lies in the padding, where torchvision gives boxes without area."""
    pictures = open_data(shared_data / "coco256").part("val")
    wide = [i for i in range(len(pictures)) if pictures.record(i).size[0] * 1.25 < pictures.record(i).size[1]][:8]
    samples = [Resize(320, 128)(pictures.sample(i)) for i in wide]
    samples = [replace(sample, image=sample.image[:, :124, :156]) for sample in samples]
    assert {sample.size for sample in samples} == {(124, 156)} and len(samples) == 8
    expected, found = both(theirs, pair.ours, samples)
    assert agree(expected, found, pair.ours.class_names) > 400


def test_boxes_of_all_levels_are_read_where_torchvision_reads_them(pair):
    """At 800 x 1088 px the points of P6 and P7 are not their strides apart: 61 and 114 px from top to bottom."""
    theirs, inference = pair.theirs, pair.ours.config.inference
    generator = torch.Generator().manual_seed(2)
    sizes = [(100, 136), (50, 68), (25, 34), (13, 17), (7, 9)]
    points = Points.lattice(sizes, (8, 16, 32, 64, 128), offset=0.0)
    logits = torch.randn(1, len(points), 91, generator=generator) - 7.0 + 0.8 * points.level[:, None]
    sides = torch.rand(1, len(points), 4, generator=generator) * 3 + 0.5
    quality = torch.randn(1, len(points), generator=generator)
    ids = coco_ids()
    logits[..., [i for i in range(91) if i not in ids]] = -30.0
    images = ImageList(torch.zeros(1, 3, 800, 1088), [(800, 1066)])
    counts = [h * w for h, w in sizes]
    output = {"cls_logits": logits, "bbox_regression": sides, "bbox_ctrness": quality[..., None]}
    anchors = theirs.anchor_generator(images, [torch.zeros(1, 1, h, w) for h, w in sizes])
    expected = theirs.postprocess_detections(
        {name: list(value.split(counts, dim=1)) for name, value in output.items()},
        [list(anchors[0].split(counts))],
        images.image_sizes,
    )
    ours = HeadOutput(logits[..., ids], sides * points.stride[:, None], points, quality)
    size = torch.tensor([[800, 1066]])
    found = detect(ours, size, inference)
    assert agree(expected, found, pair.ours.class_names) == 100
    apart = detect(ours, size, replace(inference, spacing="stride"))
    assert len(apart[0].boxes) == 0 or not torch.equal(apart[0].boxes, found[0].boxes)


def test_losses_are_torchvisions(pair, theirs):
    """The whole network at 128 px, with boxes that the first levels learn, one beyond doubt empty picture, and ties."""
    ours = pair.ours
    scenes = Scenes(count=2, seed=3, size=128)
    images = torch.stack([scenes.sample(0).image, scenes.sample(1).image])
    boxes = torch.tensor([[8.0, 8, 40, 44], [16, 24, 112, 120], [0, 0, 128, 128], [30.5, 40.25, 52, 49]])
    labels = [17, 3, 0, 79]  # ours
    ids = coco_ids()
    targets = [
        {"boxes": boxes, "labels": torch.tensor([ids[label] for label in labels])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    theirs.training = True  # losses, with norms that stay as they are
    try:
        with torch.no_grad():
            expected = theirs(list(images / 255), targets)
    finally:
        theirs.training = False
    truth = GroundTruth(boxes, torch.tensor(labels), torch.zeros(4, dtype=torch.int64), torch.zeros(4).bool(), 2)
    with torch.no_grad():
        output = ours.detector(ours.detector.preprocess(images, torch.tensor([[128, 128]] * 2)))
        losses = ours.config.build_criterion()(output, truth)
    assert len(losses.assignment.gt) > 10
    same_losses(losses.terms, expected)


def test_losses_are_torchvisions_on_all_levels(pair):
    """Targets, losses and their normalisers at 768 x 1280 px, for boxes of all sizes and of whole pixels."""
    generator = torch.Generator().manual_seed(1)
    sizes = [(768 // s, 1280 // s) for s in (8, 16, 32, 64, 128)]
    points = Points.lattice(sizes, (8, 16, 32, 64, 128), offset=0.0)
    P = len(points)
    logits = torch.randn(2, P, 91, generator=generator) * 2 - 4
    sides = torch.rand(2, P, 4, generator=generator) * 8
    quality = torch.randn(2, P, generator=generator)
    corner = torch.rand(60, 2, generator=generator) * torch.tensor([1200.0, 700.0])
    size = torch.rand(60, 2, generator=generator).pow(2) * torch.tensor([900.0, 700.0]) + 6
    boxes = torch.cat([corner, torch.minimum(corner + size, torch.tensor([1280.0, 768.0]))], dim=1).round()
    # Farthest sides of exactly 64 and 128 px, where a range ends.
    boxes = torch.cat([boxes, torch.tensor([[1000.0, 400, 1128, 528], [400, 200, 656, 456]])])
    labels = torch.randint(0, 80, (62,), generator=generator)
    ids = torch.tensor(coco_ids())
    halves = [slice(0, 30), slice(30, 62)]
    theirs = pair.theirs
    logits[..., [i for i in range(91) if i not in ids.tolist()]] = -30.0  # ids that ours has no outputs for
    images = ImageList(torch.zeros(2, 3, 768, 1280), [(768, 1280)] * 2)
    features = [torch.zeros(1, 1, h, w) for h, w in sizes]
    expected = theirs.compute_loss(
        [{"boxes": boxes[half], "labels": ids[labels[half]]} for half in halves],
        {"cls_logits": logits, "bbox_regression": sides, "bbox_ctrness": quality[..., None]},
        theirs.anchor_generator(images, features),
        [h * w for h, w in sizes],
    )
    output = HeadOutput(logits[..., ids], sides * points.stride[:, None], points, quality)
    image = torch.tensor([0] * 30 + [1] * 32)
    truth = GroundTruth(boxes, labels, image, torch.zeros(62, dtype=torch.bool), 2)
    losses = pair.ours.config.build_criterion()(output, truth)
    assert len(losses.assignment.gt) > 200
    assert set(points.level[losses.assignment.point].tolist()) == {0, 1, 2, 3, 4}
    same_losses(losses.terms, expected)


def same_losses(terms: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    names = {"loss_class": "classification", "loss_box": "bbox_regression", "loss_quality": "bbox_ctrness"}
    for ours, theirs in names.items():
        assert float(terms[ours]) == pytest.approx(float(expected[theirs]), abs=1e-4), ours


def test_resizing_differs_by_rounding_where_pictures_grow(pair):
    """torchvision resizes floats without antialiasing, ours bytes with it: the same but for half a grey level."""
    transform = pair.theirs.transform
    sample = Scenes(count=1, seed=1, size=(64, 80)).sample(0)
    wanted, _ = transform.resize(sample.image / 255)
    resized = Resize(1333, 800)(sample)
    assert resized.size == tuple(wanted.shape[1:]) == (800, 1000)
    assert float((wanted * 255 - resized.image).abs().max()) <= 1.01


def test_what_the_model_file_says(pair):
    file = read_model(pair.conversion.model)
    assert list(file.class_names) == [CATEGORIES[i] for i in coco_ids()] and len(coco_ids()) == 80
    assert file.preprocessing["colour"] == "RGB" and file.preprocessing["shorter"] == 800
    theirs = pair.theirs
    inference = file.config["inference"]
    assert (inference["score_threshold"], inference["nms_iou"]) == (theirs.score_thresh, theirs.nms_thresh)
    assert (inference["topk"], inference["max_detections"]) == (theirs.topk_candidates, theirs.detections_per_img)
    assert file.preprocessing["mean"] == theirs.transform.image_mean
    assert file.preprocessing["std"] == theirs.transform.image_std
    # torchvision documents 32,269,600 for its network with frozen norms, whose scale and shift it does not count.
    counted = sum(p.numel() for p in theirs.parameters())
    norms = sum(m.weight.numel() + m.bias.numel() for m in theirs.modules() if isinstance(m, nn.BatchNorm2d))
    assert counted - norms == FCOS_ResNet50_FPN_Weights.COCO_V1.meta["num_params"]
    rows = 91 - 80
    ours = sum(p.numel() for p in pair.ours.detector.parameters())
    assert ours == counted - rows * (256 * 9 + 1) + 5  # and a scale for each level


def test_for_dsla_the_centerness_branch_goes(small, tmp_path):
    done = convert(small.file, tmp_path / "dsla.safetensors", "torchvision", assigner="dsla")
    assert done.dropped == ("head.regression_head.bbox_ctrness.weight", "head.regression_head.bbox_ctrness.bias")
    config = done.config
    assert config.assigner.name == "dsla" and not config.model.quality_branch and config.inference.score == "class"
    state, kept = read_model(done.model).state, read_model(small.conversion.model).state
    assert kept.keys() - state.keys() == {"head.quality.weight", "head.quality.bias"}
    assert all(torch.equal(state[name], kept[name]) for name in state)


def test_out_and_back_changes_nothing(small, tmp_path):
    """What is written loads into torchvision's network, and back it is what it was."""
    written = export(small.conversion.model, tmp_path / "again.pth", "torchvision")
    state = torch.load(written, weights_only=True)
    before = small.theirs.state_dict()
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], before[name]) for name in state)
    plain = export(small.conversion.model, tmp_path / "plain.safetensors", "plain")
    assert load_file(plain).keys() == small.ours.detector.state_dict().keys()
    done = convert(written, tmp_path / "back.safetensors", "torchvision")
    back, first = read_model(done.model), read_model(small.conversion.model)
    assert back.config == first.config and back.class_names == first.class_names
    assert all(torch.equal(back.state[name], first.state[name]) for name in first.state)


def test_spelling_of_old_versions_and_whole_checkpoints_are_read(small, tmp_path):
    """torchvision's references save {"model": ...}; its pyramid had other names when the COCO weights were made."""
    state = {
        re.sub(r"_blocks\.(\d)\.0\.", r"_blocks.\1.", name): tensor
        for name, tensor in small.theirs.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }  # fmt: skip
    assert "backbone.fpn.inner_blocks.0.weight" in state
    torch.save({"model": {f"module.{k}": v for k, v in state.items()}, "epoch": 25}, tmp_path / "old.pth")
    done = convert(tmp_path / "old.pth", tmp_path / "old.safetensors", "torchvision")
    first = read_model(small.conversion.model).state
    assert all(torch.equal(tensor, first[name]) for name, tensor in read_model(done.model).state.items())


def test_own_classes_with_torchvisions_background(small, tmp_path):
    state = small.theirs.state_dict()
    classifier = "head.classification_head.cls_logits."
    state |= {classifier + part: state[classifier + part][:3].clone() for part in ("weight", "bias")}
    save_file(state, tmp_path / "own.safetensors")
    with pytest.raises(ModelError, match="3 outputs, and they are not COCO's 80 classes; name them all with --classes"):
        convert(tmp_path / "own.safetensors", tmp_path / "out.safetensors", "torchvision")
    with pytest.raises(ModelError, match="3 outputs, and 4 names were given"):
        convert(tmp_path / "own.safetensors", tmp_path / "out.safetensors", "torchvision", class_names=list("abcd"))
    done = convert(tmp_path / "own.safetensors", tmp_path / "out.safetensors", "torchvision", class_names=("a", "b"))
    rows = read_model(done.model).state["head.classes.bias"]
    assert torch.equal(rows, state[classifier + "bias"][1:]) and load(done.model).class_names == ("a", "b")


def test_missing_and_left_over_tensors_are_all_listed(small, tmp_path):
    state = small.theirs.state_dict()
    del state["backbone.body.layer3.1.conv2.weight"], state["head.regression_head.conv.3.bias"]
    state |= {"backbone.body.fc.weight": torch.zeros(2), "optimizer.x": torch.zeros(1)}
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(ModelError) as refusal:
        convert(tmp_path / "odd.pth", tmp_path / "out.safetensors", "torchvision")
    text = str(refusal.value)
    assert "2 missing: backbone.body.layer3.1.conv2.weight (our backbone.net.layer3.1.conv2.weight), " in text
    assert "head.regression_head.conv.3.bias (our head.box_tower.3.bias)" in text
    assert "2 left over: backbone.body.fc.weight, optimizer.x" in text
    assert not (tmp_path / "out.safetensors").exists()


def test_another_network_is_refused_in_one_message(tmp_path):
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"net\.pth: no feature pyramid with a head of FCOS's kind"):
        convert(tmp_path / "net.pth", tmp_path / "out.safetensors", "torchvision")
    with pytest.raises(ModelError, match="no such file"):
        convert(tmp_path / "none.pth", tmp_path / "out.safetensors", "torchvision")


def test_a_pickle_that_needs_code_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    torch.save({"state_dict": {"a": torch.ones(2)}, "hook": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(ModelError, match=r"more than tensors in it.*Save its tensors alone .*: torch\.save\("):
        convert(tmp_path / "bomb.pth", tmp_path / "out.safetensors", "torchvision")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("eps", [0.0, 1e-3])
def test_another_eps_goes_into_the_variance(eps):
    """FrozenBatchNorm2d with the source's eps, as torchvision's RetinaNet runs its COCO weights with 0."""
    detector = tiny_config().build_detector(2)
    torch.manual_seed(0)
    state = detector.state_dict()
    for name, tensor in state.items():
        if name.endswith("running_var"):
            tensor.uniform_(1e-3, 2e-2)
        elif "bn" in name and name.endswith("weight"):
            tensor.uniform_(0.5, 1.5)  # the last norm of a block starts from 0
    changed = state | _with_eps(state, detector, eps)
    norms = {name: module for name, module in detector.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert norms
    for name, module in norms.items():
        frozen = FrozenBatchNorm2d(module.num_features, eps=eps)
        frozen.load_state_dict({k: state[f"{name}.{k}"] for k in ("weight", "bias", "running_mean", "running_var")})
        x = torch.randn(2, module.num_features, 3, 3)
        torch.testing.assert_close(normed(x, changed, name, module.eps), frozen(x), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(normed(x, state, name, module.eps), frozen(x), atol=1e-5, rtol=1e-5)


def normed(x: Tensor, state: dict[str, Tensor], name: str, eps: float) -> Tensor:
    mean, var, weight, bias = (state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
    return nn.functional.batch_norm(x, mean, var, weight, bias, eps=eps)


def tiny_config(*words: str) -> Config:
    return override(recipe(), parse_assignments([*tiny_flags()[1::2], *words]), "test")


def test_a_model_of_another_form_is_not_written_for_others(tmp_path):
    config = tiny_config("model.backbone=resnet18")
    save_model(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, config=config.model_dump(mode="json"),
               class_names="ab", preprocessing={})  # fmt: skip
    with pytest.raises(ModelError, match=r"model\.box is exp-stride, and torchvision computes with relu"):
        export(tmp_path / "m.safetensors", tmp_path / "out.pth", "torchvision")
    with pytest.raises(ModelError, match=r"model\.box is exp-stride, and mmdet computes with relu or exp"):
        export(tmp_path / "m.safetensors", tmp_path / "out.pth", "mmdet")
    config = tiny_config()
    save_model(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, config=config.model_dump(mode="json"),
               class_names="ab", preprocessing={})  # fmt: skip
    with pytest.raises(ModelError, match="mmdet knows ResNets by these names, and not test_resnet"):
        export(tmp_path / "m.safetensors", tmp_path / "out.pth", "mmdet")
