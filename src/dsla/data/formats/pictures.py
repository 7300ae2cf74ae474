"""Picture files of formats that do not say themselves how large a picture is."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsla.data.picture_file import SUFFIXES, Header, read_headers
from dsla.data.tables import Fault
from dsla.errors import DataError


def list_pictures(folder: Path) -> list[Path]:
    """All pictures of a folder and what is below, without hidden files; in no order."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(place)
        found += [inside / name for name in files if is_picture(name) and not name.startswith(".")]
    return found


def is_picture(name: str) -> bool:
    """Whether a file is a picture by its suffix."""
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122  (Path costs ten times as much)


def image_records(files: Sequence[Path | None], names: Sequence[str]) -> tuple[list[dict[str, Any]], list[Fault]]:
    """Records of pictures, numbered from 1, with the size that each file's header gives.

    A picture that is missing or cannot be read has neither width nor height; the latter is also a fault.

    Args:
        files: None where a picture is missing.
        names: of the pictures, in the same order.

    Returns the records and the faults.
    """
    records: list[dict[str, Any]] = [{"id": index, "file_name": name} for index, name in enumerate(names, start=1)]
    faults: list[Fault] = []
    there = [index for index, file in enumerate(files) if file is not None]
    headers = read_headers(file for file in files if file is not None)
    for index, header in zip(there, headers, strict=True):
        file = files[index]
        assert file is not None
        if isinstance(header, Header):
            records[index]["height"], records[index]["width"] = header.size
        else:
            faults.append(Fault("picture-unreadable", str(file), _reason(file, header)))
    return records, faults


def _reason(file: Path, error: DataError) -> str:
    """What an error says behind the file's name, to be followed by a full stop."""
    return str(error).removeprefix(f"{file}: ").removesuffix(".")


def name_in(root: Path, file: Path) -> str:
    """What to call a file: its path within a folder where it lies in it, the whole path elsewhere."""
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()
