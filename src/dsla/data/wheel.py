"""Files of a package from the Python index, read from its wheel or from where it is installed; nothing of it is run.

A wheel is looked for where a person would have put it: where the name says, among the installed packages, in the
working folder, in the cache folder. It is a zip file of which named members are read into memory, none is extracted.
"""

import importlib.metadata
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dsla.errors import DataError

MEMBER_BYTES = 64 * 2**20  # a member that unfolds to more is refused


@dataclass(frozen=True)
class PackageFiles:
    """Where the files of a package are.

    Attributes:
        path: the wheel, or the folder that the package is installed in.
        version: of the package, as far as it is known.
    """

    path: Path
    version: str

    def read(self, names: Sequence[str]) -> bytes:
        """The first of these files that is there; names are relative to where packages lie.

        Raises:
            DataError: none is there, the wheel is damaged, or a file is unreasonably large.
        """
        try:
            return self._from_wheel(names) if self.path.is_file() else self._from_folder(names)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise DataError(f"{self.path}: the wheel cannot be read ({error}). Download it again.") from error

    def _from_wheel(self, names: Sequence[str]) -> bytes:
        with zipfile.ZipFile(self.path) as wheel:
            there = set(wheel.namelist())
            for name in names:
                if name in there:
                    with wheel.open(name) as member:
                        return self._bounded(member.read(MEMBER_BYTES + 1), name)
        raise self._missing(names)

    def _from_folder(self, names: Sequence[str]) -> bytes:
        for name in names:
            file = self.path / name
            if file.is_file():
                with file.open("rb") as stream:
                    return self._bounded(stream.read(MEMBER_BYTES + 1), name)
        raise self._missing(names)

    def _bounded(self, content: bytes, name: str) -> bytes:
        if len(content) > MEMBER_BYTES:
            raise DataError(f"{self.path}: {name} is larger than {MEMBER_BYTES >> 20} MiB, which it should not be.")
        return content

    def _missing(self, names: Sequence[str]) -> DataError:
        return DataError(f"{self.path}: version {self.version} has no {' or '.join(names)}.")


def cache_folder() -> Path:
    """Where downloaded data sets may be put for good: `dsla` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dsla"


def find_package(name: str, place: Path | None = None) -> PackageFiles | None:
    """Look for a package's files.

    Args:
        name: of the package.
        place: a wheel, or a folder with one; None looks in the usual places.

    Returns None where there is none. Of several wheels in a folder, the last by name is taken.
    """
    if place is not None:
        return _in_wheel(place, name) if place.is_file() else _in_folder(place, name)
    try:
        installed = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        return PackageFiles(Path(str(installed.locate_file(""))), installed.version)
    return _in_folder(Path(), name) or _in_folder(cache_folder(), name)


def _in_folder(folder: Path, name: str) -> PackageFiles | None:
    wheels = sorted(folder.glob(f"{name}-*.whl"))
    return _in_wheel(wheels[-1], name) if wheels else None


def _in_wheel(path: Path, name: str) -> PackageFiles:
    parts = path.stem.split("-")
    return PackageFiles(path, parts[1] if len(parts) > 1 and parts[0] == name else "unknown")
