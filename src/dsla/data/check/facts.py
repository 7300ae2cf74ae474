"""What a look into a picture file tells: whether training can decode it, its frame, its depth, and what it shows.

Pictures are decoded by `dsla.data.image.decode_image`, as in training, so what fails here fails there.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dsla.cores import usable_cores
from dsla.data.image import decode_image
from dsla.data.picture_file import opened
from dsla.errors import DataError

THUMBNAIL = 32
_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 258
_GREY = 128  # what libjpeg paints where a file has no more data
_GREY_ROWS = 8
_NO_LIMIT = 2**62  # decode_image has kept to it already


@dataclass(frozen=True, eq=False)
class Facts:
    """A picture file.

    Attributes:
        path: of the file.
        length: in bytes.
        fault: code of what keeps training from decoding it, and the reason; None where nothing does.
        format, mode, bits: as stored: "JPEG", Pillow's mode, bits a channel.
        size: (h, w) as stored.
        orientation: of EXIF, 1 for upright.
        frames: or pages.
        transparent: some pixel is not opaque.
        grey_rest: rows at the bottom that libjpeg painted grey for want of data.
        digest: of the pixels that training sees.
        thumbnail: the same as 32x32 shades of grey.
    """

    path: Path
    length: int = 0
    fault: tuple[str, str] | None = None
    format: str = ""
    mode: str = ""
    bits: int = 8
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    frames: int = 1
    transparent: bool = False
    grey_rest: int = 0
    digest: bytes = b""
    thumbnail: UInt8[np.ndarray, "32 32"] | None = None

    @property
    def upright(self) -> tuple[int, int]:
        """(h, w) after EXIF orientation."""
        height, width = self.size
        return (width, height) if self.orientation >= 5 else (height, width)

    @property
    def floating(self) -> bool:
        """Values are floating point numbers."""
        return self.mode == "F"


def look_at_all(
    paths: Sequence[Path],
    progress: Callable[[int, int], object] | None = None,
    workers: int | None = None,
    max_pixels: int | None = None,
) -> dict[Path, Facts]:
    """Look into many pictures at a time; decoders work outside Python's lock, so threads do.

    Args:
        paths: of the files; one named twice is looked at once.
        progress: called with the number done and of all.
        workers: threads; the number of processors by default.
        max_pixels: as in `decode_image`.
    """
    unique = list(dict.fromkeys(paths))
    found: dict[Path, Facts] = {}
    pool = ThreadPoolExecutor(workers or usable_cores())
    try:
        for done, facts in enumerate(pool.map(lambda path: look_at(path, max_pixels), unique), start=1):
            found[facts.path] = facts
            if progress is not None:
                progress(done, len(unique))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for all pictures
    return found


def look_at(path: Path, max_pixels: int | None = None) -> Facts:
    """Decode one picture and say what it is."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return Facts(path, fault=("picture-missing", error.strerror or "cannot be read"))
    if not data:
        return Facts(path, fault=("picture-empty", "0 bytes"))
    try:
        pixels = decode_image(data, str(path), max_pixels=max_pixels).permute(1, 2, 0).numpy()
    except DataError as error:
        return Facts(path, len(data), fault=(_code(error), _reason(error, path)))
    with opened(data, str(path), max_pixels=_NO_LIMIT) as image:
        alpha = image.has_transparency_data
        return Facts(
            path=path,
            length=len(data),
            format=image.format or "",
            mode=image.mode,
            bits=_bits(image, data),
            size=(image.height, image.width),
            orientation=_orientation(image),
            frames=int(getattr(image, "n_frames", 1)),
            transparent=alpha and bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 255),
            grey_rest=_grey_rest(pixels) if image.format == "JPEG" else 0,
            digest=hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).digest(),
            thumbnail=thumbnail_of(pixels),
        )


def _code(error: DataError) -> str:
    """The code of what stopped the decoder."""
    if error.__cause__ is None:  # not the decoder, but our own rules
        return "picture-bomb" if "too large" in str(error) else "picture-values"
    if "not a picture" in str(error):
        return "picture-unknown"
    return "picture-truncated" if "truncated" in str(error.__cause__) else "picture-damaged"


def _reason(error: DataError, path: Path) -> str:
    """What an error says, without the name and the cure."""
    return str(error).removeprefix(f"{path}: ").partition(". ")[0]


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits a channel as stored; Pillow hides those of 16-bit colour."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (8,))  # pyright: ignore[reportAttributeAccessIssue] -- TIFF has it
        return int(max(bits)) if isinstance(bits, tuple) else int(bits)
    return {"1": 1, "F": 32, "I": 32}.get(image.mode, 16 if image.mode.startswith("I;16") else 8)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block says nothing; decode_image has passed it by
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _grey_rest(pixels: UInt8[np.ndarray, "H W 3"]) -> int:
    """Rows of plain mid-grey at the bottom, where there are none at the top.

    libjpeg fills what it has no data for with zero coefficients, which is 128 in all channels; Pillow takes that for
    a picture as long as the file ends as a JPEG should. A frame of the same grey would stand at the top too.
    """
    if (pixels[0] == _GREY).all() or not (pixels[-_GREY_ROWS:] == _GREY).all():
        return 0
    plain = (pixels == _GREY).all(axis=(1, 2))[::-1]
    return int(plain.argmin()) if not plain.all() else 0


def thumbnail_of(pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "32 32"]:
    """A picture as 32x32 shades of grey, each the mean of what lies there."""
    small = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small.convert("L"))
