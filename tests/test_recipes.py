"""Recipes: their numbers are the sources', they build, they amount to what is documented, and small ones go through."""

import json
import runpy
from functools import lru_cache
from operator import attrgetter
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models.detection import FCOS_ResNet50_FPN_Weights, fcos_resnet50_fpn

from dsla.config import override
from dsla.data import open_data
from dsla.engine.outline import Outline, outline_of
from dsla.models import complexity_of
from dsla.recipes import recipe, recipe_names, recipe_summary

ROOT = Path(__file__).parents[1]
try_out = runpy.run_path(str(ROOT / "benchmarks" / "recipes.py"))
documented = {row["recipe"]: row for row in json.loads((ROOT / "docs/results/recipes.json").read_text())["recipes"]}
every_recipe = pytest.mark.parametrize("name", recipe_names())

COCO = {
    "data.imgsz": 1333,
    "data.shorter": 800,
    "data.batch": 16,
    "data.augment.flip": 0.5,
    "data.augment.scale": (1.0, 1.0),
    "data.augment.brightness": 0.0,
    "data.augment.mosaic": 0.0,
    "model.levels": (3, 4, 5, 6, 7),
    "model.width": 256,
    "model.convs": 4,
    "model.groups": 32,
    "model.extra_from": "p5",
    "train.ema": None,
    "optim.schedule": "step",
    "optim.gamma": 0.1,
    "optim.backbone_factor": 1.0,
    "inference.score_threshold": 0.05,
    "inference.topk": 1000,
    "inference.max_detections": 100,
}
OFFICIAL = COCO | {
    "assigner.name": "dsla",
    "assigner.relaxation": True,
    "assigner.relaxation_factor": 0.2,
    "assigner.core_zone": True,
    "assigner.coupling": True,
    "assigner.released": True,
    "assigner.reach": 8.0,
    "assigner.cover": False,
    "model.offset": 0.0,
    "model.quality_branch": False,
    "loss.classification.name": "quality_focal",
    "loss.classification.beta": 2.0,
    "loss.box_weight": 1.0,
    "inference.nms_iou": 0.6,
}
SGD = {
    "optim.name": "sgd",
    "optim.momentum": 0.9,
    "optim.weight_decay": 1e-4,
    "optim.bias_factor": 2.0,
    "model.frozen_stages": 1,
    "model.freeze_norm": True,
}
ONCE = SGD | {
    "optim.lr": 0.01,
    "optim.warmup": 500,
    "optim.warmup_start": pytest.approx(1 / 3),
    "optim.milestones": (8, 11),
    "train.epochs": 12,
}
LARGE = OFFICIAL | {
    "assigner.center_radius": 1.5,
    "loss.class_weight": 1.0,
    "loss.box.name": "giou",
    "model.box": "relu",
    "model.head_dcn": True,
    "data.shorter_choices": (640, 800),
    "train.clip": None,
    "optim.warmup": 1000,
    "optim.warmup_kind": "linear",
    "optim.warmup_start": 0.001,
}
TWICE = SGD | {
    "optim.lr": 0.02,
    "optim.milestones": (16, 22),
    "train.epochs": 24,
    "model.freeze_affine": False,
    "model.dcn": "v1",
}
# From the logs in YonghaoHe/DSLA, and mmdetection's configs/fcos.
SOURCES = {
    "r50-1x": OFFICIAL
    | ONCE
    | {
        "assigner.center_radius": None,
        "model.box": "exp",
        "loss.class_weight": 2.0,
        "loss.box.name": "iou",
        "train.clip": 35.0,
        "optim.warmup_kind": "constant",
        "model.freeze_affine": True,
        "model.dcn": None,
        "model.head_dcn": False,
        "data.shorter_choices": (),
    },
    "r101-dcn-2x": LARGE | TWICE | {"model.dcn_stages": 3},
    "x101-64x4d-dcn-2x": LARGE | TWICE | {"model.dcn_stages": 2},
    "swin-s-3x": LARGE
    | {
        "optim.name": "adamw",
        "optim.lr": 1e-4,
        "optim.weight_decay": 0.05,
        "optim.bias_factor": 1.0,
        "optim.milestones": (27, 33),
        "train.epochs": 36,
        "model.drop_path": 0.2,
        "model.frozen_stages": 0,
        "model.dcn": None,
    },
    "fcos-r50-1x": COCO
    | ONCE
    | {
        "assigner.name": "fcos",
        "assigner.center_radius": None,
        "model.offset": 0.5,
        "model.quality_branch": True,
        "model.box": "exp",
        "loss.classification.name": "focal",
        "loss.box.name": "iou",
        "loss.box_weight": 1.0,
        "optim.warmup_kind": "constant",
        "train.clip": 35.0,
        "inference.nms_iou": 0.5,
    },
    "fcos-r50-tricks-1x": COCO
    | ONCE
    | {
        "assigner.name": "fcos",
        "assigner.center_radius": 1.5,
        "model.offset": 0.5,
        "model.quality_branch": True,
        "model.box": "relu",
        "loss.classification.name": "focal",
        "loss.box.name": "giou",
        "loss.box_weight": 1.0,
        "optim.warmup_kind": "linear",
        "train.clip": None,
        "inference.nms_iou": 0.6,
    },
}


