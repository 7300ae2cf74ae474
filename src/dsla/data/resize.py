"""Bring a picture, or a window of it, to the network's size in one resampling, and its boxes with it.

Letters: G boxes, H and W height and width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from dsla.data.pillow_memory import with_padding
from dsla.data.sample import Sample
from dsla.errors import ConfigError

# What is left of a box whose centre lies in the corner of the crop: SSD's rule (keep where the centre stays)
# with its limit expressed as area, so that it also holds for objects larger than the crop.
KEEP_SHARE = 0.25
# A box thinner than this, in the network's pixels, shows nothing that could be learned.
MIN_SIDE = 1.0
_LARGE, _BAND = 2**20, 2**18  # pixels


class Window(NamedTuple):
    """A rectangle of whole pixels of a picture."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Resize:
    """Scale up or down keeping the ratio, by the rule of detectron2 and mmdet.

    Without `short` the long side becomes `long`. With it the short side becomes `short`, unless the long side
    would then exceed `long`: (1333, 800) is the usual pair for COCO.
    """

    long: int = 320
    short: int | None = None

    def __post_init__(self) -> None:
        if self.long < 32 or (self.short is not None and not 32 <= self.short <= self.long):
            raise ConfigError(f"resize: long={self.long}, short={self.short}; need 32 <= short <= long")

    def target(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (h, w) that a picture of `size` (h, w) is brought to."""
        factor = self.long / max(size)
        if self.short is not None:
            factor = min(factor, self.short / min(size))
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))

    def __call__(self, sample: Sample) -> Sample:
        """Resize a whole sample."""
        return resample(sample, Window(0, 0, *sample.size), self.target(sample.size))


def several_sizes(resize: Resize, shorter: Sequence[int]) -> list[Resize]:
    """The sizes that training draws from: one for each shortest side, or `resize` where there are none.

    Raises:
        ConfigError: if one of them is longer than the longest side.
    """
    return [replace(resize, short=short) for short in shorter] or [resize]


def one_of(sizes: Sequence[Resize], rng: np.random.Generator) -> Resize:
    """Draw a size; where there is but one nothing is drawn, so that what is drawn after it stays as it is."""
    return sizes[int(rng.integers(len(sizes)))] if len(sizes) > 1 else sizes[0]


def resample(sample: Sample, window: Window, size: tuple[int, int]) -> Sample:
    """Cut a window out of a sample and bring it to `size` (h, w), boxes by `cut_boxes`."""
    image = sample.image[:, window.top : window.top + window.height, window.left : window.left + window.width]
    if image.shape[1:] != size:
        image = resized(image, size)
    sy, sx = size[0] / window.height, size[1] / window.width
    boxes = sample.boxes - sample.boxes.new_tensor([window.left, window.top] * 2)
    boxes, ignore, seen = cut_boxes(boxes * boxes.new_tensor([sx, sy, sx, sy]), sample.ignore, size)
    labels = sample.labels
    if not bool(seen.all()):
        boxes, labels, ignore = boxes[seen], labels[seen], ignore[seen]
    return replace(
        sample,
        image=image,
        boxes=boxes,
        labels=labels,
        ignore=ignore,
        scale=(sample.scale[0] * sy, sample.scale[1] * sx),
    )


def resized(image: UInt8[Tensor, "3 H W"], size: tuple[int, int]) -> UInt8[Tensor, "3 h w"]:
    """Bring a picture to `size` (h, w), bytes with antialiasing.

    torch resizes across, then down, and copies what does not lie in one piece before it does. Done across in bands of
    rows, the same bytes come out, and a window of a large picture is not in memory twice.
    """
    pixels = with_padding(image)
    if pixels is None:
        return F.resize(image, list(size), antialias=True)
    if pixels[0].numel() > _LARGE and not pixels.permute(1, 2, 0).is_contiguous():
        rows = max(1, _BAND // pixels.shape[2])
        across = pixels.new_empty(pixels.shape[1], size[1], len(pixels)).permute(2, 0, 1)
        for source, target in zip(pixels.split(rows, dim=1), across.split(rows, dim=1), strict=True):
            target.copy_(F.resize(source, [source.shape[1], size[1]], antialias=True))
        pixels = across
    return F.resize(pixels, list(size), antialias=True)[:3]


def cut_boxes(
    boxes: Float32[Tensor, "G 4"], ignore: Bool[Tensor, " G"], size: tuple[int, int]
) -> tuple[Float32[Tensor, "G 4"], Bool[Tensor, " G"], Bool[Tensor, " G"]]:
    """Clip boxes to a picture of `size` (h, w).

    A box of which less than `KEEP_SHARE` of the area is left, or whose rest is thinner than `MIN_SIDE`,
    becomes an ignore region: the rest of a cut object is neither an object to find nor background. A box that
    lies wholly outside is not seen.

    Returns:
        Clipped boxes, their ignore flags, and which are seen at all, (G,) each.
    """
    limit = boxes.new_tensor([size[1], size[0]] * 2)
    clipped = torch.minimum(boxes.clamp(min=0), limit)
    sides = clipped[:, 2:] - clipped[:, :2]
    whole = boxes[:, 2:] - boxes[:, :2]
    lost = sides[:, 0] * sides[:, 1] < KEEP_SHARE * (whole[:, 0] * whole[:, 1])
    least = sides.amin(dim=1)
    return clipped, ignore | lost | (least < MIN_SIDE), least > 0
