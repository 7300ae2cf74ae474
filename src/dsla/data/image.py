"""Every kind of picture becomes the same thing everywhere: uint8 (3, H, W) RGB, upright.

One documented mapping, whatever the picture comes from:

- EXIF orientation is applied (unless asked not to).
- Grey, palette and CMYK become RGB; an alpha channel is dropped, the colours beneath it stay, as in Pillow
  and OpenCV (compositing would need a background nobody chose).
- 16-bit values keep their high byte (v >> 8): fixed, never stretched to the picture's own range; it is what
  libpng and Pillow do to 16-bit colour, and it undoes both usual widenings, v * 257 and v << 8.
- Floats are taken as 0 to 1.

Pillow decodes everything. torchvision's decoders are deprecated from 0.29 on and to be removed, and its
decode_png ends the process with a segmentation fault on a damaged PNG (libpng's error path, seen with 0.29);
they would save 0.3 to 0.7 ms on a JPEG of 640x480.
"""

import io
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from dsla.errors import DataError

Picture = str | Path | bytes | Image.Image | np.ndarray | Tensor

_SIGNATURES = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\x00", b"MM\x00*")
_REPLACE = "Replace the file, or take it out of the data set."


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
        return _decode_bytes(_read(Path(source), name), name, exif)
    name = name or "picture"
    if isinstance(source, bytes):
        return _decode_bytes(source, name, exif)
    if isinstance(source, Image.Image):
        return _from_pillow(source, name, exif)
    if isinstance(source, np.ndarray):
        return _from_array(source, name)
    array = source.detach().cpu().numpy()
    return _from_array(array if array.ndim == 2 else np.moveaxis(array, 0, -1), name)


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{name}: no such picture. Check the path.") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check that it is a readable file.") from error


def _decode_bytes(data: bytes, name: str, exif: bool) -> UInt8[Tensor, "3 H W"]:
    if not data:
        raise DataError(f"{name}: the file is empty (0 bytes). {_REPLACE}")
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _from_pillow(image, name, exif)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: too large ({error}). Cut it into tiles or scale it down.") from error
    except UnidentifiedImageError as error:
        if not data.startswith(_SIGNATURES):
            raise DataError(
                f"{name}: not a picture that can be read; the file starts with {data[:16]!r}. {_REPLACE}"
            ) from error
        raise DataError(f"{name}: the picture is cut short or damaged. {_REPLACE}") from error
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        reason = str(error).splitlines()[0][-120:]
        raise DataError(f"{name}: the picture is cut short or damaged ({reason}). {_REPLACE}") from error


def _from_pillow(image: Image.Image, name: str, exif: bool) -> UInt8[Tensor, "3 H W"]:
    if exif:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        array = np.asarray(image)
        if image.mode == "I":  # 32 bits, where Pillow also puts 16-bit pictures of some formats
            if array.min() < 0 or array.max() > 65535:
                raise DataError(f"{name}: 32-bit values beyond 0 to 65535. Save it with 8 or 16 bits.")
            array = array.astype(np.uint16)
        return _from_array(array, name)
    return F.pil_to_tensor(image if image.mode == "RGB" else image.convert("RGB"))


def _from_array(array: np.ndarray, name: str) -> UInt8[Tensor, "3 H W"]:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape:
        raise DataError(
            f"{name}: an array of shape {array.shape} is no picture. Give (H, W) or (H, W, C), as a tensor "
            "(C, H, W), with 1 to 4 channels."
        )
    # 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
    array = array[..., :1].repeat(3, axis=2) if array.shape[2] < 3 else array[..., :3]
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):  # NaN fails too
            raise DataError(f"{name}: float values must lie from 0 to 1. Divide by the greatest possible value.")
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise DataError(f"{name}: {array.dtype} is no kind of pixel. Give uint8, uint16, bool or floats from 0 to 1.")
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)
