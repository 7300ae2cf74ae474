"""Write a data set in COCO's layout: a json for each part beside images/, pictures copied byte for byte."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from dsla.data.formats import SplitTables
from dsla.errors import DataError


def write_coco(data: SplitTables, out: Path, progress: Callable[[int, int], object] | None = None) -> list[Path]:
    """Write all parts of a data set.

    Pictures are copies, not links, so that nothing done to them later reaches the originals.

    Args:
        data: records and pictures.
        out: a folder that is empty or new, outside the data set.
        progress: called with the number of pictures copied and of all.

    Returns:
        The jsons.

    Raises:
        DataError: the folder has something in it, or lies in the data set.
    """
    refuse_folder(data, out)
    files: list[Path] = []
    total, done = sum(len(tables.images) for tables in data.parts.values()), 0
    for split, tables in data.parts.items():
        folder = out / "images" / split
        folder.mkdir(parents=True, exist_ok=True)
        images: list[object] = []
        taken: set[str] = set()
        for record, path in zip(tables.images, tables.pictures, strict=True):
            if path is not None:
                name = _free(_safe(record["file_name"], path), taken)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / name)
                record = record | {"file_name": f"{split}/{name}"}
            images.append(record)
            done += 1
            if progress is not None:
                progress(done, total)
        content = {"images": images, "annotations": tables.annotations, "categories": tables.categories}
        files.append(out / f"{split}.json")
        files[-1].write_text(json.dumps(content), encoding="utf-8")
    return files


def refuse_folder(data: SplitTables, out: Path) -> None:
    """Raise where the copy would mix with something else."""
    root = data.path if data.path.is_dir() else data.path.parent
    if out.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{out}: lies in the data set itself; give a folder elsewhere for the repaired copy")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already; give a new or an empty folder for the repaired copy")


def _safe(name: str, path: Path) -> str:
    """A picture's name below its folder; one that leads elsewhere becomes the file's own."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return path.name if PurePosixPath(name).is_absolute() or ".." in parts or not parts else "/".join(parts)


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number where another picture has it."""
    stem, dot, suffix = name.rpartition(".")
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{stem}-{number}{dot}{suffix}"
    taken.add(free)
    return free
