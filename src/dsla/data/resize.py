"""Bring a picture, or a window of it, to the network's size in one resampling, and its boxes with it.

Letters: G boxes, H and W height and width.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from dsla.data.malloc_memory import empty
from dsla.data.pillow_memory import with_padding
from dsla.data.sample import Sample
from dsla.errors import ConfigError

# What is left of a box whose centre lies in the corner of the crop: SSD's rule (keep where the centre stays)
# with its limit expressed as area, so that it also holds for objects larger than the crop.
KEEP_SHARE = 0.25
# A box thinner than this, in the network's pixels, shows nothing that could be learned.
MIN_SIDE = 1.0
_BAND = 2**17  # pixels
_BYTES = 4  # a pixel
_SHIFTS = (0, 8, 16) if sys.byteorder == "little" else (24, 16, 8)  # of red, green and blue in a pixel


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

    torch resizes across, then down, and copies what does not lie in one piece before it does. The two are done one by
    one here: the same bytes come out, and a window of a large picture is not in memory twice.
    """
    padded = with_padding(image)
    if padded is None:
        # Only with the strides of a true batch does torch keep to the picture's order of memory.
        pictures = image.permute(1, 2, 0)[None].permute(0, 3, 1, 2)
        return F.interpolate(pictures, size, mode="bilinear", antialias=True)[0]
    down = empty(*size, _BYTES)
    _stretch(_across(padded.permute(1, 2, 0), size[1]), down)
    return _planes(down)


def _across(pixels: UInt8[Tensor, "H W 4"], width: int) -> UInt8[Tensor, "H w 4"]:
    """Resize across, in bands of rows where the picture is a window of another."""
    across = empty(pixels.shape[0], width, _BYTES)
    rows = max(1, pixels.shape[0] if pixels.is_contiguous() else _BAND // pixels.shape[1])
    for source, target in zip(pixels.split(rows), across.split(rows), strict=True):
        _stretch(source if source.is_contiguous() else empty(*source.shape).copy_(source), target)
    return across


def _stretch(pixels: UInt8[Tensor, "H W 4"], target: UInt8[Tensor, "h w 4"]) -> None:
    """Resize into memory that is there, as no public function of torch does."""
    source, out = (each.permute(2, 0, 1)[None] for each in (pixels, target))
    torch.ops.aten._upsample_bilinear2d_aa.out(source, target.shape[:2], False, out=out)


def _planes(pixels: UInt8[Tensor, "h w 4"]) -> UInt8[Tensor, "3 h w"]:
    """The channels one after another, taken out of whole pixels, which is faster than byte by byte."""
    whole = pixels.view(torch.int32)[..., 0]
    work = empty(*whole.shape, dtype=np.int32)
    planes = empty(3, *whole.shape)
    for plane, shift in zip(planes, _SHIFTS, strict=True):
        plane.copy_(torch.bitwise_right_shift(whole, shift, out=work))
    return planes


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
