"""All classes as one: labels, ground truth, and the setting on its way from training to evaluation."""

import json

import pytest
import torch
from commands import dsla, tiny_flags

from dsla.data import DetectionData, open_data
from dsla.data.single_class import SingleClass, as_single_class, splits_as_single_class


@pytest.fixture
def data(scenes) -> DetectionData:
    return open_data(scenes).train


def test_it_is_a_data_set_of_one_class(data):
    single = as_single_class(data)
    assert isinstance(single, DetectionData) and len(single) == len(data)
    assert single.class_names == ("object",)
    assert single.notes[-1] == "all 10 classes are taken as one, named object"
    assert as_single_class(single) is single, "twice is once"


def test_pictures_and_boxes_stay_and_labels_are_zero(data):
    single = SingleClass(data)
    for index in range(len(data)):
        before, after = data.record(index), single.record(index)
        assert torch.equal(before.boxes, after.boxes) and torch.equal(before.ignore, after.ignore)
        assert (before.size, before.image_id, before.name) == (after.size, after.image_id, after.name)
        assert after.labels.tolist() == [0] * len(before.labels)
    before, after = data.sample(0), single.sample(0)
    assert torch.equal(before.image, after.image) and not after.labels.any()
    assert data.sample(0).labels.any(), "the source is left alone"


def test_ground_truth_has_one_category(data):
    before, after = data.to_coco(), SingleClass(data).to_coco()
    assert after["categories"] == [{"id": 1, "name": "object"}]
    assert {row["category_id"] for row in after["annotations"]} == {1}
    assert after["images"] == before["images"]
    assert [row["bbox"] for row in after["annotations"]] == [row["bbox"] for row in before["annotations"]]
    assert len(before["categories"]) == 10


def test_splits(scenes):
    splits = splits_as_single_class(open_data(scenes))
    assert splits.val is not None and splits.val.class_names == splits.train.class_names == ("object",)
    assert splits_as_single_class(open_data(scenes / "train.json")).val is None


def test_the_setting_goes_with_the_model(capsys, scenes, tmp_path):
    run = tmp_path / "run"
    words = ("--epochs", "1", *tiny_flags(), "--set", "data.single_class=true", "--out", run)
    ran = dsla(capsys, "train", scenes, *words)
    assert ran.status == 0, ran.err
    assert "1 classes: object" in ran.out and "all 10 classes are taken as one" in ran.out
    results = json.loads((run / "results.json").read_text())
    assert list(results["per_class"]) == ["object"]
    ran = dsla(capsys, "evaluate", run, scenes, "--workers", "0", "--out", tmp_path / "figures.json")
    assert ran.status == 0, ran.err
    assert json.loads((tmp_path / "figures.json").read_text())["AP"] == results["AP"]
    assert json.loads((tmp_path / "figures.json").read_text())["per_class"].keys() == {"object"}
