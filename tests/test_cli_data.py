"""Data sets of every kind through the commands: what is found out, told, cut, forced and limited."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import TINY, dsla, tiny_flags
from layouts import LAYOUTS
from PIL import Image

from dsla.config import override, parse_assignments
from dsla.data import open_data
from dsla.engine.modelfile import save_model
from dsla.recipes import recipe


@pytest.fixture(scope="module")
def yolo(scenes, tmp_path_factory) -> Path:
    """The scenes as a YOLO folder without validation pictures, and with four to test on."""
    splits = {name: json.loads((scenes / f"{name}.json").read_text()) for name in ("train", "val")}
    splits = {"train": splits["train"], "test": splits["val"]}
    return LAYOUTS["yolo_ultralytics"](tmp_path_factory.mktemp("yolo") / "data", scenes / "images", splits)


@pytest.fixture(scope="module")
def model(scenes, tmp_path_factory) -> Path:
    """An untrained model for the scenes, whose training had a limit of 5000 pixels."""
    settings = override(recipe(), parse_assignments([*TINY, "data.max_pixels=5000"]), "test")
    names = open_data(scenes).train.class_names
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    state = settings.build_detector(len(names)).state_dict()
    save_model(path, state, config=settings.model_dump(mode="json"), class_names=names, preprocessing={"imgsz": 64})
    return path


def test_a_yolo_folder_is_trained_on_evaluated_and_tested(capsys, yolo, tmp_path):
    """The pictures that training cut for validation are those that are evaluated later."""
    run = tmp_path / "run"
    words = ("--epochs", "1", "--set", "data.val_share=0.25", "--set", "data.val_seed=3")
    ran = dsla(capsys, "train", yolo, *tiny_flags(), *words, "--out", run)
    assert ran.status == 0, ran.err
    assert f"{yolo}: 9 pictures to train, 3 to validate, 4 to test (YOLO)\n" in ran.out
    assert len(re.findall("so 3 of 12 are cut from training .data.val_share=0.25, data.val_seed=3", ran.out)) == 1
    settings = yaml.safe_load((run / "config.yaml").read_text())["data"]
    assert (settings["val_share"], settings["val_seed"], settings["kind"]) == (0.25, 3, None)
    trained = json.loads((run / "results.json").read_text())

    figures = tmp_path / "figures.json"
    ran = dsla(capsys, "evaluate", run, yolo / "data.yaml", "--workers", "0")
    assert ran.status == 0 and "12 pictures (YOLO)" in ran.out and "these are all it has" in ran.out
    ran = dsla(capsys, "evaluate", run, yolo, "--workers", "0", "--out", figures)
    assert ran.status == 0 and "3 pictures (YOLO)" in ran.out and "so 3 of 12 are cut" in ran.out
    again = json.loads(figures.read_text())
    assert {key: trained[key] for key in again} == again
    ran = dsla(capsys, "evaluate", run, yolo, "--workers", "0", "--split", "test")
    assert ran.status == 0 and "4 pictures (YOLO)" in ran.out


def test_a_split_that_is_not_there(capsys, scenes, model):
    ran = dsla(capsys, "evaluate", model, scenes, "--workers", "0", "--split", "test")
    assert ran.status == 2 and "has no test pictures; use --split val or train" in ran.err


@pytest.mark.parametrize("command", [("train",), ("compare",), ("shards",)])
def test_a_format_that_is_not_known(capsys, yolo, tmp_path, command):
    ran = dsla(capsys, *command, yolo, *([tmp_path / "out"] if command == ("shards",) else []), "--kind", "csv")
    assert ran.status == 2 and "--kind csv: unknown; known are coco, yolo, voc" in ran.err


def test_a_format_is_forced(capsys, yolo, tmp_path):
    words = (*tiny_flags(), "--dry-run", "--kind", "voc")
    ran = dsla(capsys, "train", yolo, *words)
    assert ran.status == 2 and "no Pascal VOC annotations found here" in ran.err
    ran = dsla(capsys, "shards", yolo, tmp_path / "shards", "--kind", "yolo")
    assert ran.status == 0 and len(open_data(tmp_path / "shards").train) == 12


@pytest.mark.parametrize("workers", [0, 1])
def test_large_pictures_are_refused_in_training_unless_the_limit_is_raised(capsys, scenes, tmp_path, workers):
    words = [word for word in tiny_flags() if "workers" not in word and word != "--set"]
    flags = [each for word in words for each in ("--set", word)]
    words = (*flags, "--workers", str(workers), "--epochs", "1", "--set", "data.max_pixels=4000")
    ran = dsla(capsys, "train", scenes, *words, "--out", tmp_path / "run")
    assert ran.status == 2 and "64x64 are 4,096 pixels, the limit is 4,000" in ran.err
    assert "data.max_pixels, --max-pixels" in ran.err and "Traceback" not in ran.err


def test_predict_and_evaluate_have_the_limit_of_the_training_or_another(capsys, scenes, model, tmp_path):
    large = tmp_path / "large.png"
    Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(large)
    for flags, status in (((), 2), (("--max-pixels", "6400"), 0), (("--max-pixels", "6399"), 2)):
        ran = dsla(capsys, "predict", model, large, "--out", tmp_path / "found", *flags)
        assert ran.status == status and ("too large to be decoded: 80x80" in ran.err) == (status == 2)
    ran = dsla(capsys, "evaluate", model, scenes, "--workers", "0", "--max-pixels", "100")
    assert ran.status == 2 and "the limit is 100" in ran.err


def test_prediction_says_that_the_first_of_several_pages_counts(capsys, model, tmp_path):
    pages = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    ran = dsla(capsys, "predict", model, tmp_path / "stack.tif", "--out", tmp_path / "found")
    assert ran.status == 0 and "note: 1 picture has several pages; the first page is used" in ran.out
