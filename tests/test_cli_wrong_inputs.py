"""Wrong inputs, through the command: exit status 2 and one message with file, record, reason and cure."""

import json
import math
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Outcome, dsla, tiny_flags
from PIL import Image
from safetensors.torch import save_file

from dsla.config import override, parse_assignments
from dsla.engine.modelfile import save_model
from dsla.recipes import recipe

CLASSES = ("cat", "dog")
FLAGS = {"--weights": "model.weights", "--device": "train.device", "--workers": "data.workers"}


def coco(boxes_of_first: list[Any] | None = None) -> dict[str, Any]:
    """Four pictures of 64x48 with a box each."""
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in (1, 2, 3, 4)]
    boxes = [{"id": 10 + i, "image_id": i, "category_id": 1, "bbox": [8, 8, 24, 20]} for i in (1, 2, 3, 4)]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(CLASSES)]
    return {"images": images, "annotations": boxes, "categories": categories}


@pytest.fixture
def data(tmp_path) -> Path:
    """A data set without a fault."""
    folder = tmp_path / "data"
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for i in (1, 2, 3, 4):
        pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
    for split in ("train", "val"):
        (folder / f"{split}.json").write_text(json.dumps(coco()))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """An untrained model of the classes of `data`."""
    settings = override(recipe(), parse_assignments(tiny_flags()[1::2]), "test")
    state = settings.build_detector(len(CLASSES)).state_dict()
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    save_model(path, state, config=settings.model_dump(mode="json"), class_names=CLASSES, preprocessing={"imgsz": 64})
    return path


def refused(ran: Outcome, *said: str | Path) -> None:
    """Status 2, and one message on stderr that holds all of `said` (regular expressions, or paths)."""
    assert ran.status == 2, f"status {ran.status}\n{ran.out}\n{ran.err}"
    assert ran.err.startswith("error: ") and ran.err.count("error:") == 1, ran.err
    assert "Traceback" not in ran.err + ran.out
    assert ran.err.endswith("\n") and len(ran.err) < 700, "too long to be read"
    for each in said:
        pattern = re.escape(str(each)) if isinstance(each, Path) else each
        assert re.search(pattern, ran.err), f"{each!r} is not in: {ran.err}"


def train(capsys, data: Path, *words: str | Path, out: str | Path | None = "") -> Outcome:
    """Train the tiny network; a setting that one of `words` is about is left to it, since --set would win."""
    settings = [word for word in tiny_flags()[1::2] if word.split("=")[0] not in map(FLAGS.get, map(str, words))]
    tiny = [word for setting in settings for word in ("--set", setting)]
    where = () if out is None else ("--out", out or data.parent / "run")
    return dsla(capsys, "train", data, "--epochs", "1", *tiny, *where, *words)


# Data sets: each fault is one change of train.json.


