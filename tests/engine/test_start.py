"""A training that starts from a whole model knows what the model knew, of the classes that both have."""

from pathlib import Path

import pytest
import torch

from dsla.config import override, parse_config
from dsla.engine.modelfile import read_model
from dsla.engine.start import start_from
from dsla.errors import ModelError


def built(file, classes, **model):
    torch.manual_seed(5)
    config = override(parse_config(file.config, "test"), {"model": model}, "test")
    return config.build_detector(len(classes), weights="none").eval()


def test_what_is_known_comes_along_and_what_is_new_starts_anew(tiny_model: Path) -> None:
    file = read_model(tiny_model)
    old = built(file, file.class_names)
    old.load_state_dict(file.state)
    classes = ("something new", *reversed(file.class_names))
    new = built(file, classes)
    fresh = new.state_dict()["head.classes.bias"][0].clone()
    assert start_from(new, file, classes) == classes[1:]
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before, after = old(pictures), new(pictures)
    assert torch.equal(after.ltrb, before.ltrb)
    torch.testing.assert_close(after.logits[..., 1:], before.logits.flip(-1))
    assert torch.equal(new.state_dict()["head.classes.bias"][0], fresh)


def test_a_branch_may_come_and_go(tiny_model: Path) -> None:
    file = read_model(tiny_model)
    assert start_from(built(file, file.class_names, quality_branch=True), file, file.class_names) == file.class_names
    file.state["head.quality.weight"] = torch.zeros(1)
    assert start_from(built(file, file.class_names), file, file.class_names) == file.class_names


def test_another_architecture_is_refused_by_name(tiny_model: Path) -> None:
    file = read_model(tiny_model)
    with pytest.raises(ModelError, match=r"best\.safetensors: another architecture .* head\.class_tower"):
        start_from(built(file, file.class_names, convs=2), file, file.class_names)
    with pytest.raises(ModelError, match="another architecture"):
        start_from(built(file, file.class_names, width=32), file, file.class_names)
