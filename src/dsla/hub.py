"""A folder or a hub repository with a model: `model.safetensors`, `config.json` and a card, README.md.

The layout and the three calls are those of the Hugging Face hub's `PyTorchModelHubMixin`. `model.safetensors` is our
model file and all that is needed; `config.json` repeats its settings for people and for programs that list models.
Nothing that comes with a model is executed.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dsla.engine.modelfile import ModelFile, read_model
from dsla.engine.predict import Predictor, load
from dsla.errors import ModelError
from dsla.models.weights import hub_problem

MODEL, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def from_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    device: str = "cpu",
) -> Predictor:
    """Load a model from a folder that `save_pretrained` wrote, or from a repository of the Hugging Face hub.

    Args:
        source: the folder, or OWNER/NAME; a folder of that name wins.
        revision: branch, tag or commit of the repository.
        token: for private repositories; True takes the one that is stored on this computer.
        cache_dir: where downloads are kept.
        local_files_only: never download, only look into the cache.
        device: cpu, cuda, cuda:1, mps or auto.

    Raises:
        ModelError: if there is no such folder or repository, it cannot be reached, or it holds no model of ours.
    """
    if Path(source).is_dir():
        file = Path(source) / MODEL
        if not file.is_file():
            raise ModelError(f"{source}: a folder without {MODEL}; name one that `dsla.save_pretrained` wrote")
        return load(file, device)
    where: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache_dir}
    return load(_downloaded(str(source), where, local_files_only), device)


def save_pretrained(model: Predictor | str | Path, folder: str | Path) -> Path:
    """Write a folder that `from_pretrained` reads and that can be uploaded as it is.

    Args:
        model: a loaded model, a model file, or the folder of a run.
        folder: made where missing; a card that is there already is kept.

    Raises:
        ModelError: if there is no such model, it is an exported one, or the folder cannot be written.
    """
    file = model.file if isinstance(model, Predictor) else read_model(model)
    if not isinstance(file, ModelFile):
        raise ModelError(f"{file.path}: an exported model; name the model file that it was made from")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if file.path.resolve() != (folder / MODEL).resolve():
            shutil.copyfile(file.path, folder / MODEL)
        (folder / CONFIG).write_text(json.dumps(_settings(file), indent=2, ensure_ascii=False), encoding="utf-8")
        if not (folder / CARD).exists():
            (folder / CARD).write_text(_card(file), encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{folder}: cannot write the model: {error.strerror or error}") from error
    return folder


def push_to_hub(
    model: Predictor | str | Path,
    repo_id: str,
    *,
    token: str | bool | None = None,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str = "Upload a dsla model",
) -> str:
    """Upload a model to a repository of the Hugging Face hub, which is made where missing; give the commit's address.

    Args:
        model: a loaded model, a model file, or the folder of a run.
        repo_id: OWNER/NAME.
        token: that may write there; by default the one that is stored on this computer.
        private: whether a new repository is.
        revision: branch to write to.
        commit_message: of the upload.

    Raises:
        ModelError: if there is no such model, or the hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi

    problem = hub_problem()
    if problem is not None:
        raise ModelError(f"{repo_id}: cannot upload ({problem}); `dsla.save_pretrained` writes the same to a folder")
    api = HfApi(token=token)
    with TemporaryDirectory() as folder:
        save_pretrained(model, folder)
        try:
            api.create_repo(repo_id, private=private, exist_ok=True)
            done = api.upload_folder(
                repo_id=repo_id, folder_path=folder, revision=revision, commit_message=commit_message
            )
        except Exception as error:  # the client's exception classes differ between its versions
            raise ModelError(f"{repo_id}: the hub refused the model ({_first_line(error)})") from error
    return str(done.commit_url)


def _downloaded(repo_id: str, where: dict[str, Any], local_files_only: bool) -> Path:
    """The model of a repository, from the cache where it cannot be reached."""
    from huggingface_hub import hf_hub_download

    problem = "local_files_only is set" if local_files_only else hub_problem()
    try:
        return Path(hf_hub_download(repo_id, MODEL, local_files_only=problem is not None, **where))
    except Exception as error:  # the client's exception classes differ between its versions
        reason = problem or _first_line(error)
        raise ModelError(
            f"{repo_id}: no such folder, and cannot be downloaded as a repository of the hub ({reason}); name a folder "
            "that `dsla.save_pretrained` wrote, or a model file with `dsla.load`"
        ) from error


def _settings(file: ModelFile) -> dict[str, Any]:
    return {
        "library_name": "dsla",
        "config": file.config,
        "class_names": list(file.class_names),
        "preprocessing": file.preprocessing,
        "versions": file.versions,
        "extra": file.extra,
    }


def _card(file: ModelFile) -> str:
    """A card with what the file knows; its maker adds data, figures and licence."""
    shown = ", ".join(file.class_names[:20]) + (", ..." if len(file.class_names) > 20 else "")
    model = file.config["model"]
    return f"""---
library_name: dsla
pipeline_tag: object-detection
tags:
- object-detection
- dsla
---

# {model["backbone"]}, {file.config["assigner"]["name"]}

An anchor-free object detector made with dsla {file.versions.get("dsla", "")}.

- backbone {model["backbone"]}, pyramid levels {", ".join(map(str, model["levels"]))}, {model["width"]} channels
- label assignment {file.config["assigner"]["name"]}
- {len(file.class_names)} classes: {shown}
- pictures of at most {file.config["data"]["imgsz"]} px

```python
import dsla

detector = dsla.from_pretrained("OWNER/NAME")
found = detector.predict("picture.jpg", score_threshold=0.4)
```

All settings are in `config.json` and, once more, in the metadata of `model.safetensors`.
"""


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
