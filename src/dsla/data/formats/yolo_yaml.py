"""`data.yaml` of a YOLO data set: classes, and where the pictures of each part are.

Rules of the file: https://docs.ultralytics.com/datasets/detect/. Its `download` may hold commands; it is not looked at.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from dsla.data.formats.split_names import FOLDERS, SPLITS, Split
from dsla.errors import DataError

NAMES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")


@dataclass(frozen=True)
class Description:
    """A data.yaml, with its paths found.

    Attributes:
        path: of the file.
        root: that its entries are relative to.
        names: of each class index; None where the file has none.
        sources: folders, lists and pictures of each part; they exist.
        keypoints: whether labels have key points behind the box.
        notes: what had to be understood.
    """

    path: Path
    root: Path
    names: dict[int, str] | None
    sources: dict[Split, tuple[Path, ...]]
    keypoints: bool = False
    notes: tuple[str, ...] = ()


def find_yaml(folder: Path) -> Path | None:
    """The data.yaml of a folder: by its usual names, or the only YAML there that describes a data set."""
    for name in NAMES:
        if (folder / name).is_file():
            return folder / name
    others = [file for pattern in ("*.yaml", "*.yml") for file in sorted(folder.glob(pattern)) if _describes(file)]
    if len(others) > 1:
        names = ", ".join(file.name for file in others)
        raise DataError(f"{folder}: several files describe a data set: {names}. Name the one that is meant.")
    return others[0] if others else None


def _describes(file: Path) -> bool:
    try:
        tree: object = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return (
        isinstance(tree, dict) and bool({"names", "nc"} & tree.keys()) and bool({"train", "val", "valid"} & tree.keys())
    )


def read_yaml(path: Path) -> Description:
    """Read a data.yaml and find what it names.

    Raises:
        DataError: not YAML, no part for training, or an entry that leads nowhere.
    """
    tree = _load(path)
    entries: dict[Split, list[str]] = {split: given for split in SPLITS if (given := _entries(path, tree, split))}
    if not entries:
        raise DataError(f"{path}: names no pictures; expected a line such as `train: images/train`.")
    root, notes = _root(path, tree.get("path"), next(iter(entries.values())))
    # Exporters name a test part whether they write one or not.
    if any(_place(root, entry) is None for entry in entries.get("test", ())) and len(entries) > 1:
        notes = (*notes, f"{path}: 'test' names {entries.pop('test')[0]!r}, which is not there; read without.")
    sources: dict[Split, tuple[Path, ...]] = {
        split: tuple(_find(path, root, split, entry) for entry in given) for split, given in entries.items()
    }
    return Description(path, root, _names(path, tree), sources, "kpt_shape" in tree, notes)


def _load(path: Path) -> dict[str, Any]:
    try:
        tree: object = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: not a YAML file ({reason}).") from error
    if not isinstance(tree, dict):
        raise DataError(f"{path}: expected lines such as `train: images/train` and `names: [cat, dog]`.")
    return cast("dict[str, Any]", tree)


def _entries(path: Path, tree: dict[str, Any], split: Split) -> list[str]:
    """What the file names for a part, under any of the part's names."""
    value: object = next((tree[name] for name in FOLDERS[split] if tree.get(name)), None)
    if value is None:
        return []
    entries = cast("list[object]", value) if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) for entry in entries):
        raise DataError(f"{path}: '{split}' is {value!r}; expected a folder, a list of folders, or a .txt file.")
    return cast("list[str]", entries)


def _root(path: Path, given: object, probe: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """The folder that entries are relative to: the first of several readings of `path` in which one is found."""
    beside = path.absolute().parent
    if given is None or given == "":
        return beside, ()
    if not isinstance(given, str):
        raise DataError(f"{path}: 'path' is {given!r}; expected a folder.")
    named = Path(given).expanduser()
    meant = [named] if named.is_absolute() else [beside / named, Path.cwd() / named, beside.parent / named]
    fallback = [beside]
    for root in [*meant, *fallback]:
        if any(_place(root, entry) is not None for entry in probe):
            root = Path(os.path.normpath(root))
            told = (
                (f"{path}: its `path: {given}` is not here; read from {root}.",)
                if root == beside and root not in (Path(os.path.normpath(each)) for each in meant)
                else ()
            )
            return root, told
    looked = ", ".join(dict.fromkeys(os.path.normpath(root) for root in [*meant, *fallback]))
    raise DataError(f"{path}: {probe[0]!r} is not found. Looked in {looked}. Correct `path` or the entry.")


def _place(root: Path, entry: str) -> Path | None:
    """Where an entry is; Roboflow's `../train/images` is meant beside the file."""
    for candidate in (root / entry, *([root / entry[3:]] if entry.startswith("../") else [])):
        if candidate.exists():
            return Path(os.path.normpath(candidate.absolute()))  # links stay: labels lie beside them
    return None


def _find(path: Path, root: Path, split: Split, entry: str) -> Path:
    place = _place(root, entry)
    if place is None:
        raise DataError(f"{path}: '{split}' names {entry!r}, which is not in {root}. Correct `path` or the entry.")
    return place


def _names(path: Path, tree: dict[str, Any]) -> dict[int, str] | None:
    """Name of each class index, from a list or from index: name pairs."""
    given: object = tree.get("names")
    count: object = tree.get("nc")
    if isinstance(given, list):
        names = {index: str(name) for index, name in enumerate(cast("list[object]", given))}
    elif isinstance(given, dict):
        pairs = cast("dict[object, object]", given)
        if not all(isinstance(key, int) and not isinstance(key, bool) for key in pairs):
            raise DataError(f"{path}: 'names' has keys that are no class index; expected `0: cat`.")
        names = {key: str(pairs[key]) for key in sorted(cast("list[int]", list(pairs)))}
    elif given is not None:
        raise DataError(f"{path}: 'names' is {given!r}; expected a list of names, or `0: cat` lines.")
    else:
        return {index: str(index) for index in range(count)} if isinstance(count, int) else None
    if isinstance(count, int) and count != len(names):
        raise DataError(f"{path}: 'nc' says {count} classes and 'names' has {len(names)}; correct one of them.")
    return names
