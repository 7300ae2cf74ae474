"""A folder for the hub: written, read again, and one clear message where there is none."""

import json
from types import SimpleNamespace

import pytest
import torch
from commands import tiny_flags

import dsla
from dsla import hub
from dsla.config import override, parse_assignments
from dsla.engine.modelfile import read_model, save_model
from dsla.errors import ModelError
from dsla.recipes import recipe


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    settings = override(recipe(), parse_assignments(tiny_flags()[1::2]), "test")
    torch.manual_seed(0)
    state = settings.build_detector(2).state_dict()
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    described = settings.model_dump(mode="json")
    save_model(path, state, config=described, class_names=("cat", "köter"), preprocessing={"imgsz": 64})
    return path


@pytest.mark.parametrize("give", [str, dsla.load, lambda path: path.parent], ids=["file", "loaded", "run"])
def test_what_is_saved_finds_the_same(model, tmp_path, give):
    folder = dsla.save_pretrained(give(model), tmp_path / "model")
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    again = dsla.from_pretrained(folder)
    picture = torch.randint(0, 256, (3, 60, 64), dtype=torch.uint8)
    before, after = (p.predict(picture, score_threshold=0.0) for p in (dsla.load(model), again))
    assert len(before.boxes) > 0 and (before.boxes == after.boxes).all() and (before.scores == after.scores).all()
    assert again.class_names == ("cat", "köter")


def test_the_folder_says_what_it_holds(model, tmp_path):
    folder = dsla.save_pretrained(model, tmp_path)
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert told["library_name"] == "dsla" and told["class_names"] == ["cat", "köter"]
    assert told["config"] == read_model(model).config
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: dsla\n") and "2 classes: cat, köter" in card
    (folder / "README.md").write_text("mine")
    dsla.save_pretrained(folder / "model.safetensors", folder)
    assert (folder / "README.md").read_text() == "mine" and len(dsla.from_pretrained(folder).class_names) == 2


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ModelError, match=r"a folder without model\.safetensors; name one that `dsla\.save_pretrained`"):
        dsla.from_pretrained(tmp_path)


def test_without_a_network_there_is_one_clear_message(model, monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "hub_problem", lambda: "HF_HUB_OFFLINE is set")
    with pytest.raises(ModelError, match=r"^some/model: no such folder, and cannot be downloaded .*HF_HUB_OFFLINE"):
        dsla.from_pretrained("some/model", cache_dir=tmp_path)
    with pytest.raises(
        ModelError, match=r"^some/model: cannot upload \(HF_HUB_OFFLINE is set\); `dsla\.save_pretrained`"
    ):
        dsla.push_to_hub(model, "some/model")
    with pytest.raises(ModelError, match=r"^not a name!: no such folder"):
        dsla.from_pretrained("not a name!", cache_dir=tmp_path, local_files_only=True)


def test_what_is_uploaded_is_what_a_folder_holds(model, monkeypatch):
    """The hub's client is asked for a repository and given the folder; nothing else."""
    calls = []

    class Api:
        def __init__(self, token):
            calls.append(("token", token))

        def create_repo(self, repo_id, *, private, exist_ok):
            calls.append(("create", repo_id, private, exist_ok))

        def upload_folder(self, *, repo_id, folder_path, revision, commit_message):
            from pathlib import Path

            calls.append(("upload", repo_id, sorted(file.name for file in Path(folder_path).iterdir()), revision))
            return SimpleNamespace(commit_url="https://hub/commit/1")

    monkeypatch.setattr(hub, "hub_problem", lambda: None)
    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    assert dsla.push_to_hub(model, "me/cats", private=True, token="t") == "https://hub/commit/1"
    assert calls == [
        ("token", "t"),
        ("create", "me/cats", True, True),
        ("upload", "me/cats", ["README.md", "config.json", "model.safetensors"], None),
    ]


def test_what_is_downloaded_is_read_as_a_model_file(model, monkeypatch):
    asked = []

    def download(repo_id, filename, **where):
        asked.append((repo_id, filename, where["revision"], where["local_files_only"]))
        return str(model)

    monkeypatch.setattr(hub, "hub_problem", lambda: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert dsla.from_pretrained("me/cats", revision="v2").class_names == ("cat", "köter")
    assert asked == [("me/cats", "model.safetensors", "v2", False)]
