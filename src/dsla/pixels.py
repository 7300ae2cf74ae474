"""Every kind of picture becomes the same thing everywhere: uint8 (H, W, 3) RGB, upright.

One mapping, whatever the picture comes from; `docs/pictures.md` has it as a table:

- EXIF orientation is applied (unless asked not to).
- Grey, palette and CMYK become RGB; an alpha channel is dropped, the colours beneath it stay, as in Pillow
  and OpenCV (compositing would need a background nobody chose).
- 16-bit values keep their high byte (v >> 8): fixed, never stretched to the picture's own range; it is what
  libpng and Pillow do to 16-bit colour, and it undoes both usual widenings, v * 257 and v << 8.
- Floats are taken as 0 to 1; other ranges are refused, since only who made the picture knows what is white.
- Of several pages or frames the first counts.

NumPy and Pillow alone: a server that runs an exported model has no torch. Letters: H and W height and width.
"""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from dsla.errors import DataError

_WHITE_IS_ZERO, _PHOTOMETRIC, _ORIENTATION = 0, 262, 274  # tags of TIFF and EXIF


def pixels_of_pillow(image: Image.Image, name: str, *, exif: bool = True) -> UInt8[np.ndarray, "H W 3"]:
    """Decode what Pillow opened; `name` is what errors call it.

    Raises:
        DataError: values that no rule covers. Pillow's own errors pass through.
    """
    return np.array(rgb_of_pillow(image, name, exif=exif))


def rgb_of_pillow(image: Image.Image, name: str, *, exif: bool = True) -> Image.Image | UInt8[np.ndarray, "H W 3"]:
    """The same as Pillow's own RGB picture, or as an array where the values are deeper than Pillow converts rightly."""
    inverted = image.mode.startswith("I;16") and _white_is_zero(image)
    if exif and image.getexif().get(_ORIENTATION, 1) != 1:  # asked first, since it copies every picture
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
        return pixels_of_array(65535 - array if inverted else array, name)
    if image.mode == "P" and "transparency" in image.info:  # Pillow warns of what is meant here: it gets lost
        image = image.copy()
        del image.info["transparency"]
    return image if image.mode == "RGB" else image.convert("RGB")


def pixels_of_array(array: np.ndarray, name: str) -> UInt8[np.ndarray, "H W 3"]:
    """RGB bytes of an array (H, W) or (H, W, C), C from 1 to 4.

    Raises:
        DataError: it is no picture.
    """
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
    return np.ascontiguousarray(array)


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a grey TIFF counts from white; Pillow turns such values round with 8 bits, and leaves them with 16."""
    tags: dict[int, int] = getattr(image, "tag_v2", {})
    return tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
