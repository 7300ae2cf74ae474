"""Pictures to compare on: those of a data set, or built-in scenes, in several sizes and batches."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dsla.data.dataset import DetectionData
from dsla.data.resize import Resize, Window, resample
from dsla.data.sample import Batch, Sample

# (share of the long side, share of the width, share of the height): larger and smaller, wide, square and high.
SHAPES = ((1.0, 1.0, 1.0), (0.75, 1.0, 1.0), (1.25, 1.0, 1.0), (1.0, 1.0, 0.6), (1.0, 0.6, 1.0))
BATCHES = (1, 4)


def several_sizes(samples: Sequence[Sample], long: int) -> Iterator[list[Batch]]:
    """The same pictures in five sizes and shapes, each in batches of one and of four.

    Args:
        samples: as read.
        long: longest side of the network's input, in pixels.

    Yields for each shape all its batches. Pictures whose padded sizes differ are not put together.
    """
    for scale, width, height in SHAPES:
        resized = [_shaped(sample, max(32, round(scale * long)), width, height) for sample in samples]
        by_size: dict[tuple[int, ...], list[Sample]] = {}
        for sample in resized:
            by_size.setdefault(tuple(-(-side // 32) for side in sample.size), []).append(sample)
        yield [
            Batch.collate(alike[start : start + count])
            for count in BATCHES
            for alike in by_size.values()
            for start in range(0, len(alike), count)
        ]


def calibration(data: DetectionData, resize: Resize, count: int) -> Iterator[Batch]:
    """Single pictures, evenly spread over a data set, as the network sees them."""
    for index in spread(len(data), count):
        yield Batch.collate([resize(data.sample(index))])


def spread(length: int, count: int) -> list[int]:
    """At most `count` indices, evenly spread."""
    count = min(length, count)
    return [index * length // count for index in range(count)]


def _shaped(sample: Sample, long: int, width: float, height: float) -> Sample:
    """Cut to a share of the sides, from the top left, and resize; the result counts as the whole picture."""
    h, w = sample.size
    window = Window(0, 0, max(1, round(h * height)), max(1, round(w * width)))
    cut = resample(sample, window, (window.height, window.width))
    return Resize(long)(replace(cut, original_size=(window.height, window.width), scale=(1.0, 1.0)))
