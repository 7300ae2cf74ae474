"""What a picture file says of itself before it is decoded, and the limit that is kept before it is."""

import io
import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dsla.data.image import decode_image
from dsla.data.picture_file import Header, pixel_limit, read_header, read_headers, several_pages
from dsla.errors import DataError


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A PNG of side x side black pixels, a thousandth of their size."""
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(1 + side // 8)) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_unfolds():
    data = bomb(16000)
    assert len(data) < 100_000
    tracemalloc.start()
    with pytest.raises(DataError) as error:
        decode_image(data, "bomb.png")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
    assert str(error.value) == (
        "bomb.png: too large to be decoded: 16000x16000 are 256,000,000 pixels, the limit is 178,956,970. Cut it into "
        "tiles or scale it down, or raise the limit (data.max_pixels, --max-pixels)."
    )


def test_the_limit_can_be_lowered_and_raised_beyond_pillows_own(monkeypatch):
    data = bomb(800)
    for limit in (800 * 800, None):
        assert decode_image(data, max_pixels=limit).shape == (3, 800, 800)
    with pytest.raises(DataError, match=r"the limit is 639,999\."):
        decode_image(data, max_pixels=800 * 800 - 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"the limit is 2,000\."):
        decode_image(data)
    assert decode_image(data, max_pixels=800 * 800).shape == (3, 800, 800)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert pixel_limit() is None and decode_image(data).shape == (3, 800, 800)


def test_pillows_own_limit_is_as_before_after_many_threads(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    files = [tmp_path / f"{index}.png" for index in range(60)]
    for file in files:
        Image.new("L", (3, 2)).save(file)
    with ThreadPoolExecutor(8) as pool:
        assert {tuple(image.shape) for image in pool.map(decode_image, files)} == {(3, 2, 3)}
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_header_has_the_upright_size(kind, orientation, tmp_path):
    tag = Image.Exif()
    tag[0x0112] = orientation
    path = tmp_path / "a"
    Image.new("RGB", (5, 3)).save(path, kind, exif=tag)
    height, width = decode_image(path).shape[1:]
    assert read_header(path) == Header((height, width), orientation != 1, "RGB", 1)


def test_an_exif_block_behind_the_pixels_of_a_png_is_found(tmp_path):
    plain, tagged = io.BytesIO(), io.BytesIO()
    tag = Image.Exif()
    tag[0x0112] = 6
    Image.new("RGB", (5, 3)).save(plain, "PNG")
    Image.new("RGB", (5, 3)).save(tagged, "PNG", exif=tag)
    start = tagged.getvalue().index(b"eXIf") - 4
    (length,) = struct.unpack(">I", tagged.getvalue()[start : start + 4])
    block = tagged.getvalue()[start : start + 12 + length]
    late = plain.getvalue()[:-12] + block + plain.getvalue()[-12:]
    path = tmp_path / "late.png"
    path.write_bytes(late)
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
    assert read_header(path).size == (upright.height, upright.width) == (5, 3)


def test_headers_come_in_order_and_errors_in_their_place(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(20)]
    for index, path in enumerate(paths):
        Image.new("L", (index + 1, 2)).save(path)
    paths[7].write_bytes(b"")
    paths[9].unlink()
    found = list(read_headers(paths))
    assert [index for index, each in enumerate(found) if isinstance(each, DataError)] == [7, 9]
    assert all(each.size == (2, index + 1) for index, each in enumerate(found) if isinstance(each, Header))


def test_pages_are_told_of_files_that_can_have_them(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (0, 90)]
    paths: list[Path] = []
    for name in ("stack.tif", "film.gif", "one.tif"):
        paths.append(tmp_path / name)
        more = frames[1:] if name != "one.tif" else []
        frames[0].save(paths[-1], save_all=True, append_images=more)
    assert several_pages(paths) == (f"2 pictures have several pages; the first page is used (first {paths[0]}).",)
    assert several_pages(paths[2:]) == ()
    assert decode_image(paths[0]).max() == 0


def test_a_grey_tiff_that_counts_from_white_is_turned_round_with_16_bits_too(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    for values, name in ((255 - grey, "8"), (65535 - grey.astype(np.uint16) * 257, "16")):
        Image.fromarray(values).save(tmp_path / name, "TIFF", tiffinfo={262: 0})
    wide, narrow = decode_image(tmp_path / "16"), decode_image(tmp_path / "8")
    assert wide[0].tolist() == grey.tolist()
    assert narrow[0].tolist() in (grey.tolist(), (255 - grey).tolist())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.array([[0.0, 4095.0]], np.float32),
            r"from 0 to 1, these lie from 0 to 4095\. Divide by the greatest possible",
        ),
        (np.array([[-5, 70000]], np.int32), r"32-bit values from -5 to 70000, beyond 0 to 65535"),
    ],
)
def test_values_that_no_rule_covers_are_told_with_their_range(array, message, tmp_path):
    Image.fromarray(array).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=rf"a\.tif: .*{message}"):
        decode_image(tmp_path / "a.tif")
