"""Which part of a data set a file or folder is for, by its name."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from dsla.errors import DataError

Split: TypeAlias = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
# As COCO, Roboflow, Pascal VOC and hand-made folders call them.
FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_WORD = re.compile(r"(train)(?:ing)?|(val)(?:id|idation)?|(test)(?:ing)?", re.ASCII)


def split_of(stem: str) -> Split | None:
    """The part that a name such as "instances_val2017", "train" or "cells-test" speaks of, by its first such word."""
    for word in re.split(r"[^a-z]+", stem.lower()):
        if found := _WORD.fullmatch(word):
            return next(split for split, there in zip(SPLITS, found.groups(), strict=True) if there)
    return next((split for split in SPLITS if stem.lower().startswith(split)), None)


def by_split(folder: Path, files: Iterable[Path]) -> dict[Split, Path]:
    """Files of a folder by the part that their names speak of; others are left aside.

    Raises:
        DataError: two files speak of one part.
    """
    found: dict[Split, list[Path]] = {}
    for file in sorted(files):
        split = split_of(file.stem)
        if split is not None:
            found.setdefault(split, []).append(file)
    for several in found.values():
        if len(several) > 1:
            names = ", ".join(file.name for file in several)
            raise DataError(f"{folder}: several files could be meant: {names}. Leave one, or name the file itself.")
    return {split: found[split][0] for split in SPLITS if split in found}


def split_folders(root: Path) -> dict[Split, Path]:
    """Folders of the parts, such as train/, valid/ and test/.

    Raises:
        DataError: two folders are for one part.
    """
    found: dict[Split, Path] = {}
    for split, names in FOLDERS.items():
        there = [root / name for name in names if (root / name).is_dir()]
        if len(there) > 1:
            raise DataError(f"{root}: {' and '.join(path.name for path in there)} could both be meant. Leave one.")
        if there:
            found[split] = there[0]
    return found
