"""What is measured of a trained network, and of assigners."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
import torch
from lab_settings import tiny

from dsla.assign import Predictions
from dsla.data import Batch, Resize, open_data
from dsla.engine.module import DetectionModule
from dsla.lab.cost import extra_memory, measure_costs, write_costs
from dsla.lab.measure import count_positives, last_weights, measure_run
from dsla.lab.plan import Plan, plan_comparison, read_plan
from dsla.lab.runner import run_plan
from dsla.lab.subset import Subset


class Trained(NamedTuple):
    """A comparison that was made, and what each of its runs was fed, step by step."""

    out: Path
    fed: dict[str, list[str]]


@pytest.fixture(scope="module")
def trained(scenes, tmp_path_factory) -> Trained:
    out = tmp_path_factory.mktemp("compared")
    splits = open_data(scenes)
    configs = {label: tiny(label, "train.epochs=2") for label in ("fcos", "tal")}
    plan = plan_comparison(out, str(scenes), configs, [0], splits=splits)
    fed: dict[str, list[str]] = {}
    step = DetectionModule.training_step

    def watched(self, batch, batch_idx):
        shown = hashlib.sha256(batch.images.numpy().tobytes() + batch.truth.boxes.numpy().tobytes()).hexdigest()
        fed.setdefault(self.config.assigner.name, []).append(shown)
        return step(self, batch, batch_idx)

    with mock.patch.object(DetectionModule, "training_step", watched):
        assert run_plan(plan, splits, tell=lambda line: None) == []
    return Trained(out, fed)


@pytest.fixture
def finished(trained, tmp_path) -> Plan:
    """A copy of it to be written to."""
    shutil.copytree(trained.out, tmp_path / "copy")
    return read_plan(tmp_path / "copy")


def test_both_were_fed_the_same_batches(trained):
    assert len(trained.fed["fcos"]) == len(set(trained.fed["fcos"])) == 6
    assert trained.fed["fcos"] == trained.fed["tal"]


def read(path):
    return json.loads(path.read_text())


def test_measures_of_a_run(finished, splits):
    run = finished.run("tal", 0)
    measures, results = read(run.folder / "measures.json"), read(run.folder / "results.json")
    assert list(measures) == [
        "AP", "AP50", "AP75", "APs", "APm", "APl", "spearman", "positives_per_box", "boxes_without_point",
        "assign_ms", "assign_mb", "train_seconds",
    ]  # fmt: skip
    assert measures["AP"] == results["AP"] and measures["train_seconds"] == results["train_seconds"]
    assert measures["assign_ms"] is None, "measured at the end, for all together"

    # The last weights are the best here; told that they are not, they are measured anew, to the same end.
    (run.folder / "results.json").write_text(json.dumps(results | {"best_epoch": 1, "AP": 0.5}))
    rows = read(run.folder / "last_detections.json")
    measure_run(run.config, splits, run.folder)
    assert read(run.folder / "measures.json") == measures
    assert read(run.folder / "last_detections.json") == rows == read(run.folder / "detections.json")


def test_the_last_weights_are_the_averaged_ones(finished):
    run = finished.run("fcos", 0)
    point = torch.load(run.folder / "last.ckpt", weights_only=True)
    state = last_weights(run.config, 10, run.folder).state_dict()
    assert all(torch.equal(value, point["state_dict"][f"detector.{name}"]) for name, value in state.items())
    moved = [name for name in state if not torch.equal(state[name], point["current_model_state"][f"detector.{name}"])]
    assert moved, "the average differs from the weights of the last step"


def test_positives_are_counted_as_by_hand(finished, splits):
    run = finished.run("tal", 0)
    detector = last_weights(run.config, 10, run.folder)
    positives, without, boxes = 0, 0, 0
    for index in range(len(splits.train)):
        batch = Batch.collate([Resize(64)(splits.train.sample(index))])
        with torch.no_grad():
            output = detector(detector.preprocess(batch.images, batch.sizes))
        assigned = run.config.assigner(output.points, batch.truth, Predictions(output.logits, output.ltrb)).gt.tolist()
        for box in range(len(batch.truth)):
            boxes += 1
            positives += assigned.count(box)
            without += box not in assigned
    counted = count_positives(run.config, detector, splits.train)
    assert counted["positives_per_box"] == pytest.approx(positives / boxes, rel=0.02)
    assert counted["boxes_without_point"] == pytest.approx(without / boxes, abs=0.02)


def test_no_boxes_no_figures(finished, splits):
    run = finished.run("tal", 0)
    empty = Subset(splits.train, [])
    counted = count_positives(run.config, last_weights(run.config, 10, run.folder), empty)
    assert counted == {"positives_per_box": None, "boxes_without_point": None}


def test_extra_memory_is_the_peak():
    def call() -> torch.Tensor:
        one = torch.zeros(1_000_000)  # 4 MB
        two = one + 1  # 8 MB
        del one
        return torch.cat([two, two])  # 12 MB

    assert 12e6 <= extra_memory(call) < 12.1e6
    assert extra_memory(lambda: None) == 0


def test_costs_are_measured_for_all_together(finished, splits):
    runs = {label: finished.run(label, 0) for label in finished.configs}
    costs = measure_costs(runs, splits)
    assert costs.keys() == runs.keys()
    assert all(each["assign_ms"] > 0 and each["assign_mb"] > 0 for each in costs.values())

    before = {label: read(run.done) for label, run in runs.items()}
    write_costs(finished, splits)
    after = {label: read(run.done) for label, run in runs.items()}
    assert all(each["assign_ms"] > 0 for each in after.values())
    assert all(before[label] | {"assign_ms": None, "assign_mb": None} == before[label] for label in runs)
    write_costs(finished, splits)
    assert {label: read(run.done) for label, run in runs.items()} == after, "measured once"
