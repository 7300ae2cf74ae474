"""Decoded pictures kept for the next epochs, in memory or on the disk, once for all workers.

What is kept are the decoded bytes at the source's size: augmentation crops and scales them anew each time, so that
batches are the same to the bit with and without. (At the training size a picture would be resampled twice, and blurred
where augmentation enlarges it.) How large that gets follows from the sizes that the annotations tell, before anything
is decoded; nothing is kept of a set that does not fit.

A cache is one file that all workers map: entries first, then the pixels of each picture at its place. An entry holds
the time and size of the picture's file, by which a changed picture is noticed, and a checksum of its pixels, written
last and looked at once by each process. So processes may fill one cache at the same time, and one that dies in the
middle leaves nothing that could be taken for a picture. "memory" is a file that exists in memory alone.
"""

import hashlib
import os
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from dsla.data.dataset import DetectionData, StreamedData
from dsla.data.free_memory import free_memory
from dsla.data.sample import Sample
from dsla.errors import ConfigError

CacheKind = Literal["none", "memory", "disk"]
_ENTRY = np.dtype([("mtime", "<i8"), ("bytes", "<i8"), ("crc", "<u4"), ("ready", "<u4")])
_VERSION = "1"  # of the layout, and of how files become pixels
_PAGE = 4096
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
    size = sum(_Layout.of(part).size for part in parts)
    if kind == "disk":
        free = shutil.disk_usage(_existing(folder)).free
        missing = sum(0 if _file(part, folder).exists() else _Layout.of(part).size for part in parts)
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
    layout = _Layout.of(data)
    if kind == "memory":
        return CachedData(data, _Pixels.in_memory(layout))
    return CachedData(data, _Pixels.on_disk(layout, _file(data, folder or default_folder())))


class CachedData:
    """A data set whose decoded pictures are kept; whatever else is asked goes to the data set itself."""

    def __init__(self, data: DetectionData, pixels: "_Pixels") -> None:
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
        return Sample(
            image=image,
            boxes=record.boxes,
            labels=record.labels,
            ignore=record.ignore,
            image_id=record.image_id,
            name=record.name,
            original_size=record.size,
        )


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where each picture's pixels lie.

    Attributes:
        sizes: (N, 2) (h, w) of the pictures.
        starts: (N + 1,) first byte of each, and the end.
    """

    sizes: np.ndarray
    starts: np.ndarray

    @staticmethod
    def of(data: DetectionData) -> "_Layout":
        sizes = np.array([data.record(index).size for index in range(len(data))], dtype=np.int64).reshape(-1, 2)
        head = -(-len(sizes) * _ENTRY.itemsize // _PAGE) * _PAGE
        return _Layout(sizes, head + np.concatenate([[0], (sizes.prod(axis=1) * 3).cumsum()]))

    @property
    def size(self) -> int:
        return max(int(self.starts[-1]), 1)


class _Pixels:
    """The file of a cache, mapped; it travels to other processes by its path."""

    def __init__(self, layout: _Layout, path: str, keep: int | None = None) -> None:
        self.layout, self.path, self._keep = layout, path, keep
        self._map()

    @staticmethod
    def in_memory(layout: _Layout) -> "_Pixels":
        """A file that nothing but memory holds, gone with the process that made it."""
        if hasattr(os, "memfd_create"):
            number = os.memfd_create("dsla-pictures")
            os.truncate(number, layout.size)
            pixels = _Pixels(layout, f"/proc/{os.getpid()}/fd/{number}", keep=number)
            weakref.finalize(pixels, _close, number, os.getpid())
            return pixels
        number, name = tempfile.mkstemp(prefix="dsla-pictures-")  # other systems keep it in memory while there is room
        os.truncate(number, layout.size)
        os.close(number)
        pixels = _Pixels(layout, name)
        weakref.finalize(pixels, _remove, name, os.getpid())
        return pixels

    @staticmethod
    def on_disk(layout: _Layout, file: Path) -> "_Pixels":
        """A file that stays; several processes may make it at the same time.

        Raises:
            ConfigError: the folder cannot be written to.
        """
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            number = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if os.fstat(number).st_size != layout.size:
                    os.truncate(number, layout.size)
                    if hasattr(os, "posix_fallocate"):  # a full disk is told now, not by a signal later
                        os.posix_fallocate(number, 0, layout.size)
            finally:
                os.close(number)
        except OSError as error:
            raise ConfigError(f"data.cache_folder: {file.parent} cannot be used ({error.strerror})") from error
        return _Pixels(layout, str(file))

    def _map(self) -> None:
        self._bytes = np.memmap(self.path, dtype=np.uint8, mode="r+", shape=(self.layout.size,))
        count = len(self.layout.sizes)
        self._entries = self._bytes[: count * _ENTRY.itemsize].view(_ENTRY)
        self._seen = np.zeros(count, dtype=bool)  # pictures whose checksum this process has looked at

    def __getstate__(self) -> tuple[_Layout, str]:
        return self.layout, self.path

    def __setstate__(self, state: tuple[_Layout, str]) -> None:
        self.layout, self.path = state
        self._keep = None
        self._map()

    def get(self, index: int, stamp: tuple[int, int]) -> UInt8[Tensor, "3 H W"] | None:
        """The pixels of a picture; None where they are not there, or of another file."""
        entry = self._entries[index]
        if not entry["ready"] or (int(entry["mtime"]), int(entry["bytes"])) != stamp:
            return None
        pixels = self._place(index)
        if not self._seen[index]:
            if zlib.crc32(pixels.data) != int(entry["crc"]):
                return None
            self._seen[index] = True
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def put(self, index: int, stamp: tuple[int, int], image: UInt8[Tensor, "3 H W"]) -> None:
        """Keep the pixels of a picture; its entry is written last."""
        if tuple(image.shape[1:]) != tuple(self.layout.sizes[index]):
            return
        pixels, entry = self._place(index), self._entries[index : index + 1]
        entry["ready"] = 0
        pixels[:] = image.permute(1, 2, 0).numpy()
        entry["crc"], entry["mtime"], entry["bytes"] = zlib.crc32(pixels.data), *stamp
        entry["ready"] = 1

    def _place(self, index: int) -> np.ndarray:
        start, end = self.layout.starts[index : index + 2]
        height, width = self.layout.sizes[index]
        return np.asarray(self._bytes)[start:end].reshape(height, width, 3)


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


def _close(number: int, process: int) -> None:
    if os.getpid() == process:
        os.close(number)


def _remove(name: str, process: int) -> None:
    if os.getpid() == process:
        Path(name).unlink(missing_ok=True)