def first(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """Change the annotation of the first picture, 11."""
    return lambda tree: tree["annotations"][0].update(changes)


def without(table: str, key: str | None = None) -> Callable[[dict[str, Any]], None]:
    return lambda tree: tree.pop(table) if key is None else tree[table][0].pop(key)


RECORDS = {
    # An id that leads nowhere would silently drop the box.
    "image id": (first(image_id=99), ["annotation 11 .*image 99, which is not in 'images'", "Add the image or"]),
    "category id": (first(category_id=7), ["annotation 11 .*category 7, .*ids 1, 2", "Add the category or"]),
    # One NaN in a box is a NaN in every weight after one step.
    "nan": (first(bbox=[8, math.nan, 24, 20]), [r"annotation 11 .*nan.* not finite", "correct or remove"]),
    "infinite": (first(bbox=[8, 8, math.inf, 20]), [r"annotation 11 .*not finite", "correct or remove"]),
    # Exporters that write corners instead of sizes give negative sizes.
    "negative": (first(bbox=[40, 30, -10, -10]), [r"annotation 11 .*\[40, 30, -10, -10\].*not above zero", "x, y, w"]),
    "zero": (first(bbox=[8, 8, 0, 20]), [r"annotation 11 .*\[8, 8, 0, 20\].*not above zero", "correct or remove"]),
    # Boxes of the picture's full size while the picture was scaled down.
    "outside": (first(bbox=[640, 480, 24, 20]), [r"annotation 11 .*outside its picture 1.png \(64x48\)", "Correct or"]),
    "three numbers": (first(bbox=[8, 8, 24]), [r"annotation 11 .*\[8, 8, 24\] that is not four numbers"]),
    "words": (first(bbox=["8", "8", "24", "20"]), [r"annotation 11 .*not four numbers"]),
    "no bbox": (without("annotations", "bbox"), [r"annotations\[0\] has no 'bbox'", "Give a COCO json"]),
    "no images": (without("images"), ["not COCO: 'images' is missing", "Give a COCO json"]),
    "no categories": (without("categories"), ["not COCO: 'categories' is missing", "Give a COCO json"]),
    "no name": (without("categories", "name"), [r"categories\[0\] has no 'name'"]),
    "id twice": (first(id=12), ["1 annotation ids are used more than once: 12", "own id"]),
    "text as id": (first(image_id="1"), [r"annotations\[0\] has 'image_id' '1' instead of a whole number"]),
    "nothing": (lambda tree: tree.update(images=[], annotations=[]), ["'images' is empty", "Check the export"]),
    "wrong size": (lambda tree: tree["images"][0].update(width=128), ["1.png.* is 64x48 .*says 128x48", "correct the"]),
    "no picture": (
        lambda tree: tree["images"][0].update(file_name="0.png"),
        ["1 of 4 pictures are missing, first 0.png"],
    ),
}


@pytest.mark.parametrize(("change", "said"), RECORDS.values(), ids=RECORDS)
def test_a_wrong_record_of_the_data_set(capsys, data, change, said):
    tree = coco()
    change(tree)
    (data / "train.json").write_text(json.dumps(tree))
    refused(train(capsys, data), data / "train.json", *said)


TEXTS = {
    # A detection result is the COCO json that people confuse with the ground truth.
    "results": ('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]', "not COCO: a list"),
    "labelme": ('{"shapes": [], "imagePath": "1.png"}', "not COCO: 'images' is missing"),
    "cut short": (json.dumps(coco())[:300], "not a json file"),
    "empty": ("", "the file is empty"),
    "csv": ("file,x,y\n1.png,2,3\n", "not a json file"),
    "number": ("3", "not COCO: a number instead of an object"),
}


@pytest.mark.parametrize(("text", "said"), TEXTS.values(), ids=TEXTS)
def test_a_json_that_is_not_coco(capsys, data, text, said):
    (data / "train.json").write_text(text)
    refused(train(capsys, data), data / "train.json", said, "Give a COCO json with 'images', 'annotations'")


def test_a_json_that_is_not_text(capsys, data):
    shutil.copy(data / "images" / "1.png", data / "train.json")
    refused(train(capsys, data), data / "train.json", "not a json file")


def test_no_such_data(capsys, data, model):
    for ran in (train(capsys, data / "nowhere"), dsla(capsys, "evaluate", model, data / "nowhere")):
        refused(ran, data / "nowhere", "no such file or folder", "train.json and val.json")


def test_a_folder_without_a_data_set(capsys, data):
    refused(train(capsys, data / "images"), data / "images", "no data set found", "Known layouts are COCO .train.json")


def test_validation_pictures_of_other_classes(capsys, data):
    tree = coco()
    tree["categories"][1]["name"] = "wolf"
    (data / "val.json").write_text(json.dumps(tree))
    refused(train(capsys, data), data / "val.json", "differ .*'wolf'", "same ids and names")


# Pictures: each fault is one file in the place of images/2.png.

PICTURES = {
    "empty": (lambda whole: b"", r"the file is empty \(0 bytes\)"),
    "truncated": (lambda whole: whole[: len(whole) // 2], "cut short or damaged"),
    "stub": (lambda whole: whole[:20], "cut short or damaged"),
    "page": (lambda whole: b"<html>404 Not Found</html>", "not a picture .*<html>"),
}


@pytest.mark.parametrize(("spoil", "said"), PICTURES.values(), ids=PICTURES)
def test_a_picture_that_cannot_be_learned_from(capsys, data, spoil, said):
    broken = data / "images" / "2.png"
    broken.write_bytes(spoil(broken.read_bytes()))
    refused(train(capsys, data), broken, said, "Replace the file, or take it out")


def test_a_broken_picture_is_named_from_a_worker_too(capsys, data):
    """An error of a worker process comes back wrapped in its traceback unless it is handed over with care."""
    broken = data / "images" / "2.png"
    broken.write_bytes(broken.read_bytes()[:500])
    refused(train(capsys, data, "--workers", "2"), broken, "cut short or damaged", "Replace the file")


def test_a_broken_picture_to_measure_on(capsys, data, model):
    broken = data / "images" / "2.png"
    broken.write_bytes(b"")
    ran = dsla(capsys, "evaluate", model, data, "--workers", "0")
    refused(ran, broken, "the file is empty", "Replace the file")


@pytest.mark.parametrize("name", ["scenes", "trees", "trees:some.whl"])
def test_what_is_built_in_has_no_files_to_check(capsys, name):
    refused(dsla(capsys, "check", name), name.partition(":")[0], "needs no check", "folder of your own")


def test_broken_pictures_are_told_and_the_others_predicted(capsys, data, model):
    """A folder of ten thousand must not stop at the first bad one."""
    whole = (data / "images" / "2.png").read_bytes()
    for name, (spoil, _) in PICTURES.items():
        (data / "images" / f"{name}.png").write_bytes(spoil(whole))
    ran = dsla(capsys, "predict", model, data / "images", "--out", data.parent / "found", "--threshold", "0")
    assert ran.status == 2
    lines = ran.err.splitlines()
    assert len(lines) == len(PICTURES) and all(line.startswith("not read: ") for line in lines)
    for name, (_, said) in PICTURES.items():
        (line,) = (line for line in lines if str(data / "images" / f"{name}.png") in line)
        assert re.search(said, line)
    assert "in 4 pictures" in ran.out
    assert sorted(path.name for path in (data.parent / "found/images").iterdir()) == [f"{i}.jpg" for i in (1, 2, 3, 4)]
    found = json.loads((data.parent / "found/detections.json").read_text())
    assert {Path(row["file_name"]).name for row in found} == {f"{i}.png" for i in (1, 2, 3, 4)}


def test_a_picture_without_boxes_is_no_fault(capsys, data):
    tree = coco()
    del tree["annotations"][1:]
    (data / "train.json").write_text(json.dumps(tree))
    ran = train(capsys, data)
    assert (ran.status, ran.err) == (0, "")


def test_boxes_that_stick_out_are_clipped_and_noted(capsys, data):
    tree = coco()
    first(bbox=[50, 30, 40, 40])(tree)
    (data / "train.json").write_text(json.dumps(tree))
    ran = train(capsys, data)
    assert (ran.status, ran.err) == (0, "")
    assert re.search(r"note: .*train.json: 1 of 4 boxes stick out .* clipped .*\(annotations 11\)", ran.out)


# What predict is given.


def test_nothing_to_predict(capsys, data, model):
    empty = data.parent / "empty"
    empty.mkdir()
    out = ("--out", data.parent / "found")
    refused(dsla(capsys, "predict", model, empty, *out), empty, "no pictures there", r"suffixes are .*\.png")
    refused(dsla(capsys, "predict", model, data / "9.png", *out), data / "9.png", "no such file or folder")
    refused(dsla(capsys, "predict", model, f"{empty}/*.png", *out), r"empty/\*.png", "matches nothing")
    assert not (data.parent / "found").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--classes", "catt"), "catt.*cat"),
        (("--format", "images,xml"), "format 'xml' is unknown; known are images, coco, csv"),
    ],
    ids=["class", "format"],
)
def test_a_wrong_wish(capsys, data, model, words, said):
    refused(dsla(capsys, "predict", model, data / "images", "--out", data.parent / "found", *words), said)


# Models.


def test_data_of_other_classes_than_the_models(capsys, data, model):
    tree = coco()
    tree["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "wolf"}, {"id": 3, "name": "cow"}]
    (data / "val.json").write_text(json.dumps(tree))
    ran = dsla(capsys, "evaluate", model, data / "val.json")
    refused(ran, model, "only in the data: wolf, cow; only in the model: dog", "Evaluate on data with the classes")


def test_data_with_the_models_classes_in_another_order(capsys, data, model):
    tree = coco()
    tree["categories"] = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    (data / "val.json").write_text(json.dumps(tree))
    refused(dsla(capsys, "evaluate", model, data / "val.json"), model, "the same names in another order")


def spoiled_model(kind: str, model: Path, folder: Path) -> Path:
    """A path that is no model, for one of many reasons."""
    whole, path = model.read_bytes(), folder / "best.safetensors"
    if kind == "folder":
        path = folder / "run"
        path.mkdir()
    elif kind == "ckpt":
        path = folder / "last.ckpt"
        torch.save({"state_dict": {}}, path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"model": 1}))
    elif kind == "other program":
        save_file({"conv.weight": torch.zeros(3)}, path, metadata={"format": "pt"})
    elif kind == "picture":
        path = folder / "picture.png"
        Image.new("RGB", (8, 8)).save(path)
    elif kind != "nowhere":
        path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "header": whole[:100]}[kind])
    return path


