"""Every kind of picture becomes the same thing everywhere: uint8 (3, H, W) RGB, upright.

One mapping, whatever the picture comes from; `docs/pictures.md` has it as a table:

- EXIF orientation is applied (unless asked not to).
- Grey, palette and CMYK become RGB; an alpha channel is dropped, the colours beneath it stay, as in Pillow
  and OpenCV (compositing would need a background nobody chose).
- 16-bit values keep their high byte (v >> 8): fixed, never stretched to the picture's own range; it is what
  libpng and Pillow do to 16-bit colour, and it undoes both usual widenings, v * 257 and v << 8.
- Floats are taken as 0 to 1; other ranges are refused, since only who made the picture knows what is white.
- Of several pages or frames the first counts.

Pillow decodes everything. torchvision's decoders are deprecated from 0.29 on and to be removed, and its
decode_png ends the process with a segmentation fault on a damaged PNG (libpng's error path, seen with 0.29);
they would save 0.3 to 0.7 ms on a JPEG of 640x480.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from dsla.data.picture_file import opened
from dsla.errors import DataError

Picture = str | Path | bytes | Image.Image | np.ndarray | Tensor

_WHITE_IS_ZERO, _PHOTOMETRIC = 0, 262


def decode_image(
    source: Picture, name: str | None = None, *, exif: bool = True, max_pixels: int | None = None
) -> UInt8[Tensor, "3 H W"]:
    """Decode a picture to RGB bytes by the mapping above.

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
        with opened(source, name, max_pixels) as image:
            return _from_pillow(image, name, exif)
    if isinstance(source, Image.Image):
        return _from_pillow(source, name, exif)
    if isinstance(source, np.ndarray):
        return _from_array(source, name)
    array = source.detach().cpu().numpy()
    return _from_array(array if array.ndim == 2 else np.moveaxis(array, 0, -1), name)


def _from_pillow(image: Image.Image, name: str, exif: bool) -> UInt8[Tensor, "3 H W"]:
    inverted = image.mode.startswith("I;16") and _white_is_zero(image)
    if exif:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        array = np.asarray(image)
        if image.mode == "I":  # 32 bits, where Pillow also puts 16-bit pictures of some formats
            if array.min() < 0 or array.max() > 65535:
                raise DataError(
                    f"{name}: 32-bit values from {array.min()} to {array.max()}, beyond 0 to 65535. Save it with 8 or "
                    "16 bits."
                )
            array = array.astype(np.uint16)
        return _from_array(65535 - array if inverted else array, name)
    if image.mode == "P" and "transparency" in image.info:  # Pillow warns of what is meant here: it gets lost
        image = image.copy()
        del image.info["transparency"]
    return F.pil_to_tensor(image if image.mode == "RGB" else image.convert("RGB"))


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a grey TIFF counts from white; Pillow turns such values round with 8 bits, and leaves them with 16."""
    tags: dict[int, int] = getattr(image, "tag_v2", {})
    return tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


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
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # of either byte order
        array = (array >> 8).astype(np.uint8)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):  # NaN fails too
            raise DataError(
                f"{name}: float values must lie from 0 to 1, these lie from {array.min():g} to {array.max():g}. Divide "
                "by the greatest possible value, the same for all pictures."
            )
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise DataError(f"{name}: {array.dtype} is no kind of pixel. Give uint8, uint16, bool or floats from 0 to 1.")
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)
