"""Random pyramids with boxes and predictions, drawn by hypothesis, as tensors and as plain numbers.

Coordinates are multiples of a quarter pixel, so that sums and differences are exact in float32 and a point
that lies on an edge does so in both forms.
"""

from dataclasses import dataclass

import slow_dsla
import torch
from hypothesis import strategies as st

from dsla.assign import Predictions
from dsla.geometry import GroundTruth, Points

STRIDES = [(8, 16, 32, 64, 128), (8, 16, 32), (4, 8), (16,)]


@dataclass
class Scene:
    sizes: tuple
    strides: tuple
    offset: float
    boxes: list
    images: int
    seed: int

    @property
    def points(self):
        return Points.lattice(self.sizes, self.strides, self.offset)

    @property
    def truth(self):
        return GroundTruth(
            torch.tensor([[b.x1, b.y1, b.x2, b.y2] for b in self.boxes], dtype=torch.float32).reshape(-1, 4),
            torch.tensor([b.label for b in self.boxes], dtype=torch.int64),
            torch.tensor([b.image for b in self.boxes], dtype=torch.int64),
            torch.tensor([b.ignore for b in self.boxes], dtype=torch.bool),
            self.images,
        )

    @property
    def predictions(self):
        generator = torch.Generator().manual_seed(self.seed)
        count = len(self.points)
        logits = torch.randn(self.images, count, 3, generator=generator)
        return Predictions(logits, torch.rand(self.images, count, 4, generator=generator) * 60)


def boxes_in(width, height, image, ignored):
    quarter = st.integers(-80, 4 * max(width, height) + 80)
    side = st.one_of(st.integers(0, 80), st.integers(0, 1600))
    cell = st.integers(0, max(width, height) // 8).map(lambda i: 32 * i)
    corner = st.one_of(quarter, cell)

    def make(x, y, w, h, label, ignore):
        return slow_dsla.Box(x / 4, y / 4, (x + w) / 4, (y + h) / 4, label, image, ignore)

    return st.builds(make, corner, corner, side, side, st.integers(0, 2), ignored)


@st.composite
def scenes(draw, max_boxes=5, ignore=True):
    strides = draw(st.sampled_from(STRIDES))
    offset = draw(st.sampled_from([0.5, 0.0]))
    height, width = draw(st.integers(1, 12)) * strides[0], draw(st.integers(1, 12)) * strides[0]
    sizes = tuple((-(-height // s), -(-width // s)) for s in strides)
    images = draw(st.integers(1, 2))
    ignored = st.booleans() if ignore and draw(st.booleans()) else st.just(False)
    boxes = []
    for image in range(images):
        boxes += draw(st.lists(boxes_in(width, height, image, ignored), max_size=max_boxes))
        if boxes and draw(st.booleans()):  # the same box again: everything ties
            twin = boxes[-1]
            boxes.append(slow_dsla.Box(twin.x1, twin.y1, twin.x2, twin.y2, 2 - twin.label, twin.image, False))
            boxes[-1].ignore = twin.ignore
    return Scene(sizes, strides, offset, boxes, images, draw(st.integers(0, 1000)))
