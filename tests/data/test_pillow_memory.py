"""Pixels are lent, not copied: the same ones, alive as long as they are needed, and resized alike."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as F

from dsla.data import pillow_memory, resize
from dsla.data.image import decode_image
from dsla.data.pillow_memory import in_one_piece, pixels_of, with_padding
from dsla.data.resize import Window, resample
from dsla.data.sample import Sample


def picture(height: int = 37, width: int = 53) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.skipif(not hasattr(Image.Image, "__arrow_c_array__"), reason="Pillow before 11.2")
def test_pixels_outlive_their_picture() -> None:
    image = picture()
    expected = F.pil_to_tensor(image)
    kept = [pixels_of(image.copy()) for _ in range(50)]
    del image
    gc.collect()
    again = [picture(80, 90).tobytes() for _ in range(50)]  # would take the memory if it were free
    assert all(pixels is not None and torch.equal(pixels, expected) for pixels in kept) and len(again) == 50


@pytest.mark.parametrize("window", [(0, 0, 37, 53), (5, 9, 20, 30), (36, 0, 1, 53), (3, 52, 34, 1)])
def test_the_fourth_byte_changes_no_resized_pixel(window: tuple[int, int, int, int]) -> None:
    image = picture()
    lent, copied = pixels_of(image), F.pil_to_tensor(image)
    assert lent is not None
    top, left, height, width = window
    part = with_padding(lent[:, top : top + height, left : left + width])
    assert part is not None and part.shape == (4, height, width)

    def resized(pixels: torch.Tensor) -> torch.Tensor:
        empty = torch.zeros(0)
        sample = Sample(pixels, torch.zeros(0, 4), empty.long(), empty.bool(), 0, "", (37, 53))
        return resample(sample, Window(*window), (24, 40)).image

    assert torch.equal(resized(lent), resized(copied))


def test_other_pictures_have_no_fourth_byte() -> None:
    assert with_padding(torch.zeros(3, 5, 6, dtype=torch.uint8)) is None
    assert with_padding(F.pil_to_tensor(picture())) is None
    assert with_padding(torch.zeros(0, 6, 4, dtype=torch.uint8).permute(2, 0, 1)[:3]) is None
    assert pixels_of(picture().convert("L")) is None


def test_files_of_every_size_decode_alike_with_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The last one is more than a block of Pillow's memory, which it would decode into several pieces.
    for number, size in enumerate([(1, 1), (37, 53), (2100, 2300)]):
        picture(*size).save(tmp_path / f"{number}.png", compress_level=0)
    lent = [decode_image(path) for path in sorted(tmp_path.iterdir())]
    monkeypatch.setattr("dsla.data.image.pixels_of", lambda image: None)
    assert all(torch.equal(a, decode_image(path)) for a, path in zip(lent, sorted(tmp_path.iterdir()), strict=True))


def test_a_large_file_is_lent_in_one_piece_and_pillow_left_as_it_was(tmp_path: Path) -> None:
    picture(2100, 2300).save(tmp_path / "large.png", compress_level=0)
    pixels = decode_image(tmp_path / "large.png")
    assert with_padding(pixels) is not None  # Pillow's own memory: copied pixels have no fourth byte
    settings: Any = Image.core
    assert settings.get_use_block_allocator() == 0


def test_threads_that_cross_leave_pillow_as_it_was() -> None:
    settings: Any = Image.core
    large = Image.new("RGB", (2300, 2100))
    first, second = in_one_piece(large), in_one_piece(large)
    for step, expected in [
        (first.__enter__, 1),
        (second.__enter__, 1),
        (lambda: first.__exit__(None, None, None), 1),
        (lambda: second.__exit__(None, None, None), 0),
    ]:
        step()
        assert settings.get_use_block_allocator() == expected
    with in_one_piece(Image.new("RGB", (640, 480))):
        assert settings.get_use_block_allocator() == 0


@pytest.mark.parametrize("band", [500, 2**17])
def test_a_lent_picture_is_resized_to_the_bytes_of_torch(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resize, "_BAND", band)
    lent = pixels_of(picture(90, 70))
    assert lent is not None
    for top, left, height, width in [(0, 0, 90, 70), (0, 3, 90, 60), (7, 0, 80, 70), (50, 30, 40, 40), (89, 0, 1, 70)]:
        window = lent[:, top : top + height, left : left + width]
        for size in [(24, 40), (120, 31), (height, 50), (33, width), (101, 99)]:
            expected = interpolate(window[None].contiguous(), size, mode="bilinear", antialias=True)[0]
            assert torch.equal(resize.resized(window, size), expected)


def test_a_picture_of_the_caller_is_copied() -> None:
    image = picture()
    pixels = decode_image(image)
    before = pixels.clone()
    image.putpixel((0, 0), (1, 2, 3))
    assert torch.equal(pixels, before)


def test_a_pillow_that_lends_nothing_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pillow_memory.pixels_of(Image.new("L", (3, 3))) is None
    monkeypatch.delattr(Image.Image, "__arrow_c_array__", raising=False)
    assert pixels_of(picture()) is None
