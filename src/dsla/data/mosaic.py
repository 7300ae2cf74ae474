"""Mosaic: one training picture of four, so that a small batch holds many objects in strange company.

The idea is YOLOv4's (Bochkovskiy et al. 2020). There a canvas of twice the size is made and cut down; here
the four quadrants of the final canvas are filled directly, each by a window of its picture, so no pixel is
made in vain.
"""

from collections.abc import Sequence

import numpy as np

from dsla.data.augment import Augment, draw_factor, draw_window, paste
from dsla.data.resize import Resize, Window, resample
from dsla.data.sample import Sample

# The common corner of the quadrants, as a share of each side.
_CENTRE = (0.3, 0.7)


def mosaic(samples: Sequence[Sample], augment: Augment, resize: Resize, rng: np.random.Generator) -> Sample:
    """Fill the canvas of the first sample with windows of four.

    Each picture is brought to a factor of its resized self between half the least and the greatest of
    `augment.scale`, or to what fills its quadrant where that is more; colours and flips are each picture's
    own.
    """
    height, width = canvas = resize.target(samples[0].size)
    y, x = (min(max(1, round(side * rng.uniform(*_CENTRE))), max(1, side - 1)) for side in canvas)
    quadrants = (
        Window(0, 0, y, x),
        Window(0, x, y, width - x),
        Window(y, 0, height - y, x),
        Window(y, x, height - y, width - x),
    )
    parts: list[tuple[Sample, Window]] = []
    for sample, place in zip(samples, quadrants, strict=True):
        if place.height and place.width:  # a canvas of one pixel has no four quadrants
            parts.append((_fill(sample, place, augment, resize, rng), place))
    return paste(parts, canvas)


def _fill(sample: Sample, place: Window, augment: Augment, resize: Resize, rng: np.random.Generator) -> Sample:
    height, width = sample.size
    factor = draw_factor((augment.scale[0] / 2, augment.scale[1]), rng)
    factor *= resize.target(sample.size)[0] / height
    factor = max(factor, place.height / height, place.width / width)
    window = draw_window(Window(0, 0, height, width), round(place.height / factor), round(place.width / factor), rng)
    part = resample(sample, window, (place.height, place.width))
    return augment.mirror(augment.recolour(part, rng), rng)
