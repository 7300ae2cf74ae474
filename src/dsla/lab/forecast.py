"""What an assigner will make of a data set, before anything is trained.

Which boxes get points follows from their size, from the size of the picture, from the pyramid and from the rule. So it
can be told from the annotations: for the chosen settings in detail, and for others (sizes, a finer level, tiles) in
short, with what they cost. `dsla.lab.recommendation` says what follows.

Pictures are taken as evaluation sees them: the scale jitter of training is not in it. Of a large data set pictures are
drawn until there are 30,000 boxes. Ignore regions are not counted.

Letters: G boxes, L levels.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from dsla.config import Config
from dsla.data import DetectionData, Resize
from dsla.lab.box_table import BOXES, BoxTable
from dsla.lab.contest import Contest, contest, without_coverage
from dsla.lab.points_a_box import Counted, count_points, static_rule
from dsla.lab.recommendation import Recommendation, recommend
from dsla.lab.variants import Variant, other_variants, shares, told

SIZES = (320, 480, 640, 960, 1280)
# Bounds of boxes' sizes (square roots of areas) in the network's pixels; 32 and 96 are COCO's.
EDGES = (4.0, 8.0, 16.0, 32.0, 64.0, 96.0, 192.0)
COCO_EDGES = {"small": (0.0, 32.0), "medium": (32.0, 96.0), "large": (96.0, np.inf)}


@dataclass(frozen=True, eq=False)
class Forecast:
    """What the chosen settings, and some others, make of the boxes.

    Attributes:
        settings: recipe, assigner, size, levels and coverage, for people.
        table: the boxes.
        counted: with coverage where the settings have it.
        own: the same without coverage.
        contest: what boxes take from each other.
        variants: the chosen settings first, then others.
        recommendation: what follows.
    """

    settings: dict[str, Any]
    table: BoxTable = field(repr=False)
    counted: Counted = field(repr=False)
    own: Counted = field(repr=False)
    contest: Contest
    variants: tuple[Variant, ...]
    recommendation: Recommendation

    @property
    def labels(self) -> Int[np.ndarray, " G"]:
        """Classes of the boxes that are counted."""
        return self.table.labels[~self.table.ignore].numpy()

    def to_json(self) -> dict[str, Any]:
        """All of it in plain numbers."""
        bounds = list(zip((0.0, *EDGES), (*EDGES, np.inf), strict=True))
        names = [f"{low:g}-{high:g}" if high < np.inf else f"{low:g}+" for low, high in bounds]
        return self.settings | {
            "pictures": len(self.table.sizes),
            "of_pictures": self.table.of,
            "long_side": self.table.long_side,
            "boxes": len(self.counted.side),
            "ignored": int(self.table.ignore.sum()),
            "all": self._group(np.ones(len(self.labels), dtype=bool)),
            "by_size": {name: self._group(self._sized(*ends)) for name, ends in zip(names, bounds, strict=True)},
            "by_coco_size": {name: self._group(self._sized(*ends)) for name, ends in COCO_EDGES.items()},
            "by_class": {name: self._group(self.labels == i) for i, name in enumerate(self.table.class_names)},
            "contest": self.contest.to_json(),
            "variants": [{"name": variant.name} | asdict(variant) for variant in self.variants],
            "recommendation": asdict(self.recommendation),
        }

    def _sized(self, low: float, high: float) -> Bool[np.ndarray, " G"]:
        return (self.counted.side >= low) & (self.counted.side < high)

    def _group(self, mask: Bool[np.ndarray, " G"]) -> dict[str, Any]:
        """What becomes of some of the boxes: with the settings' coverage, without any, and their levels."""
        boxes = max(int(mask.sum()), 1)
        levels = self.counted.levels[mask]
        return {
            "boxes": int(mask.sum()),
            "shares": shares(self.counted.of(mask)),
            "shares_without_coverage": shares(self.own.of(mask)),
            "points_a_box": float(levels.sum() / boxes),
            "points_by_level": (levels.sum(axis=0) / max(int(levels.sum()), 1)).tolist(),
            "boxes_by_level": ((levels > 0).sum(axis=0) / boxes).tolist(),
        }


def forecast(config: Config, data: DetectionData, *, sizes: Sequence[int] = SIZES, most: int = BOXES) -> Forecast:
    """Assign the boxes of a data set by the settings' rule, and in other ways for comparison.

    Args:
        config: every setting.
        data: pictures with boxes.
        sizes: longest sides to compare; those beyond the pictures' own are left out. None at all compares nothing.
        most: boxes to look at, drawn by pictures.

    Raises:
        ConfigError: if the rule needs predictions to tell positives.
        DataError: if there are no pictures.
    """
    rule = static_rule(config.assigner)
    own, levels = without_coverage(rule), config.model.levels
    table, resize = BoxTable.of_data(data, most), Resize(config.data.imgsz, config.data.shorter)
    strides, offset = [2**level for level in levels], config.model.offset
    alone = count_points(own, table, resize, strides, offset)
    covers = own != rule
    counted = count_points(rule, table, resize, strides, offset) if covers else alone
    variants = (
        told(alone, config, levels, 1.0),
        *(other_variants(config, own, table, alone.pixels, sizes) if sizes else ()),
    )
    lent = (alone.count == 0) & ~alone.lost  # where coverage is on; where it is off, would be
    covered = float(lent.mean()) if len(lent) else 0.0
    return Forecast(
        settings={
            "recipe": config.recipe,
            "assigner": config.assigner.name,
            "imgsz": config.data.imgsz,
            "levels": levels,
            "strides": strides,
            "cover": covers,
        },
        table=table,
        counted=counted,
        own=alone,
        contest=contest(own, table, resize, strides, offset),
        variants=variants,
        recommendation=recommend(variants, covers, covered, table.long_side),
    )
