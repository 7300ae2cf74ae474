"""The command as its user meets it: help, what is printed and where, what wins over what, runs that go on."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from commands import dsla, tiny_flags

from dsla.cli.settings import resolve
from dsla.config import override, parse_assignments, parse_config
from dsla.data import open_data
from dsla.engine.modelfile import read_model, save_model
from dsla.recipes import recipe
from dsla.version import __version__

COMMANDS = (
    "check", "train", "evaluate", "predict", "report", "analyse", "compare", "labels", "explore", "export", "serve",
    "convert", "shards", "demo", "info", "config",
)  # fmt: skip
QUICK = ("--epochs", "1", *tiny_flags())


@pytest.fixture(scope="module")
def model(scenes, tmp_path_factory) -> Path:
    """An untrained model of the scenes' classes."""
    settings = override(recipe(), parse_assignments(tiny_flags()[1::2]), "test")
    names = open_data(scenes).train.class_names
    state = settings.build_detector(len(names)).state_dict()
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    described = settings.model_dump(mode="json")
    save_model(path, state, config=described, class_names=names, preprocessing={"imgsz": 64})
    return path


@pytest.mark.parametrize("words", [(), *((command,) for command in COMMANDS)], ids=lambda words: " ".join(words))
def test_help_fits_one_screen(capsys, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "80")
    ran = dsla(capsys, *words, "--help")
    lines = ran.out.rstrip().splitlines()
    assert ran.status == 0 and 5 < len(lines) <= 40
    assert max(map(len, lines)) <= 80 and "…" not in ran.out


def test_version(capsys):
    assert dsla(capsys, "--version") == (0, f"dsla {__version__}\n", "")


def test_config_prints_the_resolved_settings(capsys):
    ran = dsla(capsys, "config", "lite0", "--assigner", "fcos", "--set", "optim.lr=1e-4")
    tree = yaml.safe_load(ran.out)
    assert ran.status == 0
    assert tree["assigner"]["name"] == "fcos" and tree["model"]["quality_branch"] is True
    assert tree["optim"]["lr"] == 1e-4


