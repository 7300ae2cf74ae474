"""Every kind of picture becomes the same thing everywhere: uint8 (H, W, 3) RGB, upright.

One documented mapping, whatever the picture comes from:

- EXIF orientation is applied (unless asked not to).
- Grey, palette and CMYK become RGB; an alpha channel is dropped, the colours beneath it stay, as in Pillow
  and OpenCV (compositing would need a background nobody chose).
- 16-bit values keep their high byte (v >> 8): fixed, never stretched to the picture's own range; it is what
  libpng and Pillow do to 16-bit colour, and it undoes both usual widenings, v * 257 and v << 8.
- Floats are taken as 0 to 1.

NumPy and Pillow alone: a server that runs an exported model has no torch. Letters: H and W height and width.
"""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from dsla.errors import DataError

SIGNATURES = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\x00", b"MM\x00*")
_REPLACE = "Replace the file, or take it out of the data set."


def pixels_of_bytes(data: bytes, name: str, *, exif: bool = True) -> UInt8[np.ndarray, "H W 3"]:
    """Decode an encoded picture; `name` is what errors call it.

    Raises:
        DataError: empty, cut short, damaged, not a picture, or too large (Pillow's limit against decompression
            bombs, `PIL.Image.MAX_IMAGE_PIXELS`, doubled).
    """
    if not data:
        raise DataError(f"{name}: the file is empty (0 bytes). {_REPLACE}")
    try:
        with Image.open(io.BytesIO(data)) as image:
            return pixels_of_pillow(image, name, exif=exif)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: too large ({error}). Cut it into tiles or scale it down.") from error
    except UnidentifiedImageError as error:
        if not data.startswith(SIGNATURES):
            raise DataError(
                f"{name}: not a picture that can be read; the file starts with {data[:16]!r}. {_REPLACE}"
            ) from error
        raise DataError(f"{name}: the picture is cut short or damaged. {_REPLACE}") from error
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        reason = str(error).splitlines()[0][-120:]
        raise DataError(f"{name}: the picture is cut short or damaged ({reason}). {_REPLACE}") from error


def pixels_of_pillow(image: Image.Image, name: str, *, exif: bool = True) -> UInt8[np.ndarray, "H W 3"]:
    """Decode what Pillow opened. Raises `DataError` for 32-bit values; Pillow's own errors pass through."""
    if exif:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        array = np.asarray(image)
        if image.mode == "I":  # 32 bits, where Pillow also puts 16-bit pictures of some formats
            if array.min() < 0 or array.max() > 65535:
                raise DataError(f"{name}: 32-bit values beyond 0 to 65535. Save it with 8 or 16 bits.")
            array = array.astype(np.uint16)
        return pixels_of_array(array, name)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def pixels_of_array(array: np.ndarray, name: str) -> UInt8[np.ndarray, "H W 3"]:
    """RGB bytes of an array (H, W) or (H, W, C), C from 1 to 4. Raises `DataError` where it is no picture."""
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
    return np.ascontiguousarray(array)
