"""Whatever a picture is stored as, it decodes to the same pixels; what is no picture says so."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from dsla.data.image import decode_image
from dsla.errors import DataError

ORIENTATION = 0x0112


def smooth(height: int = 24, width: int = 40) -> Image.Image:
    """A picture that JPEG keeps nearly as it is."""
    pixels = np.random.default_rng(3).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def test_path_bytes_pillow_array_and_tensor_agree(tmp_path: Path) -> None:
    image = smooth()
    path = tmp_path / "a.png"
    image.save(path)
    pixels = np.array(image)
    sources = [path, str(path), path.read_bytes(), image, pixels, torch.from_numpy(pixels).permute(2, 0, 1)]
    for source in sources:
        decoded = decode_image(source)
        assert decoded.dtype == torch.uint8
        assert torch.equal(decoded, tensor(image))


MODES = {
    "PNG": ("RGB", "L", "P", "1", "RGBA", "LA"),
    "JPEG": ("RGB", "L", "1", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("RGB", "L", "P", "1", "RGBA"),
    "TIFF": ("RGB", "L", "P", "1", "RGBA", "LA", "CMYK"),
    "GIF": ("RGB", "L", "P", "1"),
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_modes_decode_as_pillow_converts_them(kind: str, mode: str) -> None:
    image = smooth().quantize(16) if mode == "P" else smooth().convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(np.arange(960, dtype=np.uint16).reshape(24, 40).astype(np.uint8)))
    data = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    with Image.open(io.BytesIO(data)) as opened:
        assert torch.equal(decode_image(data), tensor(opened))


def test_cmyk_jpeg_is_near_its_rgb_twin() -> None:
    # Full chroma in both: halving it, as JPEG does to RGB unless told not to, is no matter of decoding.
    twin = decode_image(encoded(smooth(), "JPEG", quality=95, subsampling=0)).int()
    cmyk = decode_image(encoded(smooth().convert("CMYK"), "JPEG", quality=95)).int()
    assert (cmyk - twin).abs().float().mean() < 3


def test_alpha_is_dropped_and_the_colours_beneath_stay() -> None:
    image = smooth()
    clear = image.copy()
    clear.putalpha(0)
    assert torch.equal(decode_image(encoded(clear)), tensor(image))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("widen", [lambda v: v * 257, lambda v: v << 8])
def test_16_bit_grey_is_its_8_bit_twin(kind: str, widen: Any) -> None:
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16)
    twin = decode_image(encoded(Image.fromarray(grey.astype(np.uint8)), kind))
    assert torch.equal(decode_image(encoded(Image.fromarray(widen(grey)), kind)), twin)
    assert torch.equal(decode_image(widen(grey)), twin)
    assert torch.equal(decode_image(torch.from_numpy(widen(grey))), twin)


def test_16_bit_is_not_stretched_to_its_own_range() -> None:
    faint = np.full((8, 8), 3 << 8, dtype=np.uint16)
    assert decode_image(encoded(Image.fromarray(faint))).unique().tolist() == [3]


def test_16_bit_colour_keeps_its_high_bytes() -> None:
    # Pillow writes no 16-bit colour, so the file is put together here.
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), dtype=np.uint16)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 7, 5, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert torch.equal(decode_image(png), decode_image(values))
    assert decode_image(png)[:, 2, 3].tolist() == (values[2, 3] >> 8).tolist()


def test_floats_and_bools_span_the_range() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    twin = decode_image(grey)
    assert torch.equal(decode_image((grey / 255).astype(np.float32)), twin)
    assert torch.equal(decode_image(encoded(Image.fromarray((grey / 255).astype(np.float32)), "TIFF")), twin)
    assert decode_image(grey > 99).unique().tolist() == [0, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_turned_equals_its_upright_twin(kind: str, orientation: int) -> None:
    tag = Image.Exif()
    tag[ORIENTATION] = orientation
    data = encoded(smooth(), kind, exif=tag)
    stored = decode_image(encoded(smooth(), kind))
    assert torch.equal(decode_image(data, exif=False), stored)
    with Image.open(io.BytesIO(data)) as opened:
        assert torch.equal(decode_image(data), tensor(ImageOps.exif_transpose(opened)))
        assert torch.equal(decode_image(opened), decode_image(data))
    turned = orientation >= 5
    assert decode_image(data).shape == ((3, 40, 24) if turned else (3, 24, 40))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_picture_cut_short_is_an_error_not_grey_bars(kind: str, share: float, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"cut\.\w+: the picture is cut short or damaged.*Replace the file"):
        decode_image(path)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_damaged_bytes_never_end_the_process(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(encoded(smooth(), kind))
    place = int(rng.integers(20, len(data) - 20))
    data[place : place + 8] = rng.integers(0, 256, 8, dtype=np.uint8).tobytes()
    try:
        assert decode_image(bytes(data)).shape[0] == 3
    except DataError as error:
        assert "damaged" in str(error) or "not a picture" in str(error) or "too large" in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "not a picture that can be read; the file starts with b'<!DOCTYPE html>"),
        (b"version https://git-lfs.github.com/spec/v1", "not a picture"),
        (b"\xff\xd8\xff\xe0", "cut short or damaged"),
    ],
)
def test_what_is_no_picture_says_what_it_is(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg: ") as error:
        decode_image(path)
    assert message in str(error.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg: no such picture"):
        decode_image(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match="cannot be read"):
        decode_image(tmp_path)


def test_decompression_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    for kind in ("PNG", "JPEG"):
        with pytest.raises(DataError, match=r"bomb: too large .*tiles"):
            decode_image(encoded(smooth(), kind), name="bomb")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5, 7), np.uint8), "no picture"),
        (np.zeros(4, np.uint8), "no picture"),
        (np.zeros((0, 5, 3), np.uint8), "no picture"),
        (np.zeros((4, 5), np.int64), "no kind of pixel"),
        (np.full((4, 5), 255.0), "from 0 to 1"),
        (np.full((4, 5), np.nan), "from 0 to 1"),
    ],
)
def test_arrays_that_are_no_picture(array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode_image(array, name="frame 3")