@lru_cache
def outline(name: str) -> Outline:
    return outline_of(recipe(name))


@every_recipe
def test_a_recipe_knows_its_name_and_says_what_it_is(name):
    assert recipe(name).recipe == name
    assert recipe_summary(name).endswith(".") and len(recipe_summary(name)) < 100


@pytest.mark.parametrize(("name", "settings"), SOURCES.items(), ids=list(SOURCES))
def test_published_recipes_have_the_numbers_of_their_source(name, settings):
    config = recipe(name)
    assert {path: attrgetter(path)(config) for path in settings} == settings


@pytest.mark.parametrize("name", [name for name in recipe_names() if name not in SOURCES])
def test_practical_recipes_share_what_was_found_on_small_data(name):
    one, base = recipe(name), recipe()
    assert (one.assigner, one.loss, one.inference) == (base.assigner, base.loss, base.inference)
    assert one.train.ema and 320 <= one.data.imgsz <= 640


@every_recipe
def test_a_recipe_builds_and_amounts_to_what_the_documents_say(name):
    found, told = outline(name), documented[name]
    assert found.strides == ((8, 16, 32) if name == "nano" else (8, 16, 32, 64, 128))
    assert list(found.size) == told["size"]
    assert found.complexity.parameters == told["parameters"]
    assert found.complexity.trainable == told["trainable"]
    assert found.complexity.multiply_adds == told["multiply_adds"]


class WithoutDetections(nn.Module):
    """torchvision's detector from picture to head, which is all that runs on shapes alone."""

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = whole.backbone, whole.head

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.head(list(self.backbone(images).values()))


def test_counts_are_torchvisions_own_on_its_own_model_and_ours_is_as_large():
    """torchvision counts a square picture, which its detector brings to 800 x 800 px, and its frozen batch norms as
    buffers: 53,120 numbers of scale and shift that are frozen parameters here. Our five level scales it lacks."""
    meta = FCOS_ResNet50_FPN_Weights.COCO_V1.meta
    with torch.device("meta"):
        theirs = fcos_resnet50_fpn(weights=None, weights_backbone=None)
        ours = recipe("fcos-r50-1x").build_detector(91, weights="none")
    norms = sum(p.numel() for m in theirs.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    counted = complexity_of(WithoutDetections(theirs), (800, 800))
    assert norms == 53_120
    assert counted.parameters - norms == meta["num_params"] == 32_269_600
    assert round(counted.multiply_adds / 1e9, 3) == meta["_ops"] == 128.207
    mine = complexity_of(ours, (800, 800))
    assert mine.parameters - norms - len(ours.strides) == meta["num_params"]
    assert mine.multiply_adds == counted.multiply_adds


def test_a_deformable_convolution_counts_as_the_plain_one_and_the_one_that_moves_it():
    changed = override(recipe("r50-1x"), {"model": {"head_dcn": True}}, "test")
    plain, moved = outline("r50-1x").complexity, outline_of(changed).complexity
    cells = sum(h * w for h, w in ((100, 168), (50, 84), (25, 42), (13, 21), (7, 11)))
    offsets = 2 * 256 * 27 * 9  # two towers, 256 channels to 27, kernels of 9
    assert moved.parameters - plain.parameters == offsets + 2 * 27
    assert moved.multiply_adds - plain.multiply_adds == offsets * cells


def test_counting_leaves_the_network_as_it_was():
    detector = recipe().build_detector(3, weights="none").train()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    first, second = complexity_of(detector, (128, 128)), complexity_of(detector, (128, 256))
    assert second.multiply_adds == 2 * first.multiply_adds and first.parameters == second.parameters
    assert detector.training and not next(detector.parameters()).is_meta
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


@pytest.mark.parametrize("name", ["lite0", "r18", "r50-1x"])
def test_small_recipes_take_a_step_and_are_evaluated(name, scenes):
    told = try_out["take_step"](name, open_data(scenes), imgsz=96, pictures=2)
    assert told["evaluated"] == 2 and told["positives"] > 0
    assert all(0 < value < 100 for value in told["losses"].values())
    assert told["without_gradient"] == []
