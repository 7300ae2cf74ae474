"""`dsla check` as its user meets it: text, json, status, the repaired copy, and the line before a training."""

import json
from pathlib import Path

import pytest
from commands import dsla, tiny_flags
from plain_sets import CocoSet, plain_coco, plain_yolo


@pytest.fixture
def spoilt(tmp_path: Path) -> CocoSet:
    """A data set with an error, a warning and a note."""
    data = plain_coco(tmp_path / "set")
    data.add_box([5, 5, 0, 10])
    data.add_box(data.train["annotations"][0]["bbox"])
    data.add_box([0, 0, 80, 60], image=2)
    data.save()
    return data


def test_what_is_wrong_is_told_with_its_treatment(capsys, spoilt: CocoSet) -> None:
    ran = dsla(capsys, "check", spoilt.folder)
    assert ran.status == 1 and ran.err == ""
    assert "COCO, train, val" in ran.out and "2 classes" in ran.out
    assert "1 box without area" in ran.out and "training: refuses the data set; --fix: removed" in ran.out
    assert "train.json: annotation 908: box [5, 5, 0, 10]" in ran.out
    assert ran.out.index("box-degenerate") < ran.out.index("box-duplicate") < ran.out.index("box-covers-all")
    assert "1 error, 1 warning, 1 note" in ran.out
    assert f"dsla check {spoilt.folder} --fix OUT" in ran.out


@pytest.mark.parametrize(("fail_on", "left", "status"), [
    ("error", 3, 1), ("error", 2, 0), ("warning", 2, 1), ("warning", 1, 0), ("never", 3, 0),
])  # fmt: skip
def test_the_status_is_for_build_servers(capsys, spoilt: CocoSet, fail_on: str, left: int, status: int) -> None:
    del spoilt.train["annotations"][8 : 8 + 3 - left]
    spoilt.save()
    assert dsla(capsys, "check", spoilt.folder, "--fail-on", fail_on).status == status


def test_json_goes_to_a_file_or_to_standard_output(capsys, spoilt: CocoSet, tmp_path: Path) -> None:
    printed = dsla(capsys, "check", spoilt.folder, "--json", "-")
    told = json.loads(printed.out)
    assert [finding["code"] for finding in told["findings"]] == ["box-degenerate", "box-duplicate", "box-covers-all"]
    written = dsla(capsys, "check", spoilt.folder, "--json", tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == told and "1 error" in written.out


def test_a_repaired_copy_trains(capsys, spoilt: CocoSet, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    ran = dsla(capsys, "check", spoilt.folder, "--fix", out)
    assert ran.status == 0
    assert "repaired  1 box without area" in ran.out and f"next      dsla train {out}" in ran.out
    assert dsla(capsys, "check", out, "--fail-on", "warning").status == 0
    trained = dsla(capsys, "train", out, "--epochs", "1", "--out", tmp_path / "run", *tiny_flags())
    assert trained.status == 0, trained.err


def test_a_copy_goes_nowhere_where_something_is(capsys, spoilt: CocoSet, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    for place, reason in ((tmp_path / "full", "exists already"), (spoilt.folder / "copy", "lies in the data set")):
        ran = dsla(capsys, "check", spoilt.folder, "--fix", place)
        assert ran.status == 2 and reason in ran.err
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine" and not (spoilt.folder / "copy").exists()


@pytest.mark.parametrize(("words", "reason"), [
    (("scenes",), "needs no check"),
    (("nowhere",), "no such file or folder"),
    (("set", "--fail-on", "note"), "--fail-on note"),
    (("set", "--kind", "voc"), "no Pascal VOC annotations"),
])  # fmt: skip
def test_a_wrong_call_is_told_in_a_line(capsys, spoilt: CocoSet, monkeypatch, words, reason: str) -> None:
    monkeypatch.chdir(spoilt.folder.parent)
    ran = dsla(capsys, "check", *words)
    assert ran.status == 2 and reason in ran.err and len(ran.err.strip().splitlines()) == 1


def test_quick_decodes_nothing(capsys, tmp_path: Path) -> None:
    data = plain_coco(tmp_path / "set")
    (data.images / "1.png").write_text("no picture")
    data.save()
    assert dsla(capsys, "check", data.folder).status == 1
    ran = dsla(capsys, "check", data.folder, "--quick")
    assert ran.status == 0 and "not decoded" in ran.out


def test_a_pixel_limit_is_that_of_training(capsys, tmp_path: Path) -> None:
    folder = plain_yolo(tmp_path / "set")
    assert "6 pictures with more pixels than the limit" in dsla(capsys, "check", folder, "--max-pixels", "4000").out


def test_training_names_the_warnings_of_the_records(capsys, spoilt: CocoSet, tmp_path: Path) -> None:
    words = ("--epochs", "1", "--out", tmp_path / "run", *tiny_flags())
    refused = dsla(capsys, "train", spoilt.folder, *words)
    assert refused.status == 2 and "width or height is not above zero" in refused.err
    del spoilt.train["annotations"][8]
    spoilt.save()
    ran = dsla(capsys, "train", spoilt.folder, *words)
    assert ran.status == 0, ran.err
    assert f"note: 1 box drawn more than once (same class) (`dsla check {spoilt.folder}` shows them)" in ran.out
