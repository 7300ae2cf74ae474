"""COCO jsons, and the layouts of folder they are found in.

Rules of the format: https://cocodataset.org/#format-data. A json is opened whole or not at all; records in it stay as
they are, in the order of the file.
"""

import json
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from dsla.data.formats.split_names import SPLITS, Split, by_split, split_folders
from dsla.data.tables import Tables
from dsla.errors import DataError

TABLES = ("images", "annotations", "categories")
ROBOFLOW = "_annotations.coco.json"
_CURE = "Give a COCO json with 'images', 'annotations' and 'categories'."


def find_jsons(root: Path) -> dict[Split, Path]:
    """The jsons of a folder by the part they are for; a lone json of any name is for training.

    Layouts: train.json, val.json, test.json; annotations/instances_*.json; a json in each of train/, valid/, test/
    (`_annotations.coco.json`, as Roboflow has it, or the only one there); one json. Empty where there is none.

    Raises:
        DataError: several files could be meant.
    """
    folder = root / "annotations"
    for place, files in (
        (root, root.glob("*.json")),
        (folder, folder.glob("instances_*.json")),
        (folder, folder.glob("*.json")),
    ):
        named = by_split(place, (file for file in files if file.is_file()))
        if named:
            return named
    inside: dict[Split, Path | None] = {split: json_in(place) for split, place in split_folders(root).items()}
    found: dict[Split, Path] = {split: file for split, file in inside.items() if file is not None}
    if found:
        return found
    for place in (root, folder):
        lone = sorted(place.glob("*.json"))
        if len(lone) == 1:
            return {"train": lone[0]}
    return {}


def json_in(folder: Path) -> Path | None:
    """The json of a part's own folder: Roboflow's, or the only one."""
    if (folder / ROBOFLOW).is_file():
        return folder / ROBOFLOW
    files = sorted(folder.glob("*.json"))
    return files[0] if len(files) == 1 else None


def looks_like_coco(file: Path) -> bool:
    """Whether a json has COCO's lists, by its text alone."""
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return all(text.find(f'"{key}"'.encode()) >= 0 for key in ("images", "annotations"))
    except (OSError, ValueError):
        return False


def read_coco(path: Path) -> dict[Split, Tables]:
    """Read a COCO json, or the jsons of a folder.

    Raises:
        DataError: there is none, several could be meant, or one cannot be read or is not COCO.
    """
    if path.is_file():
        return {"train": read_json(path, _folders(path.parent, path))}
    jsons = find_jsons(path)
    if not jsons:
        there = sorted(file.name for file in path.glob("*.json"))
        found = f"; it has {', '.join(there[:3])}" if there else ""
        raise DataError(
            f"{path}: no COCO json found here{found}. Needed: train.json and val.json, or "
            "annotations/instances_train*.json and instances_val*.json, or one json with its pictures."
        )
    return {split: read_json(jsons[split], _folders(path, jsons[split])) for split in SPLITS if split in jsons}


def read_json(path: Path, folders: Sequence[Path]) -> Tables:
    """Read one COCO json as it is.

    Args:
        path: of the json.
        folders: where its pictures may lie; for each `file_name` the first that has it counts.

    Raises:
        DataError: it cannot be read, is not json, or lacks one of the three lists.
    """
    content = _load(path)
    for key in TABLES:
        if not isinstance(content.get(key), list):
            fault = "is missing" if content.get(key) is None else "is not a list"
            raise DataError(f"{path}: not COCO: '{key}' {fault}. {_CURE}")
    images, annotations, categories = (content[key] for key in TABLES)
    return Tables(
        path=path,
        kind="coco",
        images=images,
        annotations=annotations,
        categories=categories,
        pictures=find_pictures(images, folders),
        searched=tuple(folders),
    )


def _load(path: Path) -> dict[str, Any]:
    text = b""
    try:
        text = path.read_bytes()
        content: object = json.loads(text)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        fault = "the file is empty" if not text.strip() else f"not a json file ({error})"
        raise DataError(f"{path}: {fault}. {_CURE}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: not COCO: {json_kind(content)} instead of an object. {_CURE}")
    return cast("dict[str, Any]", content)


def json_kind(value: object) -> str:
    """What json calls it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true or false"
    return "a list" if isinstance(value, list) else "a text" if isinstance(value, str) else "a number"


def find_pictures(images: Sequence[object], folders: Sequence[Path]) -> list[Path | None]:
    """The file of each image record; all are looked for now rather than in the middle of training."""
    places = [str(folder) for folder in folders]
    found: list[Path | None] = []
    for image in images:
        name: object = cast("dict[str, object]", image).get("file_name") if isinstance(image, dict) else None
        path = None
        if isinstance(name, str) and name and "\0" not in name:
            # Strings, since Path costs more than the look at the disk it stands for.
            candidates = (os.path.join(place, name) for place in places)  # noqa: PTH118
            path = next((each for each in candidates if os.path.isfile(each)), None)  # noqa: PTH113
        found.append(None if path is None else Path(path))
    return found


def _folders(root: Path, file: Path) -> tuple[Path, ...]:
    """Where the pictures of a json may lie, the likeliest first."""
    split = file.stem.removeprefix("instances_")
    beside = file.parent
    places = (root / "images", beside, beside / "images", root, root / split, root / "images" / split, root / "data")
    return tuple(dict.fromkeys(places))
