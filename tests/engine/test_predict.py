import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsla.engine.predict import find_pictures, load, predict_to_files
from dsla.errors import ConfigError, DataError

LOW = 0.005


@pytest.fixture
def folder(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    base = tmp_path / "pictures"
    for name in ("b.jpg", "a.png", "deep/a.JPEG", ".hidden/c.png"):
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
    (base / "notes.txt").write_text("not a picture")
    return base


def names(found, folder) -> list[str]:
    return [str(path.relative_to(folder)) for path in found]


def test_folders_files_and_patterns(folder):
    found = find_pictures([folder])
    assert names(found.pictures, folder) == ["a.png", "b.jpg", "deep/a.JPEG"]
    assert names(found.skipped, folder) == ["notes.txt"]
    found = find_pictures([folder / "b.jpg", f"{folder}/**/*.*", folder])
    assert names(found.pictures, folder) == ["b.jpg", "a.png", "deep/a.JPEG"]
    assert names(find_pictures([folder / "notes.txt"]).pictures, folder) == ["notes.txt"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "no such file or folder"),
        ("pictures/*.gif", "matches nothing"),
        ("pictures/*.txt", r"no pictures there \(1 other files\); known suffixes are .*\.png"),
    ],
)
def test_nothing_found(folder, monkeypatch, source, message):
    monkeypatch.chdir(folder.parent)
    with pytest.raises(DataError, match=message):
        find_pictures([source])


def test_a_broken_picture_is_reported_and_the_rest_is_done(folder, tiny_model):
    (folder / "broken.jpg").write_bytes((folder / "b.jpg").read_bytes()[:100])
    out = folder.parent / "out"
    steps = []
    written = predict_to_files(
        load(tiny_model), [folder], out, score_threshold=LOW, batch=2, progress=lambda *at: steps.append(at)
    )
    assert steps == [(2, 4), (4, 4)]
    assert written.pictures == 3
    assert written.skipped == (folder / "notes.txt",)
    ((path, reason),) = written.failures
    assert path.name == "broken.jpg"
    assert "cut short or damaged" in reason
    assert sorted(file.name for file in (out / "images").iterdir()) == ["a-2.jpg", "a.jpg", "b.jpg"]

    entries = json.loads((out / "detections.json").read_text())
    with (out / "detections.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(entries) == len(rows) == written.detections > 0
    assert {entry["image_id"] for entry in entries} == {1, 2, 4}
    first, row = entries[0], rows[0]
    assert row["file"] == first["file_name"] == str(folder / "a.png")
    assert row["class_name"] == ("cat", "dog", "bird")[int(row["label"])]
    assert first["category_id"] == int(row["label"]) + 1
    x, y, w, h = first["bbox"]
    assert [float(row[key]) for key in ("x1", "y1", "x2", "y2")] == pytest.approx([x, y, x + w, y + h], abs=0.01)
    assert float(row["score"]) == pytest.approx(first["score"], abs=1e-4)


def test_only_what_is_asked_for_is_written(folder, tiny_model):
    out = folder / "predictions"
    written = predict_to_files(load(tiny_model), [folder], out, ["csv"], score_threshold=LOW, classes=["dog"])
    assert written.files == (out / "detections.csv",)
    assert [path.name for path in out.iterdir()] == ["detections.csv"]
    with (out / "detections.csv").open() as file:
        assert {row["class_name"] for row in csv.DictReader(file)} <= {"dog"}


def test_its_own_pictures_are_no_source_of_the_next_run(folder, tiny_model):
    out = folder / "predictions"
    for _ in range(2):
        written = predict_to_files(load(tiny_model), [folder], out)
        assert written.pictures == 3


def test_unknown_format_and_class(folder, tiny_model):
    with pytest.raises(ConfigError, match="known are images, coco, csv"):
        predict_to_files(load(tiny_model), [folder], folder / "out", ["xml"])
    with pytest.raises(ConfigError, match="did you mean 'dog'"):
        predict_to_files(load(tiny_model), [folder], folder / "out", classes=["dgo"])
    assert not (folder / "out").exists()
