"""Labels kept during a training: what is in the files, that a run learns the same with them, and what is told."""

import numpy as np
import pytest
import torch
from commands import TINY
from PIL import Image
from safetensors.torch import save_file

from dsla.config import override, parse_assignments
from dsla.data import Resize, open_data
from dsla.engine.label_history import read_label_history
from dsla.engine.label_maps import frame, label_maps
from dsla.engine.modelfile import read_model
from dsla.engine.train import train
from dsla.errors import DataError
from dsla.recipes import recipe
from dsla.report.label_animation import write_label_animation


@pytest.fixture(scope="module")
def runs(scenes, tmp_path_factory):
    """The same training of two epochs with and without kept labels; labels that do not depend on the network."""
    folder = tmp_path_factory.mktemp("runs")
    settings = override(recipe(), parse_assignments([*TINY, "train.epochs=2", "assigner.coupling=false"]), "test")
    for name, count in (("kept", 3), ("plain", 0)):
        train(override(settings, {"train": {"keep_labels": count}}, "test"), open_data(scenes), folder / name)
    return folder, settings


def test_a_run_that_keeps_labels_learns_the_same(runs):
    folder, _ = runs
    kept, plain = (read_model(folder / name).state for name in ("kept", "plain"))
    assert all(torch.equal(kept[name], plain[name]) for name in plain)
    assert not (folder / "plain" / "labels").exists()


def test_what_is_kept_is_what_the_assigner_gives(runs, scenes):
    folder, settings = runs
    history = read_label_history(folder / "kept")
    assert list(history) == [1, 2] and [each.index for each in history[1]] == [0, 1, 2]
    data = open_data(scenes).val
    for kept in history[2]:
        framed = frame(data.record(kept.index), Resize(kept.long, kept.short), settings.model.strides)
        maps = label_maps(settings.assigner, framed)
        assert torch.equal(kept.owner, torch.where(maps.owner >= 0, framed.number[maps.owner.clamp(min=0)], -1))
        assert torch.allclose(kept.label, maps.label, atol=1e-3)
        assert len(kept.score) == len(kept.iou) == len(kept.points)
        assert 0 < kept.score.max() <= 1 and kept.name == data.record(kept.index).name
    assert not torch.equal(history[1][0].score, history[2][0].score)


def test_a_resumed_run_goes_on_keeping(runs, scenes, tmp_path):
    _, settings = runs
    longer = override(settings, {"train": {"keep_labels": 1, "epochs": 1}}, "test")
    train(longer, open_data(scenes), tmp_path / "run")
    first = (tmp_path / "run/labels/epoch-001.safetensors").read_bytes()
    train(override(longer, {"train": {"epochs": 2}}, "test"), open_data(scenes), tmp_path / "run", resume=True)
    assert list(read_label_history(tmp_path / "run")) == [1, 2]
    assert (tmp_path / "run/labels/epoch-001.safetensors").read_bytes() == first


def test_an_animation_has_a_frame_an_epoch(runs, scenes, tmp_path):
    folder, _ = runs
    history = read_label_history(folder / "kept")
    made = write_label_animation(history, open_data(scenes), 1, tmp_path, 0)
    with Image.open(made.file) as film:
        assert film.n_frames == made.epochs == 2 and film.info["loop"] == 0
        assert np.asarray(film.convert("RGB")).std() > 10
    with pytest.raises(DataError, match=r"--box 100: .* boxes, counted from 1"):
        write_label_animation(history, open_data(scenes), 0, tmp_path, 99)
    with pytest.raises(DataError, match="name the data that it was trained on"):
        write_label_animation(history, open_data(scenes / "train.json"), 0, tmp_path)


def test_a_folder_without_or_with_damaged_labels_is_told(runs, tmp_path):
    folder, _ = runs
    with pytest.raises(DataError, match="it kept no labels; train with --set"):
        read_label_history(folder / "plain")
    (tmp_path / "labels").mkdir()
    save_file({"x": torch.zeros(1)}, tmp_path / "labels" / "epoch-001.safetensors")
    with pytest.raises(DataError, match="not one of kept labels"):
        read_label_history(tmp_path)
    (tmp_path / "labels" / "epoch-001.safetensors").write_bytes(b"no such thing")
    with pytest.raises(DataError, match="damaged"):
        read_label_history(tmp_path)
