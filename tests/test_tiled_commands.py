"""Tiles through the command: trained, told, remembered by the model, gone on with, and overruled."""

import json
from pathlib import Path

import pytest
import yaml
from commands import Outcome, dsla, tiny_flags

from dsla.engine.modelfile import read_model

TILES = ("--set", "data.tile=40", "--set", "data.tile_overlap=0.25", "--set", "inference.score_threshold=0.001")


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tiled") / "run"


@pytest.fixture
def trained(run, scenes, capsys) -> Outcome:
    if run.is_dir():
        return Outcome(0, "", "")
    return dsla(capsys, "train", scenes, "--epochs", "2", "--out", run, *tiny_flags(), *TILES)


def test_training_tells_of_its_tiles_and_the_model_remembers_them(trained, run):
    assert trained.status == 0, trained.err
    assert "tiles of 40 px that overlap by 25% or more: " in trained.out and "of 12 pictures" in trained.out
    # Objects of the scenes are larger than such tiles, so whole pictures are looked at too.
    assert "are whole in no tile" in trained.out and "learned from whole pictures" in trained.out
    settings = yaml.safe_load((run / "config.yaml").read_text())["data"]
    assert (settings["tile"], settings["tile_overlap"], settings["tile_whole"]) == (40, 0.25, True)
    told = read_model(run).preprocessing
    assert (told["tile"], told["tile_overlap"], told["tile_whole"]) == (40, 0.25, True)
    results = json.loads((run / "results.json").read_text())
    assert results["protocol"]["counts"]["pictures"] == 4  # whole ones, with the whole truth
    # 4 tiles and the whole, of each at most 100.
    assert results["protocol"]["max_detections"] == [1, 10, 100, 500]
    found = json.loads((run / "detections.json").read_text())
    assert found and max(row["bbox"][0] + row["bbox"][2] for row in found) > 40


def test_evaluation_uses_them_too_unless_told_otherwise(trained, run, scenes, capsys, tmp_path):
    figures = {}
    for name, flags in (("own", ()), ("none", ("--tile", "0")), ("other", ("--tile", "33"))):
        out = tmp_path / f"{name}.json"
        ran = dsla(capsys, "evaluate", run, scenes, "--workers", "0", "--device", "cpu", "--out", out, *flags)
        assert ran.status == 0, ran.err
        figures[name] = json.loads(out.read_text())
    results = json.loads((run / "results.json").read_text())
    assert figures["own"]["AP"] == results["AP"]
    assert figures["none"]["protocol"]["max_detections"] == [1, 10, 100]
    assert figures["other"]["protocol"]["counts"]["detections"] != figures["own"]["protocol"]["counts"]["detections"]


def test_prediction_takes_another_tile(trained, run, scenes, capsys, tmp_path):
    counts = {}
    for tile in (None, 0, 64):
        out = tmp_path / f"tile{tile}"
        flags = () if tile is None else ("--tile", str(tile))
        picture = sorted((scenes / "images").iterdir())[0]
        ran = dsla(capsys, "predict", run, picture, "--threshold", "0.001", "--out", out, "--format", "coco", *flags)
        assert ran.status == 0, ran.err
        counts[tile] = ran.out.split()[0]
    assert counts[0] == counts[64] != counts[None]  # a picture of 64 px is one tile of 64
    wrong = dsla(capsys, "predict", run, scenes / "images", "--tile", "7")
    assert wrong.status == 2 and "data.tile" in wrong.err and "32" in wrong.err


def test_a_run_goes_on_with_its_tiles(trained, run, capsys):
    ran = dsla(capsys, "train", "--resume", run, "--epochs", "3", "--set", "train.device=cpu")
    assert ran.status == 0, ran.err
    assert "tiles of 40 px" in ran.out
    assert len((run / "metrics.csv").read_text().splitlines()) == 4
    assert read_model(run).config["data"]["tile_whole"] is True


def test_a_dry_run_counts_tiles(scenes, capsys):
    plain, tiled = (
        dsla(capsys, "train", scenes, "--epochs", "1", "--dry-run", *tiny_flags(), *flags) for flags in ((), TILES)
    )
    assert plain.status == tiled.status == 0, tiled.err
    assert "3 an epoch" in plain.out  # 12 pictures, 4 a step
    steps = int(tiled.out.split(" an epoch")[0].split()[-1])
    assert steps >= 12


def test_shards_are_written_of_tiles(scenes, capsys, tmp_path):
    pytest.importorskip("webdataset")
    written = dsla(capsys, "shards", scenes, tmp_path / "shards", "--tile", "40")
    assert written.status == 0, written.err
    from dsla.data import open_data

    shards = open_data(tmp_path / "shards")
    assert {shards.train.record(index).size for index in range(len(shards.train))} == {(40, 40)}
    assert len(shards.val) == 4 * 4
    refused = dsla(capsys, "train", tmp_path / "shards", "--out", tmp_path / "run", *tiny_flags(), *TILES)
    assert refused.status == 2 and "dsla shards DATA OUT --tile 40" in refused.err
