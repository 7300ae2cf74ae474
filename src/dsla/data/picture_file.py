"""Opening picture files: a limit on their size, what the header says without decoding, and what is wrong with a file.

Nothing is decoded before the limit is checked, so a few kilobytes that unfold to gigabytes ("decompression bombs") cost
nothing but the message.
"""

import io
import struct
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from PIL import Image, UnidentifiedImageError

from dsla.errors import DataError

SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")
)
_SIGNATURES = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_PAGED = ("TIFF", "GIF", "WEBP", "PNG")  # a telephone's MPO also has several pictures, of one view
_PAGED_SUFFIXES = (".tif", ".tiff", ".gif")
_TIFF = (b"II", b"MM")
_REPLACE = "Replace the file, or take it out of the data set."
_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
_THREADS = 8
_Stream: TypeAlias = io.BytesIO | io.BufferedReader
_PILLOW = threading.Lock()


@dataclass(frozen=True)
class Header:
    """What a picture file says of itself without being decoded.

    Attributes:
        size: (h, w) upright, after EXIF orientation.
        turned: whether its EXIF orientation is other than upright.
        mode: Pillow's name of the kind of pixels, such as "RGB", "I;16" or "CMYK".
        pages: pictures in the file; the first one counts.
    """

    size: tuple[int, int]
    turned: bool
    mode: str
    pages: int


def pixel_limit() -> int | None:
    """The most pixels that are decoded unless told otherwise: as many as Pillow refuses by itself, 179 million."""
    return None if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS


@contextmanager
def opened(source: Path | bytes, name: str, max_pixels: int | None = None) -> Generator[Image.Image]:
    """A picture file, open and not decoded yet; whatever goes wrong while it is open is told in our words.

    Args:
        source: path or encoded bytes.
        name: what to call it in errors.
        max_pixels: the most pixels that are decoded; None for `pixel_limit()`.

    Raises:
        DataError: missing, empty, cut short, damaged, not a picture, or larger than the limit.
    """
    with _stream(source, name) as stream:
        start = stream.read(16)
        stream.seek(0)
        if not start:
            raise DataError(f"{name}: the file is empty (0 bytes). {_REPLACE}")
        try:
            with _open(stream) as image:
                _check_size(image, name, pixel_limit() if max_pixels is None else max_pixels)
                yield image
        except DataError:
            raise
        except UnidentifiedImageError as error:
            raise DataError(f"{name}: {_unknown(start)}. {_REPLACE}") from error
        except Exception as error:  # decoders raise nearly anything on damaged bytes
            reason = (str(error).splitlines() or [type(error).__name__])[0][-120:]
            raise DataError(f"{name}: the picture is cut short or damaged ({reason}). {_REPLACE}") from error


def read_header(path: Path) -> Header:
    """Size, orientation, mode and pages of a picture file; no limit on its size.

    Raises:
        DataError: as `opened`.
    """
    with _stream(path, str(path)) as late_or_not:
        late = late_or_not.read(8) == b"\x89PNG\r\n\x1a\n" and _late_chunks(late_or_not)
    with opened(path, str(path), max_pixels=2**62) as image:
        # PNG files are decoded to the end for an EXIF block behind the pixels, which hardly any has.
        exif = image.getexif() if image.format != "PNG" or late or _early_exif(image) else {}
        turned = exif.get(_ORIENTATION, 1) in range(2, 9)
        sideways = exif.get(_ORIENTATION, 1) in range(5, 9)
        width, height = _stored_size(image)
        size = (width, height) if sideways else (height, width)
        pages: int = getattr(image, "n_frames", 1) if image.format in _PAGED else 1
        return Header(size, turned, image.mode, pages)


def read_headers(paths: Iterable[Path]) -> Iterator["Header | DataError"]:
    """The header of each picture, or why it cannot be read, in order; files are opened in parallel."""
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(_header_or_error, paths)


def several_pages(paths: Iterable[Path]) -> tuple[str, ...]:
    """A note where files have several pages or frames, of which the first counts; only kinds that can are opened."""
    paged = [path for path in paths if path.suffix.lower() in _PAGED_SUFFIXES]
    several = [
        path
        for path, header in zip(paged, read_headers(paged), strict=True)
        if isinstance(header, Header) and header.pages > 1
    ]
    if not several:
        return ()
    what = "picture has" if len(several) == 1 else "pictures have"
    return (f"{len(several)} {what} several pages; the first page is used (first {several[0]}).",)


def _header_or_error(path: Path) -> "Header | DataError":
    try:
        return read_header(path)
    except DataError as error:
        return error


@contextmanager
def _stream(source: Path | bytes, name: str) -> Generator[_Stream]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        file = source.open("rb")
    except FileNotFoundError:
        raise DataError(f"{name}: no such picture. Check the path.") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check that it is a readable file.") from error
    with file:
        yield file


def _open(stream: _Stream) -> Image.Image:
    """Pillow's `open` without its own limit, which is one number for the whole process; ours is checked instead."""
    with _PILLOW:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(stream)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(image: Image.Image, name: str, limit: int | None) -> None:
    pixels = image.width * image.height
    if limit is not None and pixels > limit:
        raise DataError(
            f"{name}: too large to be decoded: {image.width}x{image.height} are {pixels:,} pixels, the limit is "
            f"{limit:,}. Cut it into tiles or scale it down, or raise the limit (data.max_pixels, --max-pixels)."
        )


def _unknown(start: bytes) -> str:
    if not start.startswith(_SIGNATURES):
        return f"not a picture that can be read; the file starts with {start!r}"
    if start.startswith(_TIFF):
        return "the picture is cut short or damaged, or a kind of TIFF that cannot be read (save it as 8 or 16 bits)"
    return "the picture is cut short or damaged"


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height before EXIF orientation, which newer versions of Pillow already have in the size of a TIFF."""
    tags: dict[int, int] = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    return tags.get(_WIDTH, image.width), tags.get(_HEIGHT, image.height)


def _early_exif(image: Image.Image) -> bool:
    return any(key in image.info for key in ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"))


def _late_chunks(stream: _Stream) -> bool:
    """Whether a PNG file has something else behind its pixels, by the types of its chunks alone."""
    pixels = False
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return False
        if pixels and kind != b"IDAT":
            return True
        pixels = pixels or kind == b"IDAT"
        stream.seek(length + 4, io.SEEK_CUR)
    return False
