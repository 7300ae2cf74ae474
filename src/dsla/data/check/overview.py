"""What a data set holds, in numbers: pictures, boxes, classes, sizes, kinds of files."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dsla.data.check.classes import boxes_a_class
from dsla.data.check.columns import Columns
from dsla.data.check.facts import Facts

SMALL, MEDIUM = 32.0**2, 96.0**2  # COCO's limits of area, in pixels of the picture
_QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


@dataclass(frozen=True, eq=False)
class Part:
    """A split in numbers.

    Attributes:
        pictures, without_boxes, boxes: how many; boxes are what training learns from.
        ignored: ignore regions.
        boxes_a_picture: least, median and most.
        sizes: the commonest (width, height) with the number of pictures, and how many sizes there are.
        small, medium, large: boxes below 32x32, below 96x96 and above, in pixels of the picture.
        side: quantiles 0, 0.05, 0.5, 0.95 and 1 of the square root of a box's area, in pixels.
        relative: the same as a share of the picture's longest side.
        classes: boxes of each class.
    """

    pictures: int
    without_boxes: int
    boxes: int
    ignored: int
    boxes_a_picture: tuple[int, float, int]
    sizes: tuple[tuple[tuple[int, int], int], ...]
    different_sizes: int
    small: int
    medium: int
    large: int
    side: tuple[float, ...]
    relative: tuple[float, ...]
    classes: dict[str, int]


@dataclass(frozen=True, eq=False)
class Overview:
    """A data set in numbers.

    Attributes:
        parts: by name of the split.
        formats, modes: number of files of each; empty where nothing was decoded.
        length: of all files that were decoded, in bytes.
    """

    parts: dict[str, Part]
    formats: dict[str, int] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    length: int = 0

    @property
    def classes(self) -> dict[str, dict[str, int]]:
        """Boxes of each class in each split, the most frequent class first."""
        total: Counter[str] = Counter()
        for part in self.parts.values():
            total.update(part.classes)
        names = sorted(total, key=lambda name: -total[name])
        return {name: {split: part.classes.get(name, 0) for split, part in self.parts.items()} for name in names}

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        parts = {
            split: {
                "pictures": part.pictures,
                "without_boxes": part.without_boxes,
                "boxes": part.boxes,
                "ignored": part.ignored,
                "boxes_a_picture": dict(zip(("least", "median", "most"), part.boxes_a_picture, strict=True)),
                "sizes": [{"width": w, "height": h, "pictures": n} for (w, h), n in part.sizes],
                "different_sizes": part.different_sizes,
                "small": part.small,
                "medium": part.medium,
                "large": part.large,
                "side_px": _named(part.side),
                "side_share": _named(part.relative),
            }
            for split, part in self.parts.items()
        }
        files = {"formats": self.formats, "modes": self.modes, "bytes": self.length}
        return {"parts": parts, "classes": self.classes, "files": files}


def _named(values: tuple[float, ...]) -> dict[str, float]:
    return {f"{quantile:g}": round(value, 4) for quantile, value in zip(_QUANTILES, values, strict=False)}


def overview_of(parts: Mapping[str, Columns], facts: Mapping[Path, Facts] | None) -> Overview:
    """Count everything."""
    read = [each for each in (facts or {}).values() if not each.fault]
    return Overview(
        parts={split: _part(columns) for split, columns in parts.items()},
        formats=dict(Counter(each.format for each in read).most_common()),
        modes=dict(Counter(_mode(each) for each in read).most_common()),
        length=sum(each.length for each in (facts or {}).values()),
    )


def _mode(facts: Facts) -> str:
    """Colours and depth in words."""
    words = {"1": "black and white", "L": "grey", "LA": "grey with alpha", "RGBA": "RGB with alpha", "P": "palette"}
    base = facts.mode.split(";")[0]
    name = words.get(base, "grey" if base in ("I", "F") else base)
    return f"{name}, {'float' if facts.floating else f'{facts.bits} bits'}"


def _part(c: Columns) -> Part:
    usable = c.sound & (c.image >= 0) & (c.category >= 0)
    learned = usable & ~c.ignore
    pictures = len(c.tables.images)
    counts = np.bincount(c.image[learned], minlength=pictures)
    any_box = np.bincount(c.image[c.image >= 0], minlength=pictures) > 0
    sizes = Counter((int(w), int(h)) for h, w in c.sizes.tolist() if not np.isnan(h))
    area = np.prod(c.inside[learned], axis=1)
    side = np.sqrt(area)
    longest = c.picture_sizes[learned].max(axis=1, initial=1)
    return Part(
        pictures=pictures,
        without_boxes=int((~any_box).sum()),
        boxes=int(learned.sum()),
        ignored=int((usable & c.ignore).sum()),
        boxes_a_picture=(int(counts.min()), float(np.median(counts)), int(counts.max())) if pictures else (0, 0.0, 0),
        sizes=tuple(sizes.most_common(3)),
        different_sizes=len(sizes),
        small=int((area < SMALL).sum()),
        medium=int(((area >= SMALL) & (area < MEDIUM)).sum()),
        large=int((area >= MEDIUM).sum()),
        side=_quantiles(side),
        relative=_quantiles(side / longest),
        classes={c.names[row]: count for row, count in boxes_a_class(c).items()},
    )


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.quantile(values, _QUANTILES).tolist()) if len(values) else ()
