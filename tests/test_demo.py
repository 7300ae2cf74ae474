"""The demo, as small as it gets: everything it promises lies where it says."""

import pytest
from commands import dsla
from PIL import Image

from dsla import demo


@pytest.mark.slow
def test_demo_leaves_model_results_and_pictures(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "TRAIN", 8)
    monkeypatch.setattr(demo, "VAL", 4)
    monkeypatch.setattr(demo, "SHOWN", 5)
    out = tmp_path / "demo"
    told = dsla(capsys, "demo", "--out", out, "--epochs", "1")
    assert told.status == 0, told.err
    for name in ("best.safetensors", "results.json", "detections.png", "labels.png", "plots/curves.png"):
        assert (out / name).is_file(), name
    with Image.open(out / "detections.png") as sheet:
        assert sheet.width > 1000
    assert str(out / "detections.png") in told.out.replace("\n", "")
    assert "dsla train FOLDER" in told.out
    again = dsla(capsys, "demo", "--out", out, "--epochs", "1")
    assert again.status == 2
    assert "is not empty" in again.err
