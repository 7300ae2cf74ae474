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

from dsla.errors import DataError
from dsla.pixels import pixels_of_array, pixels_of_bytes, pixels_of_pillow

Picture = str | Path | bytes | Image.Image | np.ndarray | Tensor


def decode_image(source: Picture, name: str | None = None, *, exif: bool = True) -> UInt8[Tensor, "3 H W"]:
    """Decode a picture to RGB bytes by the mapping above.

    Args:
        source: path, encoded bytes, Pillow image, array (H, W) or (H, W, C) in RGB order, or tensor (H, W) or
            (C, H, W), with 1 to 4 channels of uint8, uint16, bool or floats from 0 to 1.
        name: what to call the picture in errors; its path by default.
        exif: turn the picture upright by its EXIF orientation.

    Raises:
        DataError: missing, empty, cut short, damaged, not a picture, or too large (Pillow's limit against
            decompression bombs, `PIL.Image.MAX_IMAGE_PIXELS`, doubled).
    """
    if isinstance(source, str | Path):
        name = name or str(source)
        return _tensor(pixels_of_bytes(_read(Path(source), name), name, exif=exif))
    name = name or "picture"
    if isinstance(source, bytes):
        return _tensor(pixels_of_bytes(source, name, exif=exif))
    if isinstance(source, Image.Image):
        return _tensor(pixels_of_pillow(source, name, exif=exif))
    if isinstance(source, np.ndarray):
        return _tensor(pixels_of_array(source, name))
    array = source.detach().cpu().numpy()
    return _tensor(pixels_of_array(array if array.ndim == 2 else np.moveaxis(array, 0, -1), name))


def _tensor(pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[Tensor, "3 H W"]:
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{name}: no such picture. Check the path.") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check that it is a readable file.") from error
