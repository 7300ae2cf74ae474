"""Read one COCO json and check it as a whole, before anything is trained on it.

Rules of the format: https://cocodataset.org/#format-data. Boxes are x, y, width, height in pixels. Every
fault is one `DataError` that names the file, the record, how many more there are, and the cure; boxes that
stick out of their picture are clipped and noted. `ignore` beside `iscrowd` is our own flag, with the same
meaning: neither object nor background.

Letters: M images, N annotations.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from dsla.errors import DataError

# COCO's own files have two decimals, so a box at the edge sticks out by less than this.
_TOLERANCE = 0.02
_KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
_RECORD = {"images": "image", "annotations": "annotation", "categories": "category"}


@dataclass(frozen=True, eq=False)
class CocoFile:
    """A checked COCO json as flat arrays; annotations are grouped by image, in the order of the file.

    Attributes:
        path: of the json.
        image_ids, file_names, sizes: of the M images, sizes as (M, 2) height and width.
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


def read_coco(path: Path) -> CocoFile:
    """Read and check a COCO json.

    Raises:
        DataError: unreadable, not COCO, records without their counterpart, broken boxes.
    """
    tables = _tables(path)
    images, annotations, categories = (tables[key] for key in _KEYS)
    names = {category["id"]: str(category["name"]) for category in sorted(categories, key=lambda c: c["id"])}
    row = {image["id"]: index for index, image in enumerate(images)}
    _refuse(
        path,
        annotations,
        [a["image_id"] not in row for a in annotations],
        lambda i: f"names image {annotations[i]['image_id']}, which is not in 'images'",
        "Add the image or remove the annotation.",
    )
    _refuse(
        path,
        annotations,
        [a["category_id"] not in names for a in annotations],
        lambda i: (
            f"names category {annotations[i]['category_id']}, which is not in 'categories' (ids {_few(list(names))})"
        ),
        "Add the category or correct the id.",
    )
    sizes = np.array([(i["height"], i["width"]) for i in images], dtype=np.int64).reshape(-1, 2)
    image = np.array([row[a["image_id"]] for a in annotations], dtype=np.int64)
    order = np.argsort(image, kind="stable")
    annotations, image = [annotations[i] for i in order], image[order]
    xywh = _boxes(path, annotations)
    xyxy, notes = _clip(path, annotations, xywh, sizes[image], [images[i]["file_name"] for i in image])
    return CocoFile(
        path=path,
        image_ids=tuple(i["id"] for i in images),
        file_names=tuple(i["file_name"] for i in images),
        sizes=sizes,
        starts=np.searchsorted(image, np.arange(len(images) + 1)),
        annotation_ids=np.array([a["id"] for a in annotations], dtype=np.int64),
        category_ids=np.array([a["category_id"] for a in annotations], dtype=np.int64),
        areas=_areas(path, annotations, xywh),
        ignore=np.array([bool(a.get("iscrowd")) or bool(a.get("ignore")) for a in annotations], dtype=bool),
        xywh=xywh,
        xyxy=xyxy,
        categories=names,
        notes=notes,
    )


def _tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The three lists of a COCO json, each record with its keys, ids unique."""
    cure = "Give a COCO json with 'images', 'annotations' and 'categories'."
    text = b""
    try:
        text = path.read_bytes()
        content: object = json.loads(text)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        fault = "the file is empty" if not text.strip() else f"not a json file ({error})"
        raise DataError(f"{path}: {fault}. {cure}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: not COCO: {_kind(content)} instead of an object. {cure}")
    tables: dict[str, list[dict[str, Any]]] = {}
    for key, needed in _KEYS.items():
        table: object = cast("dict[str, object]", content).get(key)
        if not isinstance(table, list):
            fault = "is missing" if table is None else "is not a list"
            raise DataError(f"{path}: not COCO: '{key}' {fault}. {cure}")
        records = cast("list[dict[str, Any]]", table)
        for index, record in enumerate(records):
            if fault := _fault(record, needed):
                raise DataError(f"{path}: not COCO: {key}[{index}] {fault}. {cure}")
        _unique(path, key, records)
        tables[key] = records
    for key in ("images", "categories"):
        if not tables[key]:
            raise DataError(f"{path}: '{key}' is empty, so there is nothing to learn. Check the export.")
    return tables


def _fault(record: object, needed: Sequence[str]) -> str | None:
    """What keeps a record from being what COCO asks of it."""
    if not isinstance(record, dict):
        return f"is {_kind(record)} instead of an object"
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


def _kind(value: object) -> str:
    """What json calls it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true or false"
    return "a list" if isinstance(value, list) else "a text" if isinstance(value, str) else "a number"