def test_the_later_word_wins(capsys, scenes, tmp_path, monkeypatch):
    """Recipe, then file, then flags, then --set; a flag that lost against a file would be lost in silence."""
    written = tmp_path / "settings.yaml"
    written.write_text(dsla(capsys, "config", *tiny_flags(), "--set", "train.epochs=7", "--set", "data.batch=2").out)
    ran = dsla(
        capsys, "train", scenes, "--config", written, "--assigner", "fcos", "--epochs", "1", "--lr", "0.003",
        "--batch", "3", "--set", "data.batch=4", "--out", tmp_path / "run",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    tree = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert tree["assigner"]["name"] == "fcos" and tree["loss"]["classification"]["name"] == "focal"
    assert (tree["train"]["epochs"], tree["optim"]["lr"], tree["data"]["batch"]) == (1, 0.003, 4)
    assert tree["data"]["path"] == str(scenes)


def test_what_starts_from_a_converted_model_reads_boxes_where_it_learns_them(model, tmp_path):
    file = read_model(model)
    apart = override(parse_config(file.config, "test"), {"inference": {"spacing": "picture"}}, "test")
    described = {"config": apart.model_dump(mode="json"), "class_names": file.class_names, "preprocessing": {}}
    save_model(tmp_path / "converted.safetensors", file.state, **described)
    settings = resolve(None, None, None, [], {}, [], tmp_path / "converted.safetensors")
    assert settings.inference.spacing == "stride"


def test_a_training_starts_from_a_whole_model_with_its_settings(capsys, scenes, tmp_path, model):
    words = ("train", scenes, "--start", model, "--epochs", "1", "--set", "optim.lr=1e-9", "--set", "train.ema=null")
    ran = dsla(capsys, *words, "--out", tmp_path / "run")
    assert ran.status == 0, ran.err
    assert f"starts from {model}, which knows of the classes:" in ran.out
    tree = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert tree["model"] == read_model(model).config["model"]
    trained, before = read_model(tmp_path / "run").state, read_model(model).state
    assert all(torch.allclose(tensor, before[name], atol=1e-6) for name, tensor in trained.items())
    ran = dsla(capsys, "train", scenes, "--start", model, "--weights", "none")
    assert ran.status == 2 and "leave --resume and --weights away" in ran.err


def test_training_without_validation_pictures_says_so_and_names_its_own_folder(capsys, scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/train-lite0-dsla", "runs/train-lite0-dsla-2"):
        ran = dsla(capsys, "train", scenes / "train.json", *QUICK, "--set", "data.val_share=0")
        assert ran.status == 0, ran.err
        assert "12 pictures to train, none to validate, so the AP will not be known" in ran.out
        assert f"run folder {folder}\n" in ran.out
        assert (tmp_path / folder / "best.safetensors").is_file()


def test_no_path_is_broken_over_lines(capsys, scenes, tmp_path, model):
    """80 columns is what a pipe gets; a path that is cut in two cannot be copied."""
    out = tmp_path / ("a-folder-with-a-name-of-some-length-" * 3)
    ran = dsla(capsys, "train", scenes, *QUICK, "--out", out / "run")
    for file in (out / "run/best.safetensors", out / "run/results.json", out / "run/plots"):
        assert re.search(rf" {re.escape(str(file))}$", ran.out, re.MULTILINE)
    assert f"dsla predict {out / 'run/best.safetensors'} PICTURE...\n" in ran.out
    ran = dsla(capsys, "predict", model, scenes / "images", "--out", out / "found")
    assert f"  {out / 'found/detections.json'}\n" in ran.out
    ran = dsla(capsys, "evaluate", model, scenes, "--out", out / "figures.json", "--workers", "0")
    assert f" {out / 'figures.json'}\n" in ran.out


def test_nothing_but_text_goes_into_a_pipe(capsys, scenes, tmp_path, model):
    ran = dsla(capsys, "evaluate", model, scenes, "--workers", "0")
    assert ran.status == 0 and ran.err == ""
    assert "\x1b" not in ran.out and "evaluating" not in ran.out
    assert "COCO protocol" in ran.out


def test_analysing_tells_figures_and_writes_them(capsys, scenes, tmp_path, model):
    found = tmp_path / "results.json"
    truth = json.loads((scenes / "val.json").read_text())
    rows = [{key: entry[key] for key in ("image_id", "category_id", "bbox")} for entry in truth["annotations"]]
    found.write_text(json.dumps([row | {"score": 0.5} for row in rows]))
    words = ("--workers", "0", "--draws", "50", "--out", tmp_path / "out")
    ran = dsla(capsys, "analyse", f"net={model}", found, scenes, *words)
    assert ran.status == 0 and ran.err == "", ran.err
    assert re.search(r"^ *AP ↑ +\S+ \(.* to .*\) +100\.0 \(100\.0 to 100\.0\)", ran.out, re.MULTILINE)
    assert "minus net, paired" in ran.out and "results, not measured (needs boxes before NMS" in ran.out
    files = {"analysis.json", "analysis.md", "score_iou.png", "reliability.png", "neighbours.png", "suppression.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == files | {"oracle.png"}
    told = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert told["reference"] == "net" and told["models"][1]["figures"]["AP"]["mean"] == 1
    ran = dsla(capsys, "analyse", tmp_path / "nothing", scenes, *words)
    assert ran.status == 2 and "no such file or folder; give a model" in ran.err


def test_long_class_names_are_whole_in_a_pipe(capsys, scenes, tmp_path):
    name = "a class with a name that is long enough to be folded"
    for split in ("train", "val"):
        tree = json.loads((scenes / f"{split}.json").read_text())
        tree["categories"][0]["name"] = name
        (tmp_path / f"{split}.json").write_text(json.dumps(tree))
    shutil.copytree(scenes / "images", tmp_path / "images")
    ran = dsla(capsys, "train", tmp_path, *QUICK, "--out", tmp_path / "run")
    assert re.search(rf"^ *{name} +\d", ran.out, re.MULTILINE)


def test_evaluating_a_lone_json_says_what_was_used(capsys, scenes, model):
    ran = dsla(capsys, "evaluate", model, scenes / "train.json", "--workers", "0")
    assert ran.status == 0
    assert "train.json: 12 pictures" in ran.out and "has no validation pictures of its own" in ran.out
    ran = dsla(capsys, "evaluate", model, scenes, "--split", "train", "--workers", "0")
    assert ran.status == 0 and "12 pictures" in ran.out and "note:" not in ran.out


def test_a_folder_by_the_name_of_the_built_in_data_is_pointed_out(capsys, scenes, tmp_path, monkeypatch):
    shutil.copytree(scenes, tmp_path / "scenes")
    monkeypatch.chdir(tmp_path)
    ran = dsla(capsys, "train", "./scenes", *QUICK)
    assert ran.status == 0 and "scenes: 12 pictures to train" in ran.out and "give ./scenes" not in ran.out
    ran = dsla(capsys, "train", "scenes", *QUICK, "--out", "runs/scenes-lite0-dsla")
    assert ran.status == 2 and "400 pictures to train" in ran.out and "give ./scenes" in ran.out


def test_resume_needs_no_data_and_repeats_nothing_of_a_finished_run(capsys, scenes, tmp_path):
    run = tmp_path / "run"
    assert dsla(capsys, "train", scenes, *QUICK, "--out", run).status == 0
    before = json.loads((run / "results.json").read_text())
    assert before["last_epoch"]["AP"] is not None and before["train_seconds"] > 0
    for named in (run, run / "last.ckpt"):
        ran = dsla(capsys, "train", "--resume", named)
        assert ran.status == 0, ran.err
        assert json.loads((run / "results.json").read_text()) == before
    ran = dsla(capsys, "train", "--resume", run, "--epochs", "2")
    assert ran.status == 0 and "epoch   2/2" in ran.out
    assert len((run / "metrics.csv").read_text().splitlines()) == 3


def test_a_dry_run_tells_what_the_run_needs_and_leaves_nothing(capsys, scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--epochs", "40", *tiny_flags(), "--set", "optim.lr_batch=16", "--set", "train.devices=2")
    ran = dsla(capsys, "train", scenes, *words, "--dry-run")
    assert (ran.status, ran.err) == (0, "")
    assert list(tmp_path.iterdir()) == []
    settings = override(recipe(), parse_assignments(tiny_flags()[1::2]), "test")
    network = settings.build_detector(len(open_data(scenes).train.class_names))
    learn = sum(p.numel() for p in network.parameters() if p.requires_grad)
    said = re.sub(r" +", " ", ran.out)
    assert f"{sum(p.numel() for p in network.parameters()):,}, of which {learn:,} learn" in said
    assert "steps 3 an epoch, 120 in all" in said and "pictures 2 a step on each device" in said
    assert "learning rate 0.0005: 0.002 for 16 pictures a step, 4 here" in said
    memory = re.search(r"memory ([\d.]+) GiB", said)
    assert memory and 0.05 < float(memory[1]) < 20
    time = re.search(r"time ([\d.]+) s a step, ([\d.]+) s a validation picture; about (\d+) (s|min|h) ", said)
    assert time and float(time[1]) > 0
    if time[4] == "s":
        assert int(time[3]) == pytest.approx(120 * float(time[1]) + 40 * 2 * float(time[2]), abs=1.5)
    assert "measured on 5 steps of 2 pictures" in said


def test_a_data_set_becomes_shards_and_trains(capsys, scenes, tmp_path):
    ran = dsla(capsys, "shards", scenes, tmp_path / "shards", "--per-shard", "5")
    assert ran.status == 0 and f"4 shards in {tmp_path / 'shards'}\n" in ran.out
    ran = dsla(capsys, "train", tmp_path / "shards", *QUICK, "--out", tmp_path / "run")
    assert ran.status == 0, ran.err
    assert "12 pictures to train, 4 to validate" in ran.out
    assert json.loads((tmp_path / "run/results.json").read_text())["last_epoch"]["AP"] is not None
    ran = dsla(capsys, "shards", scenes, tmp_path / "shards")
    assert ran.status == 2 and "holds shards already; choose another folder" in ran.err


def test_a_run_can_be_made_where_a_mistake_was_made_before(capsys, scenes, tmp_path):
    words = ("train", scenes, *QUICK, "--out", tmp_path / "run")
    assert dsla(capsys, *words, "--set", "model.backbone=resnet5").status == 2
    assert not (tmp_path / "run").exists()
    assert dsla(capsys, *words).status == 0
