"""Check one split as a whole, before anything is trained on it.

Boxes are x, y, width, height in pixels. Every fault is one `DataError` that names the file, the record, how many
more there are, and the cure; boxes that stick out of their picture are clipped and noted. `ignore` beside
`iscrowd` is our own flag, with the same meaning: neither object nor background.

Letters: M images, N annotations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from dsla.data.formats.coco import json_kind
from dsla.data.picture_file import several_pages
from dsla.data.tables import Fault, Tables
from dsla.errors import DataError

# COCO's own files have two decimals, so a box at the edge sticks out by less than this.
_TOLERANCE = 0.02
_KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
_CORRECT = "Correct or remove it."
_ELSE = " `dsla check` lists everything."
_RECORD = {"images": "image", "annotations": "annotation", "categories": "category"}


@dataclass(frozen=True, eq=False)
class CocoFile:
    """A checked split as flat arrays; annotations are grouped by image, in the order of the file.

    Attributes:
        path: what to call the split: its json, its list, its folder.
        image_ids, file_names, pictures, sizes: of the M images; pictures are paths, sizes (M, 2) height and width.
        starts: (M + 1,) annotations of image i are those from starts[i] to starts[i + 1].
        annotation_ids, category_ids, areas, ignore: of the N annotations.
        xywh: (N, 4) float64 as in the file.
        xyxy: (N, 4) float32 clipped to the picture.
        categories: name of each category id, in ascending order of the ids.
        notes: what was altered.
    """

    path: Path
    image_ids: tuple[int, ...]
    file_names: tuple[str, ...]
    pictures: tuple[str, ...]
    sizes: np.ndarray
    starts: np.ndarray
    annotation_ids: np.ndarray
    category_ids: np.ndarray
    areas: np.ndarray
    ignore: np.ndarray
    xywh: np.ndarray
    xyxy: np.ndarray
    categories: dict[int, str]
    notes: tuple[str, ...]


def checked(tables: Tables) -> CocoFile:
    """Check a split and lay it out as arrays.

    Raises:
        DataError: a fault in the files, records without their counterpart, broken boxes, missing pictures.
    """
    _refuse_faults(tables)
    _refuse_missing(tables)
    _check_records(tables)
    images, annotations, categories = tables.images, tables.annotations, tables.categories
    names = {category["id"]: str(category["name"]) for category in sorted(categories, key=lambda c: c["id"])}
    row = {image["id"]: index for index, image in enumerate(images)}
    _refuse(
        tables,
        [a["image_id"] not in row for a in annotations],
        lambda i: f"names image {annotations[i]['image_id']}, which is not in 'images'",
        "Add the image or remove the annotation.",
    )
    _refuse(
        tables,
        [a["category_id"] not in names for a in annotations],
        lambda i: (
            f"names category {annotations[i]['category_id']}, which is not in 'categories' (ids {_few(list(names))})"
        ),
        "Add the category or correct the id.",
    )
    sizes = np.array([(i["height"], i["width"]) for i in images], dtype=np.int64).reshape(-1, 2)
    image = np.array([row[a["image_id"]] for a in annotations], dtype=np.int64)
    xywh = _boxes(tables)
    xyxy, notes = _clip(tables, xywh, sizes[image], [images[i]["file_name"] for i in image])
    areas = _areas(tables, xywh)
    order = np.argsort(image, kind="stable")
    return CocoFile(
        path=tables.path,
        image_ids=tuple(i["id"] for i in images),
        file_names=tuple(i["file_name"] for i in images),
        pictures=tuple(str(picture) for picture in tables.pictures),
        sizes=sizes,
        starts=np.searchsorted(image[order], np.arange(len(images) + 1)),
        annotation_ids=np.array([a["id"] for a in annotations], dtype=np.int64)[order],
        category_ids=np.array([a["category_id"] for a in annotations], dtype=np.int64)[order],
        areas=areas[order],
        ignore=np.array([bool(a.get("iscrowd")) or bool(a.get("ignore")) for a in annotations], dtype=bool)[order],
        xywh=xywh[order],
        xyxy=xyxy[order],
        categories=names,
        notes=(*tables.notes, *_told(tables), *several_pages(filter(None, tables.pictures)), *notes),
    )


def _refuse_faults(tables: Tables) -> None:
    """Raise for the first thing in the files that could not become a record and that training cannot do without."""
    refused = [fault for fault in tables.faults if fault.refused]
    if refused:
        first = refused[0]
        alike = sum(fault.code == first.code for fault in refused) - 1
        raise DataError(f"{first.where}: {first.what}{_more(alike)}.{_ELSE}")


def _told(tables: Tables) -> tuple[str, ...]:
    """A note for each kind of fault that training can do without."""
    kinds: dict[str, list[Fault]] = {}
    for fault in tables.faults:
        if not fault.refused:
            kinds.setdefault(fault.code, []).append(fault)
    return tuple(f"{some[0].where}: {some[0].what}{_more(len(some) - 1)}." for some in kinds.values())


def _check_records(tables: Tables) -> None:
    """Raise where a record lacks one of its keys, an id is used twice, or there is nothing to learn."""
    cure = "Give a COCO json with 'images', 'annotations' and 'categories'." if tables.kind == "coco" else _CORRECT
    for key, needed in _KEYS.items():
        records: list[dict[str, Any]] = getattr(tables, key)
        for index, record in enumerate(records):
            if fault := _fault(record, needed):
                where = (
                    f"{tables.path}: not COCO: {key}[{index}]" if tables.kind == "coco" else tables.where(key, index)
                )
                raise DataError(f"{where} {fault}. {cure}")
        _unique(tables.path, key, records)
    words = {"images": "pictures", "categories": "classes"}
    for key, empty in (("images", not tables.images), ("categories", not tables.categories)):
        if empty:
            what = f"'{key}' is empty" if tables.kind == "coco" else f"has no {words[key]}"
            raise DataError(f"{tables.path}: {what}, so there is nothing to learn. Check the export.")


def _refuse_missing(tables: Tables) -> None:
    """Raise where a picture that has a name is not there."""
    names: list[object] = [image.get("file_name") if isinstance(image, dict) else None for image in tables.images]
    files = zip(names, tables.pictures, strict=True)
    missing = [name for name, file in files if file is None and isinstance(name, str) and name]
    if missing:
        looked = f" Looked in {', '.join(map(str, tables.searched))}." if tables.searched else ""
        raise DataError(
            f"{tables.path}: {len(missing)} of {len(tables.images)} pictures are missing, first "
            f"{', '.join(missing[:3])}.{looked} Put them there, or remove what names them."
        )


def _fault(record: object, needed: Sequence[str]) -> str | None:
    """What keeps a record from being what COCO asks of it."""
    if not isinstance(record, dict):
        return f"is {json_kind(record)} instead of an object"
    entry = cast("dict[str, object]", record)
    for key in needed:
        if key not in entry:
            return f"has no '{key}'"
        value = entry[key]
        if key in ("file_name", "name"):
            if not isinstance(value, str) or not value:
                return f"has '{key}' {value!r} instead of a text"
        elif key != "bbox" and (not isinstance(value, int) or isinstance(value, bool)):
            return f"has '{key}' {value!r} instead of a whole number"
        elif key in ("width", "height") and cast("int", value) < 1:
            return f"has '{key}' {value!r}, which is below 1"
    return None


def _unique(path: Path, key: str, records: list[dict[str, Any]]) -> None:
    seen: set[int] = set()
    repeated = [r["id"] for r in records if r["id"] in seen or seen.add(r["id"])]
    if repeated:
        raise DataError(
            f"{path}: {len(repeated)} {_RECORD[key]} ids are used more than once: {_few(repeated)}. "
            "Give every record its own id."
        )


def _boxes(tables: Tables) -> np.ndarray:
    """(N, 4) x, y, width, height, all finite, sides above zero."""
    annotations = tables.annotations
    cure = (
        "COCO boxes are [x, y, width, height] in pixels; correct or remove them." if tables.kind == "coco" else _CORRECT
    )

    def refuse(bad: Sequence[bool] | np.ndarray, fault: str) -> None:
        _refuse(tables, bad, lambda i: f"has a box {annotations[i]['bbox']!r} {fault}", cure)

    refuse([not _is_box(a["bbox"]) for a in annotations], "that is not four numbers")
    xywh = np.array([a["bbox"] for a in annotations], dtype=np.float64).reshape(-1, 4)
    refuse(~np.isfinite(xywh.sum(axis=1)), "that is not finite")
    refuse(xywh[:, 2:].min(axis=1) <= 0, "whose width or height is not above zero")
    return xywh


def _is_box(value: object) -> bool:
    if not isinstance(value, list):
        return False
    sides = cast("list[object]", value)
    return len(sides) == 4 and all(isinstance(s, int | float) and not isinstance(s, bool) for s in sides)


def _clip(tables: Tables, xywh: np.ndarray, sizes: np.ndarray, files: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N, 4) xyxy within the pictures, and a note if that altered any."""
    annotations = tables.annotations
    corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    clipped = np.clip(corners, 0, np.tile(sizes[:, ::-1], 2))
    _refuse(
        tables,
        (clipped[:, 2:] - clipped[:, :2]).min(axis=1) <= 0,
        lambda i: (
            f"has a box {annotations[i]['bbox']} that lies outside its picture {files[i]} ({sizes[i][1]}x{sizes[i][0]})"
        ),
        "Correct or remove it; boxes are in pixels, and 'width' and 'height' have to be the picture's."
        if tables.kind == "coco"
        else _CORRECT,
    )
    moved = np.flatnonzero(np.abs(clipped - corners).max(axis=1) > _TOLERANCE)
    notes: tuple[str, ...] = ()
    if len(moved):
        some = (
            f"annotations {_few([annotations[i]['id'] for i in moved])}"
            if tables.kind == "coco"
            else f"first {tables.where('annotations', int(moved[0]))}"
        )
        notes = (
            f"{tables.path}: {len(moved)} of {len(annotations)} boxes stick out of their picture and were clipped "
            f"to it ({some}).",
        )
    return clipped.astype(np.float32), notes


def _areas(tables: Tables, xywh: np.ndarray) -> np.ndarray:
    """(N,) area of each annotation: of its mask where the file gives one, else of its box."""
    areas = [a.get("area", w * h) for a, (w, h) in zip(tables.annotations, xywh[:, 2:].tolist(), strict=True)]
    _refuse(
        tables,
        [not isinstance(area, int | float) for area in areas],
        lambda i: f"has an area {areas[i]!r} that is not a number",
        "Correct or remove 'area'.",
    )
    return np.array(areas, dtype=np.float64)


def _refuse(tables: Tables, bad: Sequence[bool] | np.ndarray, fault: Callable[[int], str], cure: str) -> None:
    """Raise for the first annotation that is bad, with the number of those like it."""
    rows = np.flatnonzero(bad)
    if len(rows):
        first = int(rows[0])
        raise DataError(f"{tables.where('annotations', first)} {fault(first)}{_more(len(rows) - 1)}. {cure}")


def _more(count: int) -> str:
    return f" (and {count} more like it)" if count else ""


def _few(values: Sequence[object], most: int = 3) -> str:
    """The first few of many, for a message."""
    return ", ".join(str(value) for value in values[:most]) + (", ..." if len(values) > most else "")
