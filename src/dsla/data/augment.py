"""Random views of a sample for training: IoU crop, scale jitter, flips, colours.

Geometry is composed first, as a window of the decoded picture and the size it is brought to, and the picture
is resampled once. All randomness comes from the generator passed in; nothing reads or moves a global one.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.ops import box_iou
from torchvision.transforms.v2 import functional as F

from dsla.data.colour import recolour
from dsla.data.malloc_memory import empty
from dsla.data.resize import Resize, Window, resample
from dsla.data.sample import Sample
from dsla.errors import ConfigError

# Canvas around a picture that was made smaller. With the usual means (127.5, or ImageNet's 124, 116, 104) it
# is near 0 after normalisation, which is what the padding of a batch is made.
FILL = 128
_CROP_OVERLAPS = (0.1, 0.3, 0.5, 0.7, 0.9)
_CROP_TRIALS = 40


@dataclass(frozen=True)
class Augment:
    """How training pictures vary; chances from 0 to 1.

    Attributes:
        flip, flip_vertical: chance of a mirror image, left to right and top to bottom.
        scale: range of the factor on the resized picture, drawn evenly on a log scale. The canvas stays that
            of the resized picture: a smaller picture lies at a random place on it, a larger one is cropped to
            it.
        brightness, contrast, saturation: factor drawn from 1 - x to 1 + x.
        hue: shift drawn from -x to x, as a share of the circle, at most 0.5. It costs more than all else
            together.
        iou_crop: chance of SSD's random crop, in which some box keeps a least overlap with the crop.
        mosaic: chance that a sample is made of four pictures.
        mosaic_off_epochs: last epochs without mosaic, so that training ends on pictures as they are.
    """

    flip: float = 0.5
    flip_vertical: float = 0.0
    scale: tuple[float, float] = (0.7, 1.4)
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.0
    iou_crop: float = 0.0
    mosaic: float = 0.0
    mosaic_off_epochs: int = 0

    def __post_init__(self) -> None:
        for name in ("flip", "flip_vertical", "brightness", "contrast", "saturation", "iou_crop", "mosaic"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augment.{name}: {getattr(self, name)} is not between 0 and 1")
        if not 0 <= self.hue <= 0.5:
            raise ConfigError(f"augment.hue: {self.hue} is not between 0 and 0.5")
        if not 0.1 <= self.scale[0] <= self.scale[1] <= 10:
            raise ConfigError(f"augment.scale: {self.scale} is no range of factors from 0.1 to 10")
        if self.mosaic_off_epochs < 0:
            raise ConfigError(f"augment.mosaic_off_epochs: {self.mosaic_off_epochs} is below 0")

    def __call__(self, sample: Sample, resize: Resize, rng: np.random.Generator) -> Sample:
        """A random view of one sample, on the canvas that `resize` gives it."""
        window = Window(0, 0, *sample.size)
        if rng.random() < self.iou_crop:
            window = iou_crop(sample, rng)
        canvas = resize.target((window.height, window.width))
        factor = draw_factor(self.scale, rng)
        if factor >= 1:
            window = draw_window(window, round(window.height / factor), round(window.width / factor), rng)
            sample = self.recolour(resample(sample, window, canvas), rng)
        else:
            size = max(1, round(canvas[0] * factor)), max(1, round(canvas[1] * factor))
            place = draw_window(Window(0, 0, *canvas), *size, rng)
            sample = paste([(self.recolour(resample(sample, window, size), rng), place)], canvas)
        return self.mirror(sample, rng)

    def recolour(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Jitter brightness, contrast, saturation and hue."""
        reaches = {"brightness": self.brightness, "contrast": self.contrast, "saturation": self.saturation}
        factors = {name: _between(1 - reach, 1 + reach, rng) for name, reach in reaches.items() if reach}
        image = recolour(sample.image, **factors) if factors else sample.image
        if self.hue:
            image = F.adjust_hue(image, rng.uniform(-self.hue, self.hue))
        return replace(sample, image=image)

    def mirror(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Flip with the chances given."""
        if rng.random() < self.flip:
            sample = flip_horizontal(sample)
        if rng.random() < self.flip_vertical:
            sample = flip_vertical(sample)
        return sample


def flip_horizontal(sample: Sample) -> Sample:
    """The mirror image: x becomes W - x."""
    x1, y1, x2, y2 = sample.boxes.unbind(1)
    width = sample.size[1]
    return replace(sample, image=sample.image.flip(2), boxes=torch.stack([width - x2, y1, width - x1, y2], dim=1))


def flip_vertical(sample: Sample) -> Sample:
    """The picture upside down: y becomes H - y."""
    x1, y1, x2, y2 = sample.boxes.unbind(1)
    height = sample.size[0]
    return replace(sample, image=sample.image.flip(1), boxes=torch.stack([x1, height - y2, x2, height - y1], dim=1))


def draw_factor(scale: tuple[float, float], rng: np.random.Generator) -> float:
    """A factor from a range, evenly on a log scale: 1/2 is as far from 1 as 2 is."""
    return math.exp(_between(math.log(scale[0]), math.log(scale[1]), rng))


def _between(low: float, high: float, rng: np.random.Generator) -> float:
    """What `rng.uniform(low, high)` draws, without the time that it takes to set up for arrays."""
    return low + (high - low) * rng.random()


def draw_window(within: Window, height: int, width: int, rng: np.random.Generator) -> Window:
    """A window of the given size, cut to what there is, at a random place within another."""
    height, width = (
        min(max(height, 1), within.height),
        min(max(width, 1), within.width),
    )
    top = within.top + int(rng.integers(within.height - height + 1))
    left = within.left + int(rng.integers(within.width - width + 1))
    return Window(top, left, height, width)


def paste(parts: list[tuple[Sample, Window]], canvas: tuple[int, int]) -> Sample:
    """One sample from parts placed on a canvas (h, w); each window has its part's size, the first part names
    it."""
    image: UInt8[Tensor, "3 H W"] = empty(3, *canvas).fill_(FILL)
    boxes: list[Tensor] = []
    for part, place in parts:
        image[:, place.top : place.top + place.height, place.left : place.left + place.width] = part.image
        boxes.append(part.boxes + part.boxes.new_tensor([place.left, place.top] * 2))
    return replace(
        parts[0][0],
        image=image,
        boxes=torch.cat(boxes),
        labels=torch.cat([part.labels for part, _ in parts]),
        ignore=torch.cat([part.ignore for part, _ in parts]),
    )


def iou_crop(sample: Sample, rng: np.random.Generator) -> Window:
    """A random window of 0.3 to 1 of each side that overlaps some box well and keeps a box's centre.

    Source: SSD (Liu et al. 2016, section 2.2). torchvision's RandomIoUCrop does the same from the global
    generator, which would tie a sample's randomness to what other samples drew before it.
    """
    height, width = sample.size
    whole = Window(0, 0, height, width)
    boxes = sample.boxes[~sample.ignore]
    if not len(boxes):
        return whole
    least = torch.from_numpy(rng.choice(_CROP_OVERLAPS, _CROP_TRIALS))
    sides = rng.uniform(0.3, 1.0, (_CROP_TRIALS, 2))
    hw: np.ndarray[Any, Any] = np.maximum(np.rint(sides * (height, width)), 1)
    top_left = np.floor(rng.random((_CROP_TRIALS, 2)) * ((height, width) - hw + 1))
    corners = np.concatenate([top_left, top_left + hw], axis=1)[:, [1, 0, 3, 2]]
    crops = torch.from_numpy(corners).to(boxes.dtype)  # (trials, 4) xyxy
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = ((centres > crops[:, None, :2]) & (centres < crops[:, None, 2:])).all(dim=2)  # (trials, G)
    ratio = sides[:, 0] / sides[:, 1]
    shaped = torch.from_numpy((ratio >= 0.5) & (ratio <= 2))
    good = inside.any(dim=1) & (box_iou(crops, boxes).amax(dim=1) >= least) & shaped
    if not good.any():
        return whole
    first = int(good.nonzero()[0])
    return Window(int(top_left[first, 0]), int(top_left[first, 1]), int(hw[first, 0]), int(hw[first, 1]))
