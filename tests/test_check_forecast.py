"""`dsla check` tells what the assigner will make of the data; `dsla train` tells what it keeps, and what gets lost."""

import json
from pathlib import Path

import pytest
from commands import dsla, tiny_flags
from plain_sets import CocoSet, plain_coco


@pytest.fixture
def plain(tmp_path: Path) -> CocoSet:
    data = plain_coco(tmp_path / "set")
    data.save()
    return data


def test_the_forecast_is_told_drawn_and_written(capsys, plain: CocoSet, tmp_path: Path) -> None:
    figure, report = tmp_path / "forecast.png", tmp_path / "report.json"
    flags = (
        "--assigner",
        "fcos",
        "--imgsz",
        "64",
        "--set",
        "assigner.cover=false",
        "--figure",
        figure,
        "--json",
        report,
    )
    ran = dsla(capsys, "check", plain.folder, "--quick", *flags)
    assert ran.status == 0, ran.err
    assert "What the assigner will make of it" in ran.out and "fcos at 64 px" in ran.out and "coverage off" in ran.out
    assert "Recommended: " in ran.out and figure.read_bytes().startswith(b"\x89PNG")
    told = json.loads(report.read_text())["forecast"]
    assert told["imgsz"] == 64 and told["assigner"] == "fcos" and told["boxes"] > 0


def test_it_can_be_left_out_and_waits_for_data_that_can_be_opened(capsys, plain: CocoSet) -> None:
    without = dsla(capsys, "check", plain.folder, "--quick", "--no-forecast", "--json", "-")
    assert json.loads(without.out)["forecast"] is None
    plain.add_box([5, 5, 0, 10])
    plain.save()
    broken = dsla(capsys, "check", plain.folder, "--quick")
    assert broken.status == 1 and "is not told before the errors are gone" in broken.out


def test_a_rule_that_needs_a_network_is_refused_at_once(capsys, plain: CocoSet) -> None:
    ran = dsla(capsys, "check", plain.folder, "--assigner", "tal")
    assert ran.status == 2 and ran.out == "" and "dsla, fcos or atss" in ran.err


def test_training_tells_its_cache_and_boxes_without_points(capsys, plain: CocoSet, tmp_path: Path) -> None:
    kept = ("--cache", "disk", "--set", f"data.cache_folder={tmp_path / 'kept'}")
    flags = [*tiny_flags(), "--set", "data.imgsz=32", *kept]  # boxes of 16 px in 80 are smaller than a stride there
    ran = dsla(capsys, "train", plain.folder, "--epochs", "1", "--out", tmp_path / "run", *flags)
    assert ran.status == 0, ran.err
    assert "disk cache: " in ran.out and str(tmp_path / "kept") in ran.out
    assert len(list((tmp_path / "kept").glob("*.pixels"))) == 2
    assert "of the boxes get no point of their own at 32 px" in ran.out
