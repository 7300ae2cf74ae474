"""Training: what a run leaves behind, and that neither an interruption nor a second process changes the result."""

import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from commands import tiny_flags
from safetensors.torch import load_file

from dsla.config import OptimSettings, override, parse_assignments
from dsla.data import open_data
from dsla.engine.modelfile import read_model
from dsla.engine.module import learning_rate_factor
from dsla.engine.predict import load
from dsla.engine.train import train
from dsla.errors import ConfigError, TrainingError
from dsla.methods import with_assigner
from dsla.recipes import recipe

WORDS = tiny_flags()[1::2]


def tiny(*words: str, assigner: str = "dsla"):
    config = with_assigner(recipe(), assigner)
    return override(config, parse_assignments([*WORDS, *words]), "test")


def command(data: Path, out: Path, *words: str, resume: bool = False) -> list[str]:
    where = ["--resume" if resume else "--out", str(out)]
    sets = [word for each in words for word in ("--set", each)]
    return [sys.executable, "-m", "dsla", "train", str(data), *where, *tiny_flags(), *sets]


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Weights, averaged weights and optimiser moments of the last point, by name."""
    point = torch.load(run / "last.ckpt", weights_only=True)
    found = {f"average.{name}": value for name, value in point["state_dict"].items()}
    found |= {f"current.{name}": value for name, value in point["current_model_state"].items()}
    for index, state in point["optimizer_states"][0]["state"].items():
        found |= {f"moment.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    return found


def test_run_folder(scenes, tmp_path):
    out = tmp_path / "run"
    run = train(tiny("train.epochs=2"), open_data(scenes), out)
    results = json.loads((out / "results.json").read_text())
    assert {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR100", "per_class", "protocol"} <= set(results)
    assert {"seed", "versions", "config", "train_seconds", "last_epoch", "best_epoch"} <= set(results)
    assert results["AP"] == run.evaluation.AP
    assert results["config"]["model"]["backbone"] == "test_resnet"
    assert yaml.safe_load((out / "config.yaml").read_text()) == results["config"]
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"train/loss_class", "train/loss_box", "val/AP", "val/AP50", "lr", "seconds"} <= set(rows[0])
    assert max(float(row["val/AP"]) for row in rows) == pytest.approx(results["AP"], abs=1e-6)
    assert list((out / "tensorboard").iterdir())
    assert run.model.is_file() and (out / "last.ckpt").is_file()
    with pytest.raises(ConfigError, match="holds a run already"):
        train(tiny("train.epochs=2"), open_data(scenes), out)


def test_training_lowers_the_loss_and_learns_the_averaged_weights(scenes, tmp_path):
    out = tmp_path / "run"
    train(tiny("train.epochs=12", "train.evaluate_every=5", "optim.lr=0.01"), open_data(scenes), out)
    with (out / "metrics.csv").open() as file:
        losses = [float(row["train/loss_box"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.8 * losses[0]
    point = torch.load(out / "last.ckpt", weights_only=True)
    name = "detector.head.class_tower.0.weight"
    name = name if name in point["state_dict"] else next(k for k in point["state_dict"] if "head" in k)
    assert not torch.equal(point["state_dict"][name], point["current_model_state"][name])


def test_last_epoch_is_evaluated_whatever_the_interval(scenes, tmp_path):
    run = train(tiny("train.epochs=3", "train.evaluate_every=2"), open_data(scenes), tmp_path / "run")
    assert run.results["best_epoch"] in (2, 3)
    assert run.results["last_epoch"]["AP"] is not None


def test_without_validation_pictures_the_last_weights_are_kept(scenes, tmp_path):
    run = train(tiny("train.epochs=1"), open_data(scenes / "train.json"), tmp_path / "run")
    assert run.evaluation is None
    kept = load_file(run.model)
    averaged = torch.load(run.folder / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, averaged[f"detector.{name}"]) for name, value in kept.items())


def test_patience_ends_a_run_that_no_longer_improves(scenes, tmp_path):
    words = ("train.epochs=9", "train.patience=1", "optim.lr=1e-9", "train.ema=null")
    run = train(tiny(*words), open_data(scenes), tmp_path / "run")
    with (run.folder / "metrics.csv").open() as file:
        assert len(list(csv.DictReader(file))) < 9


def test_a_loss_that_is_not_finite_stops_and_saves_the_batch(scenes, tmp_path):
    words = ("train.epochs=3", "optim.lr=1e18", "train.clip=null", "optim.warmup=0")
    with pytest.raises(TrainingError, match=r"is not finite on pyramid level\(s\) \[.*\.jpg") as caught:
        train(tiny(*words), open_data(scenes), tmp_path / "run")
    (saved,) = (tmp_path / "run").glob("nonfinite-*.safetensors")
    assert str(saved) in str(caught.value)
    batch = load_file(saved)
    assert batch["images"].shape == (4, 3, 64, 64) and len(batch["boxes"])


def test_a_constant_warm_up_stays_below_and_then_jumps():
    """mmcv's rule for warmup="constant": base * ratio while step < warmup."""
    optim = OptimSettings(warmup=500, warmup_kind="constant", warmup_start=1 / 3, schedule="step", milestones=(8, 11))
    factors = [learning_rate_factor(step, 12 * 1000, 1000, optim) for step in (0, 250, 499, 500, 7999, 8000, 11000)]
    assert factors == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1, 1, 0.1, 0.01])
    linear = optim.model_copy(update={"warmup_kind": "linear"})
    assert [learning_rate_factor(step, 12000, 1000, linear) for step in (0, 250, 500)] == pytest.approx(
        [1 / 3, 2 / 3, 1]
    )


