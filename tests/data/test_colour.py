"""Colours in one pass: torchvision's three functions one after another, but for what these round and cut between."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from dsla.data.colour import recolour


def noise(height: int = 40, width: int = 50, low: int = 60, high: int = 180) -> torch.Tensor:
    return (
        torch.randint(low, high, (height, width, 3), generator=torch.Generator().manual_seed(3)).byte().permute(2, 0, 1)
    )


@pytest.mark.parametrize("factors", [(1.2, 1.0, 1.0), (1.0, 0.8, 1.0), (1.0, 1.0, 1.3), (0.9, 1.15, 0.7)])
def test_it_is_what_torchvision_does_within_rounding(factors: tuple[float, float, float]) -> None:
    image = noise()  # far enough from black and white that nothing is cut
    brightness, contrast, saturation = factors
    expected = F.adjust_saturation(
        F.adjust_contrast(F.adjust_brightness(image, brightness), contrast), saturation
    )  # fmt: skip
    # Each of the three rounds down.
    assert int((recolour(image, *factors).int() - expected.int()).abs().max()) <= 3
    assert abs(float((recolour(image, *factors).float() - expected.float()).mean())) < 2


@pytest.mark.parametrize("factors", [(1.2, 1.0, 1.0), (0.6, 1.6, 0.3), (1.4, 1.3, 1.5)])
def test_it_is_the_formula_of_its_module(factors: tuple[float, float, float]) -> None:
    pixels = noise(low=0, high=256).permute(1, 2, 0).numpy().astype(np.float64)  # black and white are cut
    brightness, contrast, saturation = factors
    grey = pixels @ (0.2989, 0.587, 0.114)
    blend = brightness * contrast * (saturation * pixels + (1 - saturation) * grey[..., None])
    expected = np.clip(np.floor(blend + (1 - contrast) * brightness * grey.mean() + 0.5), 0, 255)
    difference = np.abs(recolour(noise(low=0, high=256), *factors).permute(1, 2, 0).numpy() - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3  # halves, by floats of 32 bits


def test_factors_of_one_change_nothing_and_the_picture_stays() -> None:
    image = noise(low=0, high=256)
    before = image.clone()
    assert torch.equal(recolour(image), image)
    changed = recolour(image, 1.3, 0.8, 0.6)
    assert torch.equal(image, before) and not torch.equal(changed, image)
    assert changed.is_contiguous()


def test_without_saturation_all_is_grey_and_without_contrast_flat() -> None:
    grey = recolour(noise(), saturation=0.0)
    assert torch.equal(grey[0], grey[1]) and torch.equal(grey[0], grey[2])
    flat = recolour(noise(), contrast=0.0)
    assert flat.unique().numel() == 1


def test_the_number_of_threads_changes_no_pixel() -> None:
    image, threads = noise(700, 900, 0, 256), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = recolour(image, 1.1, 0.9, 1.2)
        torch.set_num_threads(4)
        assert torch.equal(recolour(image, 1.1, 0.9, 1.2), one)
    finally:
        torch.set_num_threads(threads)