MODELS = {
    "nowhere": "no such model file; `dsla train` writes one",
    "folder": "a folder without best.safetensors; name a model file or the folder of a finished run",
    "empty": "cut short at 0 bytes; copy it again",
    "header": "cut short, 100 bytes of .*; copy it again",
    "half": "cut short, .* bytes of .*; copy it again",
    "ckpt": "a pickled file, .*never opened.*; name the best.safetensors beside it",
    "pickle": "a pickled file, .*never opened",
    "other program": "not a model of dsla .*; name a best.safetensors .*--weights",
    "picture": "not a safetensors file; name a best.safetensors",
}


@pytest.mark.parametrize(("kind", "said"), MODELS.items(), ids=MODELS)
def test_what_is_no_model(capsys, data, model, kind, said):
    path = spoiled_model(kind, model, data.parent)
    out = ("--out", data.parent / "found")
    refused(dsla(capsys, "predict", path, data / "images", *out), path, said)
    refused(dsla(capsys, "evaluate", path, data), path, said)


# Settings.

SETTINGS = {
    "recipe": (("--recipe", "lite1"), ["recipe lite1: unknown; the nearest is lite0"]),
    "assigner": (("--assigner", "dlsa"), ["assigner dlsa: unknown; the nearest is dsla", "fcos"]),
    "backbone": (("--set", "model.backbone=resnet5"), ["backbone resnet5: timm has no network", "nearest .*resnet50"]),
    "no feature pyramid": (("--set", "model.backbone=vit_tiny_patch16_224"), ["vit_tiny", "hierarchical network"]),
    "key": (("--set", "optim.lrr=1"), ["--set: optim.lrr: no such setting; the nearest is optim.lr"]),
    "key of a section": (("--set", "epochs=1"), ["--set: epochs: no such setting; the nearest is train.epochs"]),
    "no value": (("--set", "optim.lr"), ["--set optim.lr: expected path=value, as in"]),
    "value": (("--set", "optim.lr=fast"), ["--set: optim.lr: .*number.*'fast'"]),
    "value of a choice": (("--set", "loss.box.name=iuo"), ["loss.box.name: iuo is unknown; known are iou, giou"]),
    "value not YAML": (("--set", "model.levels=[3,4"), ["model.levels=.*: the value is not YAML: line 1, column 5: "]),
    "too small": (("--imgsz", "8"), ["command line: data.imgsz: .*32 .*given: 8"]),
    "epochs": (("--epochs", "0"), ["command line: train.epochs: .*1 .*given: 0"]),
    "device": (("--device", "gpu"), ["device gpu: unknown; give auto, cpu, cuda, mps"]),
    "weights": (("--weights", "bundeld"), ["bundeld: no such weight file", "bundled, timm, none"]),
    "weights of another backbone": (("--weights", "bundled"), ["test_resnet: bundled .*tf_efficientnet_lite0 only"]),
    "no such config": (("--config", "no.yaml"), ["no.yaml: no such configuration file; `dsla config > no.yaml`"]),
    "no such run": (("--resume", "runs/no"), ["--resume runs/no: nothing to resume, there is no such folder"]),
    "groups": (("--set", "model.groups=5"), ["width 16: 5 groups .* do not divide"]),
    "processes": (("--set", "train.devices=9"), ["batch=4 of 4 pictures for 9 processes", "fewer processes"]),
}  # fmt: skip


