"""From bytes that anybody may have sent to pixels: known kinds only, and the size is judged before decoding."""

import io
import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from dsla.errors import DataError
from dsla.pixels import pixels_of_pillow
from dsla.serve.request_error import RequestError

# Few and common: each decoder is code that strangers' bytes reach. EPS would start another program.
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff")


@dataclass(frozen=True, eq=False)
class Upload:
    """A picture as it came."""

    name: str
    """What the client calls it, for people only: it never becomes a path."""
    data: bytes


def clean_name(name: str | None, index: int) -> str:
    """A name that can be shown and logged: the last part, printable, of bounded length."""
    last = re.split(r"[/\\]", name or "")[-1]
    shown = "".join(letter for letter in last if letter.isprintable()).strip()[:100]
    return shown or f"picture {index + 1}"


def measure(upload: Upload, most_pixels: int) -> int:
    """How many pixels a picture has, by its header.

    Raises:
        RequestError: 422 where it is no picture of a known kind, 413 where it is too large.
    """
    with _opened(upload) as image:
        pixels = image.width * image.height
        if pixels > most_pixels:
            raise RequestError(
                413, "too_many_pixels",
                f"{upload.name}: {image.width}x{image.height} px are {pixels / 1e6:.1f} megapixels; "
                f"at most {most_pixels / 1e6:g} are taken. Scale it down",
            )  # fmt: skip
        return pixels


def decode(upload: Upload, most_pixels: int) -> UInt8[np.ndarray, "H W 3"]:
    """Decode a picture, upright; of an animation the first frame.

    Raises:
        RequestError: as `measure`, and 422 where the rest of the file is damaged.
    """
    with _opened(upload) as image:
        pixels = pixels_of_pillow(image, upload.name)
    if pixels.shape[0] * pixels.shape[1] > most_pixels:  # a decoder that found another size than the header's
        raise RequestError(
            413, "too_many_pixels", f"{upload.name}: larger than its header says, and than what is taken"
        )
    return pixels


@contextmanager
def _opened(upload: Upload) -> Generator[Image.Image]:
    """The picture opened by Pillow; whatever goes wrong inside is the picture's fault."""
    if not upload.data:
        raise RequestError(422, "not_a_picture", f"{upload.name}: empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, and of sizes that the limit allows
            with Image.open(io.BytesIO(upload.data), formats=KINDS) as image:
                yield image
    except RequestError:
        raise
    except Image.DecompressionBombError:
        raise RequestError(413, "too_many_pixels", f"{upload.name}: far more pixels than are taken") from None
    except UnidentifiedImageError:
        raise RequestError(
            422, "not_a_picture", f"{upload.name}: not a picture of a known kind ({', '.join(KINDS)}), or damaged"
        ) from None
    except DataError as error:
        raise RequestError(422, "not_a_picture", str(error)) from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise RequestError(422, "not_a_picture", f"{upload.name}: cut short or damaged") from error