def _unique(path: Path, key: str, records: list[dict[str, Any]]) -> None:
    seen: set[int] = set()
    repeated = [r["id"] for r in records if r["id"] in seen or seen.add(r["id"])]
    if repeated:
        raise DataError(
            f"{path}: {len(repeated)} {_RECORD[key]} ids are used more than once: {_few(repeated)}. "
            "Give every record its own id."
        )


def _boxes(path: Path, annotations: list[dict[str, Any]]) -> np.ndarray:
    """(N, 4) x, y, width, height, all finite, sides above zero."""
    cure = "COCO boxes are [x, y, width, height] in pixels; correct or remove them."

    def refuse(bad: Sequence[bool] | np.ndarray, fault: str) -> None:
        _refuse(path, annotations, bad, lambda i: f"has a box {annotations[i]['bbox']!r} {fault}", cure)

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


def _clip(
    path: Path, annotations: list[dict[str, Any]], xywh: np.ndarray, sizes: np.ndarray, files: list[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N, 4) xyxy within the pictures, and a note if that altered any."""
    corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    clipped = np.clip(corners, 0, np.tile(sizes[:, ::-1], 2))
    _refuse(
        path,
        annotations,
        (clipped[:, 2:] - clipped[:, :2]).min(axis=1) <= 0,
        lambda i: (
            f"has a box {annotations[i]['bbox']} that lies outside its picture {files[i]} ({sizes[i][1]}x{sizes[i][0]})"
        ),
        "Correct or remove it; boxes are in pixels, and 'width' and 'height' have to be the picture's.",
    )
    moved = np.flatnonzero(np.abs(clipped - corners).max(axis=1) > _TOLERANCE)
    notes: tuple[str, ...] = ()
    if len(moved):
        notes = (
            f"{path}: {len(moved)} of {len(annotations)} boxes stick out of their picture and were clipped "
            f"to it (annotations {_few([annotations[i]['id'] for i in moved])}).",
        )
    return clipped.astype(np.float32), notes


def _areas(path: Path, annotations: list[dict[str, Any]], xywh: np.ndarray) -> np.ndarray:
    """(N,) area of each annotation: of its mask where the file gives one, else of its box."""
    areas = [a.get("area", w * h) for a, (w, h) in zip(annotations, xywh[:, 2:].tolist(), strict=True)]
    _refuse(
        path,
        annotations,
        [not isinstance(area, int | float) for area in areas],
        lambda i: f"has an area {areas[i]!r} that is not a number",
        "Correct or remove 'area'.",
    )
    return np.array(areas, dtype=np.float64)


def _refuse(
    path: Path,
    annotations: list[dict[str, Any]],
    bad: Sequence[bool] | np.ndarray,
    fault: Callable[[int], str],
    cure: str,
) -> None:
    """Raise for the first annotation that is bad, with the number of those like it."""
    rows = np.flatnonzero(bad)
    if len(rows):
        more = f" (and {len(rows) - 1} more like it)" if len(rows) > 1 else ""
        first = int(rows[0])
        raise DataError(f"{path}: annotation {annotations[first]['id']} {fault(first)}{more}. {cure}")


def _few(values: Sequence[object], most: int = 3) -> str:
    """The first few of many, for a message."""
    return ", ".join(str(value) for value in values[:most]) + (", ..." if len(values) > most else "")