def test_the_model_says_how_pictures_reach_the_network(scenes, tmp_path):
    words = ("train.epochs=1", "model.colour=bgr", "model.mean=[0.4,0.5,0.6]", "data.shorter_choices=[32,48]")
    run = train(tiny(*words), open_data(scenes / "train.json"), tmp_path / "run")
    told = read_model(run.model).preprocessing
    assert (told["colour"], told["mean"], told["std"]) == ("BGR", [0.4, 0.5, 0.6], [0.5, 0.5, 0.5])
    assert load(run.model).detector.colour == "bgr"


def test_resuming_without_a_point_says_so(scenes, tmp_path):
    with pytest.raises(ConfigError, match="nothing to resume"):
        train(tiny(), open_data(scenes), tmp_path / "run", resume=True)


@pytest.mark.slow
def test_killed_at_a_random_moment_and_resumed_ends_with_the_same_weights(scenes, tmp_path):
    words = ("train.epochs=6", "train.evaluate_every=2")
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    subprocess.run(command(scenes, straight, *words), check=True, capture_output=True)
    process = subprocess.Popen(command(scenes, broken, *words), stdout=subprocess.DEVNULL)
    while not (broken / "last.ckpt").exists():
        assert process.poll() is None, "the run ended before its first point"
        time.sleep(0.01)
    time.sleep(random.uniform(0, 2))
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command(scenes, broken, resume=True), check=True, capture_output=True)
    one, other = weights(straight), weights(broken)
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert (straight / "best.safetensors").stat().st_size == (broken / "best.safetensors").stat().st_size
    best, again = load_file(straight / "best.safetensors"), load_file(broken / "best.safetensors")
    assert all(torch.equal(best[name], again[name]) for name in best)
    with (broken / "metrics.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.slow
def test_two_processes_train_as_one(scenes, tmp_path):
    # Plain SGD: AdamW divides each gradient by its own size, which turns rounding of a near-zero one into a step.
    words = ("train.epochs=3", "train.evaluate_every=3", "optim.name=sgd", "optim.lr=0.01")
    environment = {name: value for name, value in os.environ.items() if name != "DSLA_RUN_FOLDER"}
    for out, devices in ((tmp_path / "one", 1), (tmp_path / "two", 2)):
        line = command(scenes, out, *words, f"train.devices={devices}")
        ran = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
        assert ran.returncode == 0, ran.stderr
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        if not name.startswith("moment"):
            torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "two")]
    assert results[0]["AP"] == pytest.approx(results[1]["AP"], abs=1e-3)


def test_learning_rate_rises_linearly_and_falls_as_a_cosine():
    optim = OptimSettings(warmup=10, warmup_start=0.1, final=0.02)
    factors = [learning_rate_factor(step, 100, 10, optim) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[5] == pytest.approx(0.55)
    assert factors[10] == pytest.approx(1.0)
    assert factors[55] == pytest.approx((1 + 0.02) / 2)
    assert factors[100] == pytest.approx(0.02)
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))


def test_learning_rate_falls_in_steps_after_the_milestones():
    optim = OptimSettings(schedule="step", milestones=(8, 11), gamma=0.1, warmup=0)
    factors = [learning_rate_factor(epoch * 5, 60, 5, optim) for epoch in range(12)]
    assert factors == pytest.approx([1.0] * 8 + [0.1] * 3 + [0.01])
