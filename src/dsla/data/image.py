"""Every kind of picture becomes the same thing everywhere: uint8 (3, H, W) RGB, upright; `dsla.pixels` has the mapping.

Pillow decodes everything. torchvision's decoders are deprecated from 0.29 on and to be removed, and its
decode_png ends the process with a segmentation fault on a damaged PNG (libpng's error path, seen with 0.29);
they would save 0.3 to 0.7 ms on a JPEG of 640x480.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from dsla.data.picture_file import opened
from dsla.data.pillow_memory import in_one_piece, pixels_of
from dsla.pixels import pixels_of_array, rgb_of_pillow

Picture = str | Path | bytes | Image.Image | np.ndarray | Tensor


def decode_image(
    source: Picture, name: str | None = None, *, exif: bool = True, max_pixels: int | None = None
) -> UInt8[Tensor, "3 H W"]:
    """Decode a picture to RGB bytes by the mapping of `dsla.pixels`.

    Args:
        source: path, encoded bytes, Pillow image, array (H, W) or (H, W, C) in RGB order, or tensor (H, W) or
            (C, H, W), with 1 to 4 channels of uint8, uint16, bool or floats from 0 to 1.
        name: what to call the picture in errors; its path by default.
        exif: turn the picture upright by its EXIF orientation.
        max_pixels: files and bytes with more pixels are refused before anything is decoded; None for
            `dsla.data.picture_file.pixel_limit()`.

    Raises:
        DataError: missing, empty, cut short, damaged, not a picture, too large, or values that no rule covers.
    """
    if isinstance(source, str | Path):
        source, name = Path(source), name or str(source)
    name = name or "picture"
    if isinstance(source, Path | bytes):
        with opened(source, name, max_pixels) as image, in_one_piece(image):
            return _from_pillow(image, name, exif, ours=True)
    if isinstance(source, Image.Image):
        return _from_pillow(source, name, exif)
    if isinstance(source, np.ndarray):
        return _tensor(pixels_of_array(source, name))
    array = source.detach().cpu().numpy()
    return _tensor(pixels_of_array(array if array.ndim == 2 else np.moveaxis(array, 0, -1), name))


def _from_pillow(image: Image.Image, name: str, exif: bool, ours: bool = False) -> UInt8[Tensor, "3 H W"]:
    """A picture that is `ours` alone may lend its memory to the tensor."""
    rgb = rgb_of_pillow(image, name, exif=exif)
    if isinstance(rgb, np.ndarray):
        return _tensor(rgb)
    pixels = pixels_of(rgb) if ours else None
    return F.pil_to_tensor(rgb) if pixels is None else pixels


def _tensor(pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[Tensor, "3 H W"]:
    return torch.from_numpy(pixels).permute(2, 0, 1)
