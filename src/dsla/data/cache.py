"""Decoded pictures kept for the next epochs, in memory or on the disk, once for all workers.

What is kept are the decoded bytes at the source's size: augmentation crops and scales them anew each time, so that
batches are the same to the bit with and without. (At the training size a picture would be resampled twice, and blurred
where augmentation enlarges it.) How large that gets follows from the sizes that the annotations tell, before anything
is decoded; nothing is kept of a set that does not fit.

The file itself is in `dsla.data.cache_file`; "memory" is a file that exists in memory alone.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dsla.data.cache_file import Layout, Pixels
from dsla.data.dataset import DetectionData, StreamedData
from dsla.data.free_memory import free_memory
from dsla.data.sample import Sample
from dsla.errors import ConfigError

CacheKind = Literal["none", "memory", "disk"]
_VERSION = "1"  # of the layout, and of how files become pixels
_ROOM = 0.9  # share of what is free that a cache may take


@dataclass(frozen=True)
class CachePlan:
    """What a cache will take, before it is made.

    Attributes:
        kind: memory or disk.
        pictures: how many.
        size: bytes, over all processes that hold one.
        free: bytes that are free there; None where the system does not tell.
        folder: of files on the disk.
    """

    kind: CacheKind
    pictures: int
    size: int
    free: int | None
    folder: Path

    def told(self) -> str:
        """One line for people."""
        free = "" if self.free is None else f" of {_bytes(self.free)} free"
        place = f" in {self.folder}" if self.kind == "disk" else ""
        return f"{self.kind} cache: {self.pictures:,} pictures, {_bytes(self.size)}{free}{place}"


def default_folder() -> Path:
    """Where pictures are kept on the disk: the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dsla" / "pictures"


def plan_cache(
    kind: CacheKind, parts: Sequence[DetectionData], folder: Path | None = None, processes: int = 1
) -> CachePlan:
    """Tell what a cache of some data will take.

    Args:
        kind: memory or disk.
        parts: data sets, such as those to train and to validate on.
        folder: for files on the disk.
        processes: that each hold a cache in memory; on the disk they share one.

    Raises:
        ConfigError: it does not fit, or the data cannot be kept.
    """
    folder = folder or default_folder()
    if any(isinstance(part, StreamedData) for part in parts):
        raise ConfigError("data.cache: shards are read from front to back and are not kept; leave it out")
    size = sum(Layout.of(part).size for part in parts)
    if kind == "disk":
        free = shutil.disk_usage(_existing(folder)).free
        missing = sum(0 if _file(part, folder).exists() else Layout.of(part).size for part in parts)
    else:
        free, size = free_memory(), size * processes
        missing = size
    plan = CachePlan(kind, sum(len(part) for part in parts), size, free, folder)
    if free is not None and missing > _ROOM * free:
        cure = "--cache disk, fewer pictures," if kind == "memory" else "another data.cache_folder, --cache memory"
        raise ConfigError(f"data.cache: does not fit; {plan.told()}. Use {cure} or none")
    return plan


def cached(data: DetectionData, kind: CacheKind, folder: Path | None = None) -> DetectionData:
    """The same data set, whose pictures are decoded once and kept.

    Args:
        data: pictures by index.
        kind: "none" gives the data set back as it is.
        folder: for files on the disk.
    """
    if kind == "none":
        return data
    layout = Layout.of(data)
    if kind == "memory":
        return CachedData(data, Pixels.in_memory(layout))
    return CachedData(data, Pixels.on_disk(layout, _file(data, folder or default_folder())))


class CachedData:
    """A data set whose decoded pictures are kept; whatever else is asked goes to the data set itself."""

    def __init__(self, data: DetectionData, pixels: Pixels) -> None:
        self.data, self.pixels = data, pixels

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the labels."""
        return self.data.class_names

    @property
    def notes(self) -> tuple[str, ...]:
        """What was altered on reading."""
        return self.data.notes

    def __len__(self) -> int:
        return len(self.data)

    def record(self, index: int) -> Any:
        """Boxes and size of a picture."""
        return self.data.record(index)

    def to_coco(self) -> dict[str, Any]:
        """The ground truth as COCO has it."""
        return self.data.to_coco()

    def sample(self, index: int) -> Sample:
        """The picture from the cache, or decoded and kept; its tensor must not be written to.

        Raises:
            DataError: it cannot be decoded.
        """
        record = self.data.record(index)
        stamp = _stamp(record.name)
        image = self.pixels.get(index, stamp)
        if image is None:
            sample = self.data.sample(index)
            self.pixels.put(index, stamp, sample.image)
            return sample
        return record.with_image(image)


def _file(data: DetectionData, folder: Path) -> Path:
    """A name that follows from which pictures there are, where, and how large."""
    digest = hashlib.sha256(_VERSION.encode())
    for index in range(len(data)):
        record = data.record(index)
        if not Path(record.name).is_file():
            raise ConfigError(f"data.cache: {record.name} is no file; such pictures can be kept with --cache memory")
        digest.update(f"{Path(record.name).resolve()}\0{record.size}\n".encode())
    return folder / f"{digest.hexdigest()[:20]}.pixels"


def _stamp(name: str) -> tuple[int, int]:
    """Time and size of a picture's file; zeros for a picture that is none."""
    try:
        found = os.stat(name)  # noqa: PTH116  # a Path costs more than the look at the disk
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