@pytest.mark.parametrize(("words", "said"), SETTINGS.values(), ids=SETTINGS)
def test_a_wrong_setting(capsys, data, monkeypatch, words, said):
    monkeypatch.chdir(data.parent)
    refused(train(capsys, data, *words, out=None if "--resume" in words else "run"), *said)
    assert not (data.parent / "run").exists(), "a mistake must not leave a folder that stands in the way"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_a_device_that_is_not_here(capsys, data, model):
    ran = dsla(capsys, "predict", model, data / "images", "--out", data.parent / "found", "--device", "cuda")
    for each in (train(capsys, data, "--device", "cuda"), ran):
        refused(each, r"device cuda: cannot be used here \(.+\); cpu always can")


CONFIGS = {
    "not YAML": ("train: {epochs: 3", "not YAML: line 1, column 18: expected"),
    "list": ("- 1\n- 2\n", "expected `setting: value` lines, found a list"),
    "not text": (b"\xff\xfe\x00\x01", "not YAML"),
    "unknown key": ("train: {epoch: 3}", "train.epoch: no such setting; the nearest is train.epochs"),
    "section as value": ("train: 3", r"train: .*\(given: 3\)"),
}


@pytest.mark.parametrize(("content", "said"), CONFIGS.values(), ids=CONFIGS)
def test_a_wrong_config_file(capsys, data, content, said):
    path = data.parent / "settings.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(train(capsys, data, "--config", path), path, said)


