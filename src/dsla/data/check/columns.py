"""The records of a split as arrays, with a mark where a value could not be read, so that checks need no loops.

Letters: M images, N annotations, C categories.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard, cast

import numpy as np
from jaxtyping import Bool, Float64, Int64

from dsla.data.tables import Tables


@dataclass(frozen=True, eq=False)
class Columns:
    """A split's tables and what its records hold.

    Attributes:
        split: "train", "val" or "test".
        tables: the records.
        root: of the data set, which paths in messages are relative to.
        sizes: (M, 2) height and width, NaN where the record has none.
        image: (N,) row of each annotation's picture, -1 where there is none.
        category: (N,) row of each annotation's category, -1 where there is none.
        numbers: (N,) the box is four numbers.
        xywh: (N, 4) NaN where it is not.
        ignore: (N,) crowd, difficult or ignore.
    """

    split: str
    tables: Tables
    root: Path
    sizes: Float64[np.ndarray, "M 2"]
    image: Int64[np.ndarray, " N"]
    category: Int64[np.ndarray, " N"]
    numbers: Bool[np.ndarray, " N"]
    xywh: Float64[np.ndarray, "N 4"]
    ignore: Bool[np.ndarray, " N"]

    @cached_property
    def names(self) -> list[str]:
        """(C,) name of each category; its id where it has none."""
        return [str(_get(record, "name", _get(record, "id"))) for record in self.tables.categories]

    @cached_property
    def picture_sizes(self) -> Float64[np.ndarray, "N 2"]:
        """(N, 2) height and width of each annotation's picture, NaN where it is not known."""
        known = np.concatenate([self.sizes, np.full((1, 2), np.nan)])
        return known[self.image]

    @cached_property
    def sound(self) -> Bool[np.ndarray, " N"]:
        """(N,) boxes that training can use: finite, with area, and in part within their picture."""
        return self.has_area & (self.inside > 0).all(axis=1)

    @cached_property
    def has_area(self) -> Bool[np.ndarray, " N"]:
        """(N,) boxes of four finite numbers whose sides are above zero."""
        return np.isfinite(self.xywh.sum(axis=1)) & (self.xywh[:, 2:] > 0).all(axis=1)

    @cached_property
    def corners(self) -> Float64[np.ndarray, "N 4"]:
        """(N, 4) x1, y1, x2, y2 as drawn."""
        return np.concatenate([self.xywh[:, :2], self.xywh[:, :2] + self.xywh[:, 2:]], axis=1)

    @cached_property
    def clipped(self) -> Float64[np.ndarray, "N 4"]:
        """(N, 4) corners within the picture; as drawn where its size is not known."""
        limits = np.tile(np.where(np.isnan(self.picture_sizes), np.inf, self.picture_sizes)[:, ::-1], 2)
        return np.clip(self.corners, 0, limits)

    @cached_property
    def inside(self) -> Float64[np.ndarray, "N 2"]:
        """(N, 2) width and height of the part within the picture."""
        return self.clipped[:, 2:] - self.clipped[:, :2]

    def where(self, table: str, index: int) -> str:
        """What to call a record in messages, with paths from the data set's folder."""
        return self.short(self.tables.where(table, index))

    def short(self, text: str) -> str:
        """A text that starts with a path of the data set, without the folder."""
        return text.removeprefix(f"{self.root}/").removeprefix(f"{self.root.absolute()}/")

    def picture_name(self, row: int) -> str:
        """The file of a picture by its record, for messages."""
        record = self.tables.images[row] if row >= 0 else None
        return str(_get(record, "file_name", "an unknown picture"))

    def path_name(self, row: int) -> str:
        """The file of a picture by its place on disk, for messages."""
        path = self.tables.pictures[row]
        return self.picture_name(row) if path is None else self.short(str(path))

    def box(self, index: int) -> str:
        """The box of an annotation as its record has it, short."""
        box = _get(self.tables.annotations[index], "bbox")
        if isinstance(box, list) and bool(self.numbers[index]):
            return "[" + ", ".join(f"{side:.6g}" for side in self.xywh[index]) + "]"
        text = repr(box)
        return text if len(text) <= 40 else f"{text[:37]}..."


def columns_of(split: str, tables: Tables, root: Path) -> Columns:
    """Read the records of a split, however odd they are."""
    rows = _rows(tables.images)
    categories = _rows(tables.categories)
    annotations = tables.annotations
    boxes = [_numbers(_get(record, "bbox")) for record in annotations]
    unknown = (np.nan,) * 4
    return Columns(
        split=split,
        tables=tables,
        root=root if root.is_dir() else root.parent,
        sizes=np.array([_size(record) for record in tables.images], dtype=np.float64).reshape(-1, 2),
        image=_look_up(annotations, "image_id", rows),
        category=_look_up(annotations, "category_id", categories),
        numbers=np.array([box is not None for box in boxes], dtype=bool),
        xywh=np.array([unknown if box is None else box for box in boxes], dtype=np.float64).reshape(-1, 4),
        ignore=np.array([bool(_get(a, "iscrowd")) or bool(_get(a, "ignore")) for a in annotations], dtype=bool),
    )


def is_whole(value: object) -> TypeGuard[int]:
    """A whole number as json has it; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _get(record: object, key: str, default: object = None) -> object:
    return cast("dict[str, object]", record).get(key, default) if isinstance(record, dict) else default


def _rows(records: list[Any]) -> dict[int, int]:
    """Row of each id; of an id used twice the last one, as training would see it."""
    return {key: row for row, record in enumerate(records) if is_whole(key := _get(record, "id"))}


def _look_up(records: list[Any], key: str, rows: dict[int, int]) -> Int64[np.ndarray, " N"]:
    found = ((_get(record, key)) for record in records)
    return np.array([rows.get(value, -1) if is_whole(value) else -1 for value in found], dtype=np.int64)


def _size(record: object) -> tuple[float, float]:
    height, width = _get(record, "height"), _get(record, "width")
    if is_whole(height) and is_whole(width):
        height, width = cast("int", height), cast("int", width)
        if 0 < height < 2**31 and 0 < width < 2**31:
            return float(height), float(width)
    return np.nan, np.nan


def _numbers(box: object) -> list[float] | None:
    """A box as four floats; numbers that no float can hold become infinite."""
    if not isinstance(box, list):
        return None
    sides = cast("list[object]", box)
    if len(sides) != 4:
        return None
    numbers: list[float] = []
    for side in sides:
        if not isinstance(side, int | float) or isinstance(side, bool):
            return None
        try:
            numbers.append(float(side))
        except OverflowError:
            numbers.append(np.inf)
    return numbers
