"""COCO jsons, and the layouts of folder they are found in.

Rules of the format: https://cocodataset.org/#format-data. A json is opened whole or not at all; records in it stay as
they are, in the order of the file.
"""

import json
import mmap
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
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


def read_coco(path: Path) -> tuple[dict[Split, Tables], tuple[str, ...]]:
    """Read a COCO json, or the jsons of a folder.

    Returns the tables of each part, and notes that concern all of them.

    Raises:
        DataError: there is none, several could be meant, or one cannot be read or is not COCO.
    """
    if path.is_file():
        return without_group(path, {"train": read_json(path, _folders(path.parent, path))})
    jsons = find_jsons(path)
    if not jsons:
        there = sorted(file.name for file in path.glob("*.json"))
        found = f"; it has {', '.join(there[:3])}" if there else ""
        raise DataError(
            f"{path}: no COCO json found here{found}. Needed: train.json and val.json, or "
            "annotations/instances_train*.json and instances_val*.json, or one json with its pictures."
        )
    parts: dict[Split, Tables] = {
        split: read_json(jsons[split], _folders(path, jsons[split])) for split in SPLITS if split in jsons
    }
    return without_group(path, parts)


def without_group(path: Path, parts: dict[Split, Tables]) -> tuple[dict[Split, Tables], tuple[str, ...]]:
    """Leave out the category that Roboflow writes for the whole project: the group of all others, and no class.

    It has no group itself, all other categories name it as theirs, and no annotation of any part has it.
    """
    tables = list(parts.values())
    group = _group(tables[0].categories)
    if group is None or any(_has_category(each.annotations, group["id"]) for each in tables):
        return parts, ()
    if any(_group(each.categories) != group for each in tables):
        return parts, ()
    kept: dict[Split, Tables] = {
        split: replace(each, categories=[entry for entry in each.categories if entry["id"] != group["id"]])
        for split, each in parts.items()
    }
    note = f"{path}: the category {group['name']!r} is the group of all others and has no boxes; it is left out."
    return kept, (note,)


def _group(categories: Sequence[object]) -> dict[str, Any] | None:
    if len(categories) < 2 or not all(isinstance(each, dict) and {"id", "name"} <= each.keys() for each in categories):
        return None
    first, *others = cast("Sequence[dict[str, Any]]", categories)
    alone = first.get("supercategory") in ("none", "", None)
    return first if alone and all(each.get("supercategory") == first["name"] for each in others) else None


def _has_category(annotations: Sequence[object], key: object) -> bool:
    return any(isinstance(each, dict) and each.get("category_id") == key for each in annotations)


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
    pictures, notes = find_pictures(path, images, folders)
    return Tables(
        path=path,
        kind="coco",
        images=images,
        annotations=annotations,
        categories=categories,
        pictures=pictures,
        searched=tuple(folders),
        notes=notes,
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


def find_pictures(
    path: Path, images: Sequence[object], folders: Sequence[Path]
) -> tuple[list[Path | None], tuple[str, ...]]:
    """The file of each image record; all are looked for now rather than in the middle of training.

    Names with folders that are not here, from another machine, are looked for without them, where no two would then be
    the same.

    Args:
        path: of the json, for the note.
        images: its records.
        folders: where to look.

    Returns the files, None for what is missing, and a note where folders were left aside.
    """
    places = [str(folder) for folder in folders]
    names = [_name(image) for image in images]
    found = [None if name is None else _first_there(places, name) for name in names]
    missing = [index for index, file in enumerate(found) if file is None and names[index] is not None]
    bare = [None if name is None else name.replace("\\", "/").rpartition("/")[2] for name in names]
    counts = Counter(bare) if missing else Counter[str | None]()
    moved: list[str] = []
    for index in missing:
        name, base = names[index], bare[index]
        if name is not None and base and base != name and counts[base] == 1:
            found[index] = _first_there(places, base)
            moved += [name] if found[index] is not None else []
    if not moved:
        return found, ()
    note = (
        f"{path}: the folders that {len(moved)} pictures are named with are not here; they were found by the rest of "
        f"their names (first {moved[0]})."
    )
    return found, (note,)


def _name(image: object) -> str | None:
    name: object = cast("dict[str, object]", image).get("file_name") if isinstance(image, dict) else None
    return name if isinstance(name, str) and name and "\0" not in name else None


def _first_there(places: Sequence[str], name: str) -> Path | None:
    # Strings, since Path costs more than the look at the disk it stands for.
    candidates = (os.path.join(place, name) for place in places)  # noqa: PTH118  (a Path costs more than the look at the disk)
    path = next((each for each in candidates if os.path.isfile(each)), None)  # noqa: PTH113  (the same)
    return None if path is None else Path(path)


def _folders(root: Path, file: Path) -> tuple[Path, ...]:
    """Where the pictures of a json may lie, the likeliest first."""
    split = file.stem.removeprefix("instances_")
    beside = file.parent
    places = (root / "images", beside, beside / "images", root, root / split, root / "images" / split, root / "data")
    return tuple(dict.fromkeys(places))
