"""The pixels of a Pillow picture as a tensor without copying them.

Pillow keeps RGB in four bytes a pixel, and hands its memory out by the Arrow C data interface
(https://arrow.apache.org/docs/format/CDataInterface.html) from 11.2 on. Taking the bytes out the usual way copies a
picture three times, which costs about as much as a third of decoding a JPEG. The tensor is the first three bytes of
each pixel; the fourth stays between them, and `with_padding` gives it back, since torch resizes four bytes a pixel
faster than three that are apart.
"""

import ctypes
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

_BYTES = 4  # a pixel
_SETTING = "set_use_block_allocator"  # of Pillow from 11.2 on
_LOCK = threading.Lock()
_before: list[int] = []  # the setting that each thread within found: the first one's is to come back


class _ArrowArray(ctypes.Structure):
    """`struct ArrowArray` of the interface."""

    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
        ("children", ctypes.POINTER(ctypes.c_void_p)),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


def pixels_of(image: Image.Image) -> UInt8[Tensor, "3 H W"] | None:
    """The pixels of an RGB picture, in Pillow's own memory; None where it does not hand them out in one piece.

    The memory lives as long as the tensor does; the picture may be closed, and must not be drawn on.
    """
    export: Any = getattr(image, "__arrow_c_array__", None)
    if export is None or image.mode != "RGB":
        return None
    image.load()
    try:
        _, capsule = export()
    except ValueError:  # not decoded `in_one_piece` and of more than 16 MB
        return None
    array = _ArrowArray.from_address(_pointer_of(capsule, b"arrow_array"))
    size = image.height * image.width * _BYTES
    values = ctypes.cast(array.children[0], ctypes.POINTER(_ArrowArray)).contents
    if array.length * _BYTES != size or array.offset or values.offset or values.length != size:
        return None
    memory: Any = (ctypes.c_uint8 * size).from_address(values.buffers[1])
    memory.owner = capsule  # which frees the pixels when it goes; torch holds on to `memory`
    flat = torch.frombuffer(memory, dtype=torch.uint8)
    return flat.view(image.height, image.width, _BYTES)[..., :3].permute(2, 0, 1)


@contextmanager
def in_one_piece(image: Image.Image) -> Generator[None]:
    """Let Pillow decode this picture into one piece of memory, however large; older Pillows cannot.

    The setting is the process's, and as it was when the last thread leaves.
    """
    settings: Any = Image.core
    if image.width * image.height * _BYTES < settings.get_block_size() or not hasattr(settings, _SETTING):
        yield
        return
    with _LOCK:
        _before.append(settings.get_use_block_allocator())
        settings.set_use_block_allocator(1)
    try:
        yield
    finally:
        with _LOCK:
            if len(_before) == 1:
                settings.set_use_block_allocator(_before[0])
            _before.pop()


def with_padding(image: UInt8[Tensor, "3 H W"]) -> UInt8[Tensor, "4 H W"] | None:
    """The picture, or a window of it, with the fourth byte of its pixels; None where there is no such byte."""
    channel, row, pixel = image.stride()
    if (channel, pixel) != (1, _BYTES) or image.numel() == 0:
        return None
    height, width = image.shape[1:]
    last = image.storage_offset() + (height - 1) * row + width * _BYTES
    if last > image.untyped_storage().nbytes():
        return None
    return image.as_strided((_BYTES, height, width), (1, row, pixel))
