"""Which pictures of a data set belong together, so that no two of them end on different sides of a split.

Three rules, each certain enough to act on:

- the same content, byte by byte: copies;
- one source in Roboflow's names, `NAME_jpg.rf.HASH.jpg`: augmented versions of one picture;
- clips: names that differ only in a last number (`clip3_0001.jpg`, or `clip3/0001.jpg`) are frames of one film, where
  that divides the pictures believably. It does if there are at least five such clips, most pictures are in one, none
  holds more than half of them, and no class of five pictures or more lives in a single clip: else names go by class, or
  all pictures are merely numbered.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

from dsla.data.dataset import DetectionData

_AUGMENTED = re.compile(r"(.+)\.rf\.[0-9A-Za-z]{8,}$")
_NUMBERED = re.compile(r"(.*?)[^0-9A-Za-z]*\d+$")
_ENCODED = re.compile(r"_(?:jpe?g|png|bmp|webp|tiff?)$", re.IGNORECASE)
_LEAST_CLIPS, _LEAST_PICTURES = 5, 5


def groups_of(data: DetectionData) -> list[list[int]]:
    """Indices of the pictures that belong together, in the order of their first ones.

    Args:
        data: pictures whose names are paths; those that are not files are compared by name alone.
    """
    records = [data.record(index) for index in range(len(data))]
    paths = [Path(record.name) for record in records]
    classes = [set(record.labels.tolist()) for record in records]
    joined = _Joined(len(paths))
    for keys in (_contents(paths), [_source(path) for path in paths], _clips(paths, classes)):
        first: dict[Hashable, int] = {}
        for index, key in enumerate(keys):
            if key is not None:
                joined.join(first.setdefault(key, index), index)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(paths)):
        groups[joined.first(index)].append(index)
    return list(groups.values())


def _contents(paths: Sequence[Path]) -> list[Hashable]:
    """A hash of each file that has the size of another one; others have no copy."""
    sizes = [path.stat().st_size if path.is_file() else None for path in paths]
    counts = Counter(sizes)
    return [
        hashlib.blake2b(path.read_bytes()).digest() if size is not None and counts[size] > 1 else None
        for path, size in zip(paths, sizes, strict=True)
    ]


def _source(path: Path) -> Hashable:
    found = _AUGMENTED.match(path.stem)
    return found.group(1) if found else None


def _clips(paths: Sequence[Path], classes: Sequence[set[int]]) -> list[Hashable]:
    """The clip of each picture, if names divide them believably."""
    clips: list[Hashable] = []
    for path in paths:
        stem = _ENCODED.sub("", str(_source(path) or path.stem))
        found = _NUMBERED.match(stem)
        clips.append((path.parent, found.group(1)) if found else None)
    counts = Counter(clip for clip in clips if clip is not None)
    several = {clip for clip, count in counts.items() if count > 1}
    inside = sum(counts[clip] for clip in several)
    believable = (
        len(several) >= _LEAST_CLIPS
        and inside > len(paths) / 2
        and max(counts.values()) <= len(paths) / 2
        and not _by_class(clips, classes)
    )
    return clips if believable else [None] * len(paths)


def _by_class(clips: Sequence[Hashable], classes: Sequence[set[int]]) -> bool:
    """Whether some class of a number of pictures occurs in a single clip."""
    where: dict[int, list[Hashable]] = defaultdict(list)
    for clip, labels in zip(clips, classes, strict=True):
        for label in labels:
            where[label].append(clip)
    return any(len(places) >= _LEAST_PICTURES and len(set(places)) == 1 for places in where.values())


class _Joined:
    """Sets of indices that are joined step by step; each is known by its lowest index."""

    def __init__(self, count: int) -> None:
        self.above = list(range(count))

    def first(self, index: int) -> int:
        while self.above[index] != index:
            self.above[index] = self.above[self.above[index]]
            index = self.above[index]
        return index

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.first(one), self.first(other)))
        self.above[high] = low