def test_no_data_named(capsys):
    refused(dsla(capsys, "train"), "which pictures\\? Give a folder, as in `dsla train pictures/`")


def test_an_unknown_split(capsys, data, model):
    refused(dsla(capsys, "evaluate", model, data, "--split", "dev"), "split dev: there are train, val and test")


WEIGHTS = {
    # PyTorch's own message recommends to open the file with code execution; it must not be passed on.
    "text": (b"weights", "not a readable weight file .*holds tensors only"),
    "pickle": (pickle.dumps(Path("x")), "not a readable weight file .*holds tensors only"),
    "empty": (b"", "not a readable weight file .*holds tensors only"),
}


@pytest.mark.parametrize(("content", "said"), WEIGHTS.values(), ids=WEIGHTS)
def test_a_weight_file_that_is_none(capsys, data, content, said):
    path = data.parent / "weights.pth"
    path.write_bytes(content)
    ran = train(capsys, data, "--weights", path)
    refused(ran, path, said)
    assert "weights_only" not in ran.err


def test_weights_of_another_network(capsys, data):
    path = data.parent / "weights.safetensors"
    save_file({"features.0.weight": torch.zeros(3)}, path)
    refused(train(capsys, data, "--weights", path), path, "none of its 1 tensors .*test_resnet; expected names like")


# Runs.


def test_a_folder_that_holds_a_run(capsys, data):
    run = data.parent / "run"
    assert train(capsys, data).status == 0
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    refused(train(capsys, data), run, "holds a run already; resume it with --resume .*run, or choose another --out")
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}

    # Resumed with what does not belong to it.
    wider = dsla(capsys, "train", "--resume", run, "--epochs", "2", "--set", "model.width=32")
    refused(wider, run, "do not fit the network .*resume with the run's own classes and model settings")
    refused(dsla(capsys, "train", "--resume", run, "--out", data.parent / "x"), run, "leave --recipe and --out away")

    # A point that was damaged, which no kill of a training does.
    (run / "last.ckpt").write_bytes(b"PK\x03\x04 not a checkpoint")
    refused(dsla(capsys, "train", "--resume", run), run / "last.ckpt", "not a point .*start anew with another --out")
    (run / "last.ckpt").unlink()
    refused(dsla(capsys, "train", "--resume", run), run, "nothing to resume, it has no last.ckpt")
    (run / "config.yaml").unlink()
    refused(dsla(capsys, "train", "--resume", run), run, "it is no folder of a run; name one that `dsla train` made")


def test_a_folder_that_cannot_be_made(capsys, data):
    file = data.parent / "run"
    file.write_text("in the way")
    refused(train(capsys, data), file, "is a file and cannot be the folder of a run; choose another --out")


# What typer refuses by itself ends like everything else.


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("train", "x", "--epoch", "3"), "--epoch"),
        (("train", "x", "--epochs", "many"), "--epochs"),
        (("evaluate", "model"), "DATA"),
        (("predict",), "MODEL"),
        (("predict", "m", "s", "--threshold", "2"), "--threshold"),
        (("trian", "x"), "trian"),
    ],
    ids=["flag", "no number", "argument", "arguments", "range", "command"],
)
def test_a_wrong_call(capsys, words, named):
    ran = dsla(capsys, *words)
    assert ran.status == 2 and "Usage:" in ran.err and named in ran.err
    assert "Traceback" not in ran.err
