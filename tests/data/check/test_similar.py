"""Near-duplicates: found however they were saved again, and different pictures are none."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from plain_sets import picture

from dsla.data.check.facts import thumbnail_of
from dsla.data.check.similar import MOST_BITS, near_pairs, signs
from dsla.data.scenes import Scenes

ALTERED = {
    "smaller": lambda image: image.resize((100, 75)),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "mirrored": ImageOps.mirror,
    "cropped": lambda image: image.crop((3, 2, 157, 118)),
}


def thumbnails(images: list[Image.Image]) -> np.ndarray:
    return np.stack([thumbnail_of(np.asarray(image)) for image in images])


@pytest.mark.parametrize("alter", ALTERED)
def test_an_altered_copy_is_found_among_others(alter: str) -> None:
    images = [picture(seed, (160, 120)) for seed in range(40)]
    pairs, correlation, mirrored = near_pairs(thumbnails([*images, ALTERED[alter](images[7])]))
    assert pairs.tolist() == [[7, 40]]
    assert 0.9 <= correlation[0] <= 1.0001 and mirrored.tolist() == [alter == "mirrored"]


def test_pictures_of_one_kind_are_not_taken_for_each_other() -> None:
    scenes = Scenes(count=40, seed=0, size=64)
    assert (
        len(
            near_pairs(
                thumbnails([Image.fromarray(scenes.sample(i).image.permute(1, 2, 0).numpy()) for i in range(40)])
            )[0]
        )
        == 0
    )


def test_pictures_of_one_shade_are_like_no_other() -> None:
    assert len(near_pairs(np.full((5, 32, 32), 90, dtype=np.uint8))[0]) == 0


def test_the_product_of_signs_counts_bits_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a comparison of all pairs, bit by bit."""
    from dsla.data.check import similar

    monkeypatch.setattr(similar, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    some = rng.integers(0, 256, (6, 32, 32)).astype(float)
    mixed = np.stack([some[i % 6] + rng.normal(0, 25 * (i // 6), (32, 32)) for i in range(30)])
    hashes = signs(mixed.clip(0, 255).astype(np.uint8))
    slow = [[a, b] for a in range(30) for b in range(a + 1, 30) if (hashes[a] != hashes[b]).sum() <= MOST_BITS]
    assert similar._close(hashes, hashes).tolist() == slow and len(slow) > 10
