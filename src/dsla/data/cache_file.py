"""The file that decoded pictures are kept in, mapped by all who use it.

Entries come first, then the pixels of each picture at its place. An entry holds the time and size of the picture's
file, by which a changed picture is noticed, and a checksum of its pixels, written last and looked at once by each
process. So processes may fill one cache at the same time, and one that dies in the middle leaves nothing that could be
taken for a picture.
"""

import os
import tempfile
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from dsla.data.dataset import DetectionData
from dsla.errors import ConfigError

_ENTRY = np.dtype([("mtime", "<i8"), ("bytes", "<i8"), ("crc", "<u4"), ("ready", "<u4")])
_PAGE = 4096


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each picture's pixels lie.

    Attributes:
        sizes: (N, 2) (h, w) of the pictures.
        starts: (N + 1,) first byte of each, and the end.
    """

    sizes: np.ndarray
    starts: np.ndarray

    @staticmethod
    def of(data: DetectionData) -> "Layout":
        sizes = np.array([data.record(index).size for index in range(len(data))], dtype=np.int64).reshape(-1, 2)
        head = -(-len(sizes) * _ENTRY.itemsize // _PAGE) * _PAGE
        return Layout(sizes, head + np.concatenate([[0], (sizes.prod(axis=1) * 3).cumsum()]))

    @property
    def size(self) -> int:
        return max(int(self.starts[-1]), 1)


class Pixels:
    """The file of a cache, mapped; it travels to other processes by its path."""

    def __init__(self, layout: Layout, path: str, keep: int | None = None) -> None:
        self.layout, self.path, self._keep = layout, path, keep
        self._map()

    @staticmethod
    def in_memory(layout: Layout) -> "Pixels":
        """A file that nothing but memory holds, gone with the process that made it."""
        if hasattr(os, "memfd_create"):
            number = os.memfd_create("dsla-pictures")
            os.truncate(number, layout.size)
            pixels = Pixels(layout, f"/proc/{os.getpid()}/fd/{number}", keep=number)
            weakref.finalize(pixels, _close, number, os.getpid())
            return pixels
        number, name = tempfile.mkstemp(prefix="dsla-pictures-")  # other systems keep it in memory while there is room
        os.truncate(number, layout.size)
        os.close(number)
        pixels = Pixels(layout, name)
        weakref.finalize(pixels, _remove, name, os.getpid())
        return pixels

    @staticmethod
    def on_disk(layout: Layout, file: Path) -> "Pixels":
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
        return Pixels(layout, str(file))

    def _map(self) -> None:
        self._bytes = np.memmap(self.path, dtype=np.uint8, mode="r+", shape=(self.layout.size,))
        count = len(self.layout.sizes)
        self._entries = self._bytes[: count * _ENTRY.itemsize].view(_ENTRY)
        self._seen = np.zeros(count, dtype=bool)  # pictures whose checksum this process has looked at

    def __getstate__(self) -> tuple[Layout, str]:
        return self.layout, self.path

    def __setstate__(self, state: tuple[Layout, str]) -> None:
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


def _close(number: int, process: int) -> None:
    if os.getpid() == process:
        os.close(number)


def _remove(name: str, process: int) -> None:
    if os.getpid() == process:
        Path(name).unlink(missing_ok=True)
