"""Records that are not what the format asks: keys, kinds of values, ids and what they point to."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from dsla.data.check.columns import Columns, is_whole
from dsla.data.check.finding import Hit, Table

_KEYS: dict[Table, tuple[str, ...]] = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
_TEXTS = ("file_name", "name")
_TWICE: dict[Table, str] = {
    "images": "image-id-twice",
    "annotations": "annotation-id-twice",
    "categories": "category-id-twice",
}


def check_records(columns: Columns) -> Iterator[Hit]:
    """Everything that can be said of single records and their ids."""
    tables = columns.tables
    for fault in tables.faults:
        yield Hit(fault.code, columns.split, columns.short(fault.where), fault.what)
    for code, table in (("split-empty", tables.images), ("no-categories", tables.categories)):
        if not table:
            yield Hit(code, columns.split, columns.short(str(tables.path)), "the list is empty")
    for table in _KEYS:
        yield from _fields(columns, table)
        yield from _repeated(columns, table)
    yield from _same_file(columns)
    yield from _unknown_image(columns)
    yield from _unknown_category(columns)
    yield from _areas(columns)


def _fields(columns: Columns, table: Table) -> Iterator[Hit]:
    records: list[Any] = getattr(columns.tables, table)
    for index, record in enumerate(records):
        needed = _KEYS[table]
        if table == "images" and columns.tables.kind != "coco":
            needed = ("id", "file_name")  # sizes come from the picture, and what ails that is told of it
        fault = _fault(record, needed)
        if fault is not None:
            code, what = fault
            yield Hit(code, columns.split, columns.where(table, index), what, table, index)


def _fault(record: object, needed: tuple[str, ...]) -> tuple[str, str] | None:
    """Code and particulars of the first thing wrong with a record."""
    if not isinstance(record, dict):
        return "record-type", f"it is {_shown(record)}"
    entry = cast("dict[str, object]", record)
    for key in needed:
        if key not in entry:
            return "key-missing", f"has no {key!r}"
    for key in needed:
        value = entry[key]
        if key in _TEXTS:
            if not isinstance(value, str) or not value:
                return "value-type", f"{key!r} is {_shown(value)} instead of a text"
        elif key != "bbox":
            if not is_whole(value):
                return "value-type", f"{key!r} is {_shown(value)} instead of a whole number"
            if not -(2**63) <= cast("int", value) < 2**63:
                return "value-type", f"{key!r} is a number of {len(str(value))} digits"
            if key in ("width", "height") and cast("int", value) < 1:
                return "value-type", f"{key!r} is {_shown(value)}, which is below 1"
    return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _repeated(columns: Columns, table: Table) -> Iterator[Hit]:
    """Every use of an id after the first."""
    records: list[Any] = getattr(columns.tables, table)
    first: dict[int, int] = {}
    for index, record in enumerate(records):
        key = record.get("id") if isinstance(record, dict) else None
        if not is_whole(key):
            continue
        if key in first:
            what = f"id {key} is that of {table}[{first[key]}] too"
            yield Hit(_TWICE[table], columns.split, _place(columns, table, index), what, table, index, first[key])
        else:
            first[key] = index


def _place(columns: Columns, table: Table, index: int) -> str:
    """Where a record stands, by its number in the list: its id would not tell it from the other."""
    return f"{columns.short(str(columns.tables.path))}: {table}[{index}]"


def _same_file(columns: Columns) -> Iterator[Hit]:
    first: dict[str, int] = {}
    ids: dict[str, object] = {}
    for index, record in enumerate(cast("list[Any]", columns.tables.images)):
        name = record.get("file_name") if isinstance(record, dict) else None
        if not isinstance(name, str):
            continue
        path = columns.tables.pictures[index]
        key = name if path is None else str(path)
        if key not in first:
            first[key], ids[key] = index, record.get("id")
        elif record.get("id") != ids[key]:  # with the same id it is a repeated id already
            what = f"{name} is also that of image {ids[key]}"
            yield Hit("file-twice", columns.split, columns.where("images", index), what, "images", index, first[key])


def _unknown_image(columns: Columns) -> Iterator[Hit]:
    for index in np.flatnonzero(columns.image < 0).tolist():
        key = _whole(columns, index, "image_id")
        if key is not None:
            where = columns.where("annotations", index)
            yield Hit("image-unknown", columns.split, where, f"names image {key}", "annotations", index)


def _unknown_category(columns: Columns) -> Iterator[Hit]:
    """Categories that are not listed, and whether all ids are off by one."""
    unknown = [
        (index, key)
        for index in np.flatnonzero(columns.category < 0).tolist()
        if (key := _whole(columns, index, "category_id")) is not None
    ]
    if not unknown:
        return
    shift = shift_of_ids(columns)
    for index, key in unknown:
        where = columns.where("annotations", index)
        if shift:
            what = f"has category {key}, meant is {key + shift}"
            yield Hit("category-shifted", columns.split, where, what, "annotations", index, shift)
        else:
            yield Hit("category-unknown", columns.split, where, f"names category {key}", "annotations", index)


def shift_of_ids(columns: Columns) -> int:
    """What would have to be added to every category id for all to be known; 0 where that is no explanation.

    Categories 0, 1, 2 with ids 1, 2, 3 in use, and categories 1, 2, 3 with ids 0, 1, 2.
    """
    known = (
        {record["id"] for record in columns.tables.categories if is_whole(record.get("id"))}
        if _dicts(columns)
        else set[int]()
    )
    keys = (_whole(columns, index, "category_id") for index in range(len(columns.category)))
    used = Counter(key for key in keys if key is not None)
    strange = set(used) - known
    if len(used) < 2 or len(strange) != 1:
        return 0
    (odd,) = strange
    for shift, edge in ((1, min(known) - 1), (-1, max(known) + 1)):
        far = edge + shift * len(known)
        if odd == edge and far not in used and all(key + shift in known for key in used):
            return shift
    return 0


def _dicts(columns: Columns) -> bool:
    return bool(columns.tables.categories) and all(
        isinstance(c, dict) for c in cast("list[Any]", columns.tables.categories)
    )


def _whole(columns: Columns, index: int, key: str) -> int | None:
    record: Any = columns.tables.annotations[index]
    value = record.get(key) if isinstance(record, dict) else None
    return value if is_whole(value) else None


def _areas(columns: Columns) -> Iterator[Hit]:
    for index, record in enumerate(cast("list[Any]", columns.tables.annotations)):
        area = record.get("area", 0) if isinstance(record, dict) else 0
        if not isinstance(area, int | float):
            where = columns.where("annotations", index)
            yield Hit("area-type", columns.split, where, f"'area' is {_shown(area)}", "annotations", index)
