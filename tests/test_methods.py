"""A method's name stands for an assigner with what belongs to it, laid over a recipe; each can be trained."""

from dataclasses import fields

import pytest
import torch

from dsla.config import override
from dsla.errors import ConfigError
from dsla.geometry import GroundTruth
from dsla.methods import METHODS, assigner_names, with_assigner
from dsla.models import detect
from dsla.recipes import recipe

every_method = pytest.mark.parametrize("name", assigner_names())


@every_method
def test_only_the_method_differs_from_the_recipe(name):
    before, after = recipe().model_dump(), with_assigner(recipe(), name).model_dump()
    for part in ("data", "optim", "train"):
        assert after[part] == before[part]
    assert after["model"] | {"quality_branch": False} == before["model"]
    for key in ("box", "class_weight", "box_weight", "quality_weight"):
        assert after["loss"][key] == before["loss"][key]
    for key in ("score_threshold", "topk", "max_detections"):
        assert after["inference"][key] == before["inference"][key]


@every_method
def test_ranges_centre_sampling_and_coverage_are_the_recipes_unless_the_method_has_its_own(name):
    base, method = recipe().assigner, METHODS[name]
    got = with_assigner(recipe(), name).assigner
    for field in ("center_radius", "reach", "cover"):
        if field in {each.name for each in fields(got)}:
            wanted = getattr(method.assigner if field in method.keeps else base, field)
            assert getattr(got, field) == wanted


@every_method
def test_a_step_of_training_reaches_every_weight(name):
    torch.manual_seed(0)
    config = override(with_assigner(recipe(), name), {"model": {"width": 16, "groups": 4, "weights": "none"}}, "test")
    detector, criterion = config.build_detector(2), config.build_criterion()
    boxes = torch.tensor([[8.0, 8.0, 70.0, 60.0], [40.0, 50.0, 52.0, 60.0]])
    truth = GroundTruth.collate([(boxes, torch.tensor([0, 1]), torch.tensor([False, False]))])
    output = detector(torch.randn(1, 3, 96, 96))
    losses = criterion(output, truth, 0.5)
    losses.total.backward()
    assert set(losses.assignment.gt.tolist()) == {0, 1}
    for module in (detector.head, detector.neck):
        assert all(weight.grad is not None for weight in module.parameters())
    assert detector.head.classes.weight.grad.abs().sum() > 0
    assert detector.head.boxes.weight.grad.abs().sum() > 0
    found = detect(output, torch.tensor([[96, 96]]), config.inference)[0]
    assert torch.isfinite(found.boxes).all()


def test_only_one_point_methods_go_without_suppression():
    without = [name for name in assigner_names() if with_assigner(recipe(), name).inference.nms_iou is None]
    assert without == ["poto", "one-to-few"]


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(ConfigError, match="nearest is simota"):
        with_assigner(recipe(), "simotta")
