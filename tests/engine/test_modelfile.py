import json
import os
import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file

from dsla.engine.modelfile import read_model, save_model
from dsla.errors import ModelError

CONFIG = {"assigner": {"name": "dsla", "relaxation": 0.2}, "levels": [3, 4]}
PREPROCESSING = {"mean": [0.5, 0.5, 0.5], "imgsz": 320, "colour": "RGB"}


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    shared = torch.rand(4, 6)
    return {
        "a": shared,
        "b": shared,
        "view": shared.t()[1:],
        "count": torch.tensor(7),
        "none": torch.zeros(0, 3),
    }


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "run" / "best.safetensors"
    names = ("sköld", "红细胞")
    save_model(path, state(), config=CONFIG, class_names=names, preprocessing=PREPROCESSING, extra={"epochs": 3})
    return path


def test_what_is_saved_is_what_is_read(model):
    read = read_model(model)
    assert read.config == CONFIG
    assert read.class_names == ("sköld", "红细胞")
    assert read.preprocessing == PREPROCESSING
    assert read.extra == {"epochs": 3}
    assert set(read.versions) == {"dsla", "torch", "timm", "torchvision"}
    for name, tensor in state().items():
        assert torch.equal(read.state[name], tensor)


def test_a_run_folder_stands_for_its_best_model(model):
    assert read_model(model.parent).path == model
    with pytest.raises(ModelError, match=r"a folder without best\.safetensors"):
        read_model(model.parent.parent)


def test_writing_leaves_one_file_and_replaces_the_old(model):
    save_model(model, {"a": torch.ones(1)}, config={}, class_names=["x"], preprocessing={})
    assert [file.name for file in model.parent.iterdir()] == ["best.safetensors"]
    assert read_model(model).class_names == ("x",)


def test_a_failed_write_keeps_the_old_model(model, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match="No space left on device"):
        save_model(model, {"a": torch.ones(1)}, config={}, class_names=["x"], preprocessing={})
    assert [file.name for file in model.parent.iterdir()] == ["best.safetensors"]
    assert len(read_model(model).class_names) == 2


def test_no_such_file_names_what_is_there(model):
    with pytest.raises(ModelError, match=r"no such model file; there is .*best\.safetensors"):
        read_model(model.with_name("bset.safetensors"))
    with pytest.raises(ModelError, match="`dsla train` writes one"):
        read_model(model.parent / "other" / "best.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 8, 9, 100, -1])
def test_cut_short(model, keep):
    content = model.read_bytes()
    model.write_bytes(content[:keep])
    with pytest.raises(ModelError, match="cut short"):
        read_model(model)


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a not a model at all",
        b"{}{}{}{}{}",
        struct.pack("<Q", 3) + b"{no",
        struct.pack("<Q", 2) + b"[]",
    ],
)
def test_not_safetensors(model, content):
    model.write_bytes(content)
    with pytest.raises(ModelError, match="not a safetensors file"):
        read_model(model)


def test_a_header_of_any_length_is_read(tmp_path):
    # Its length comes first and may begin like a pickle, as 0x0280 does.
    path = tmp_path / "model.safetensors"
    starts = set()
    for padding in range(0, 512, 8):
        save_model(path, {}, config={"padding": "x" * padding}, class_names=["a"], preprocessing={})
        starts.add(path.read_bytes()[:2])
        assert len(read_model(path).config["padding"]) == padding
    assert b"\x80\x02" in starts


def test_damaged_inside(model):
    content = model.read_bytes()
    model.write_bytes(content.replace(b'"class_names":"[', b'"class_names":"]'))
    with pytest.raises(ModelError, match="damaged"):
        read_model(model)


def test_a_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    plain, checkpoint = tmp_path / "model.pt", tmp_path / "last.ckpt"
    plain.write_bytes(pickle.dumps(Bomb()))
    torch.save({"a": torch.ones(2), "bomb": Bomb()}, checkpoint)
    with pytest.raises(ModelError, match="a pickled file, which is never opened"):
        read_model(plain)
    with pytest.raises(ModelError, match=r"name the best\.safetensors beside it"):
        read_model(checkpoint)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_another_program(tmp_path, metadata):
    path = tmp_path / "theirs.safetensors"
    save_file({"a": torch.ones(2)}, path, metadata)
    with pytest.raises(ModelError, match="not a model of dsla"):
        read_model(path)


@pytest.mark.parametrize("written", ["2", "next"])
def test_a_newer_format_says_upgrade(tmp_path, written):
    path = tmp_path / "new.safetensors"
    save_file({"a": torch.ones(2)}, path, {"format": "dsla-model", "format_version": written})
    with pytest.raises(ModelError, match=f"model format {written}, .* pip install -U dsla"):
        read_model(path)


def test_metadata_is_readable_json_for_other_programs(model):
    length = struct.unpack("<Q", model.read_bytes()[:8])[0]
    metadata = json.loads(model.read_bytes()[8 : 8 + length])["__metadata__"]
    assert metadata["format"] == "dsla-model"
    assert json.loads(metadata["config"]) == CONFIG
