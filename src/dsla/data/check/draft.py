"""A split while it is being repaired: copies of its records, and what is marked to go."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np

from dsla.data.check.columns import Columns, is_whole
from dsla.data.tables import WHERE, Tables


class Draft:
    """Copies of a split's records, for a repair to alter; the originals stay as they are.

    Args:
        columns: the split as it was checked.
        done: counts what was repaired, by code; shared by all splits.
    """

    def __init__(self, columns: Columns, done: Counter[str]) -> None:
        tables = columns.tables
        self.columns, self.done = columns, done
        self.images = [_copy(record) for record in tables.images]
        self.annotations = [_copy(record) for record in tables.annotations]
        self.categories = [_copy(record) for record in tables.categories]
        self.gone_images: set[int] = set()
        self.gone_annotations: set[int] = set()
        self.gone_categories: set[int] = set()
        self.resized: set[int] = set()

    def drop_annotation(self, code: str, index: int) -> None:
        """Take an annotation out."""
        if index not in self.gone_annotations:
            self.gone_annotations.add(index)
            self.done[code] += 1

    def drop_picture(self, code: str, row: int) -> None:
        """Take a picture and its boxes out."""
        if row not in self.gone_images:
            self.gone_images.add(row)
            self.gone_annotations.update(np.flatnonzero(self.columns.image == row).tolist())
            self.done[code] += 1

    def drop_record(self, code: str, table: str, index: int) -> None:
        """Take out a record of a picture or a category that another one stands for."""
        gone = self.gone_images if table == "images" else self.gone_categories
        if index not in gone:
            gone.add(index)
            self.done[code] += 1

    def move_boxes(self, row: int, to: int) -> None:
        """Give the boxes of one picture record to another."""
        for index in np.flatnonzero(self.columns.image == row).tolist():
            self.annotations[index]["image_id"] = self.images[to]["id"]

    def rename_category(self, old: int, new: int) -> int:
        """Give boxes of one category id another; returns how many."""
        count = 0
        for index, record in enumerate(self.annotations):
            if index not in self.gone_annotations and isinstance(record, dict) and record.get("category_id") == old:
                record["category_id"] = new
                count += 1
        return count

    def clip(self, index: int) -> None:
        """Clip a box to its picture, and its area with it where that was the box's."""
        record = self.annotations[index]
        x1, y1, x2, y2 = self.columns.clipped[index].tolist()
        width, height = self.columns.xywh[index, 2:].tolist()
        area = record.get("area")
        if isinstance(area, int | float) and abs(area - width * height) <= 1:
            record["area"] = (x2 - x1) * (y2 - y1)
        record["bbox"] = [x1, y1, x2 - x1, y2 - y1]

    def boxes_of(self, row: int) -> list[tuple[int, ...]]:
        """Classes and boxes of a picture, in an order that does not depend on the file's."""
        rows = np.flatnonzero(self.columns.image == row)
        keys = np.column_stack([self.columns.category[rows], np.rint(self.columns.xywh[rows])])
        return sorted(tuple(map(int, np.nan_to_num(key))) for key in keys)

    def number_annotations(self, indices: list[int]) -> None:
        """Give annotations ids that nobody has."""
        used = [record["id"] for record in self.annotations if isinstance(record, dict) and is_whole(record.get("id"))]
        for key, index in enumerate(indices, start=max(used, default=0) + 1):
            self.annotations[index]["id"] = key

    def tables(self) -> Tables:
        """The split as it is now; what was no record is not in it."""
        kept = [row for row in range(len(self.images)) if row not in self.gone_images]
        return dataclasses.replace(
            self.columns.tables,
            kind="coco",
            images=[self.images[row] for row in kept],
            pictures=[self.columns.tables.pictures[row] for row in kept],
            annotations=_without(self.annotations, self.gone_annotations),
            categories=_without(self.categories, self.gone_categories),
            faults=(),
            notes=(),
        )

    @property
    def path(self) -> Path:
        """What the split is called."""
        return self.columns.tables.path


def _copy(record: Any) -> Any:
    """A copy that says no more where it comes from; what is no object stays as it is."""
    if not isinstance(record, dict):
        return record
    return {key: value for key, value in cast("dict[str, Any]", record).items() if key != WHERE}


def _without(records: list[Any], gone: set[int]) -> list[Any]:
    return [record for index, record in enumerate(records) if index not in gone]
