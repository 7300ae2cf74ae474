"""From a folder of labelled pictures to boxes in new ones, by the commands that a person types."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from commands import TINY, tiny_flags
from PIL import Image

from dsla.data.epoch import EpochBatches

pytestmark = pytest.mark.slow

PLOTS = {"curves.png", "precision_recall.png", "confusion.png", "validation.jpg"}
FILES = {"check.json", "config.yaml", "metrics.csv", "best.safetensors", "last.ckpt", "results.json", "detections.json"}
COLUMNS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Width and height of each picture."""
    found: dict[str, tuple[int, int]] = {}
    for path in folder.iterdir():
        with Image.open(path) as picture:
            found[path.name] = picture.size
    return found


def call(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "dsla", *map(str, words)]


def ran(*words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(call(*words), capture_output=True, text=True, env=alone(), check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def alone() -> dict[str, str]:
    """The environment without what a run of several processes in this one would have left in it."""
    mine = ("DSLA_RUN_FOLDER", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return {name: value for name, value in os.environ.items() if name not in mine} | {"OMP_NUM_THREADS": "1"}


@contextmanager
def started(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A command in a group of its own, as a terminal has it, so that an interrupt reaches all its processes."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(call(*words), stdout=pipe, stderr=pipe, text=True, env=alone(), start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Path:
    """`dsla config ... > settings.yaml`."""
    path = tmp_path_factory.mktemp("settings") / "settings.yaml"
    words = ("--set", "train.epochs=3", "--set", "optim.lr=0.01", "--set", "train.seed=3")
    path.write_text(ran("config", *tiny_flags(), *words).stdout)
    return path


@pytest.fixture(scope="module")
def run(scenes, settings, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = ran("train", scenes, "--config", settings, "--out", folder)
    assert done.stderr == ""
    assert re.search(r"epoch +3/3  box [\d.]+  class [\d.]+  AP [\d.]+", done.stdout)
    return folder


def test_what_config_prints_is_what_is_trained(scenes, settings, run):
    printed = yaml.safe_load(settings.read_text())
    for word in TINY:
        path, value = word.split("=")
        section, key = path.split(".")
        assert printed[section][key] == yaml.safe_load(value)
    printed["data"]["path"] = str(scenes)
    assert yaml.safe_load((run / "config.yaml").read_text()) == printed
    assert json.loads((run / "results.json").read_text())["config"] == printed


def test_the_run_folder_is_complete(run):
    there = {path.name for path in run.iterdir()}
    assert there == FILES | {"plots", "tensorboard"}
    assert {path.name for path in (run / "plots").iterdir()} == PLOTS
    for path in (run / "plots").iterdir():
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 200
    assert any(path.name.startswith("events.") for path in (run / "tensorboard").iterdir())
    with (run / "metrics.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_evaluate_prints_the_figures_of_the_run(scenes, run, tmp_path):
    done = ran("evaluate", run / "best.safetensors", scenes, "--out", tmp_path / "again.json", "--workers", "0")
    results = json.loads((run / "results.json").read_text())
    (line,) = (line for line in done.stdout.splitlines() if line.strip().startswith("all "))
    shown = ["-" if results[key] is None else f"{100 * results[key]:.1f}" for key in COLUMNS]
    assert line.split() == ["all", str(results["protocol"]["counts"]["boxes"]), *shown]
    assert "IoU .50:.05:.95" in done.stdout and "crowds ignored" in done.stdout
    again = json.loads((tmp_path / "again.json").read_text())
    assert {key: results[key] for key in again} == again


def test_predict_writes_pictures_boxes_and_a_table(scenes, run, tmp_path):
    done = ran("predict", run, scenes / "images", "--out", tmp_path, "--threshold", "0.01")
    pictures, drawn = sizes(scenes / "images"), sizes(tmp_path / "images")
    assert drawn.keys() == pictures.keys()

    found = json.loads((tmp_path / "detections.json").read_text())
    assert found and f"{len(found)} boxes in {len(pictures)} pictures" in done.stdout
    labels = range(1, 11)
    for row in found:
        x, y, width, height = row["bbox"]
        w, h = pictures[Path(row["file_name"]).name]
        assert x >= 0 and y >= 0 and width > 0 and height > 0
        assert x + width <= w + 1e-3 and y + height <= h + 1e-3
        assert row["category_id"] in labels and 0.01 <= row["score"] <= 1

    with (tmp_path / "detections.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found)
    assert [float(row["score"]) for row in rows] == pytest.approx([row["score"] for row in found], abs=1e-4)


def test_an_interrupted_training_says_how_to_go_on(scenes, settings, tmp_path):
    out = tmp_path / "run"
    words = ("train", scenes, "--config", settings, "--epochs", "2000", "--out", out)
    with started(*words) as process:
        while not (out / "last.ckpt").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err == f"interrupted: go on with `dsla train --resume {out}`\n"
    with (out / "metrics.csv").open() as file:
        before = len(list(csv.DictReader(file)))
    done = ran("train", "--resume", out, "--epochs", str(before + 2))
    assert f"epoch {before + 2:>3}/{before + 2}" in done.stdout and done.stderr == ""
    assert (out / "results.json").is_file()


@pytest.mark.parametrize("rank", [0, 1])
def test_two_processes_fail_with_one_voice(scenes, settings, tmp_path, rank):
    """Whichever process meets the broken picture: it says so once, and no traceback of its partner follows."""
    ((_, picture), *_), *_ = EpochBatches(12, 4, seed=3, rank=rank, world=2)
    data = tmp_path / "data"
    data.mkdir()
    (data / "images").symlink_to(scenes / "images")
    tree = json.loads((scenes / "train.json").read_text())
    broken = data / "broken.jpg"
    broken.write_bytes(b"")
    tree["images"][picture]["file_name"] = "broken.jpg"
    (data / "train.json").write_text(json.dumps(tree))
    out = tmp_path / "run"
    done = ran("train", data, "--config", settings, "--out", out, "--set", "train.devices=2", status=2)
    assert done.stderr.count("error: ") == 1 and done.stderr.startswith(f"error: {broken}: the file is empty")
    assert "Traceback" not in done.stderr
