"""True and found boxes of many pictures as flat arrays, and the pairs of them that overlap.

Everything else here stands on these pairs: they are sought within a picture and a class, so their number follows
what is there to be matched, and never all found times all true boxes.

Letters: I pictures, C classes, N found boxes, G true boxes, K pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from dsla.errors import DataError

_PAIRS = 2**21
"""Pairs looked at in one go, so that memory stays bounded whatever the data."""


@dataclass(frozen=True, eq=False)
class TrueBoxes:
    """The boxes of a ground truth.

    Attributes:
        boxes: (G, 4) xyxy, pixels of each picture.
        label: (G,) index of the class.
        picture: (G,) index of the picture.
        crowd: (G,) regions that are neither object nor background.
        pictures: I.
        class_names: C names, by label.
    """

    boxes: Float64[np.ndarray, "G 4"]
    label: Int64[np.ndarray, " G"]
    picture: Int64[np.ndarray, " G"]
    crowd: Bool[np.ndarray, " G"]
    pictures: int
    class_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class FoundBoxes:
    """Scored boxes of a detector, in any order.

    Attributes:
        boxes: (N, 4) xyxy, pixels of each picture.
        score: (N,) what they are ranked by, in [0, 1].
        label: (N,) index of the class.
        picture: (N,) index of the picture.
    """

    boxes: Float64[np.ndarray, "N 4"]
    score: Float64[np.ndarray, " N"]
    label: Int64[np.ndarray, " N"]
    picture: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: np.ndarray) -> "FoundBoxes":
        """Some of them, by index or mark."""
        return FoundBoxes(self.boxes[rows], self.score[rows], self.label[rows], self.picture[rows])

    def rescored(self, score: Float64[np.ndarray, " N"]) -> "FoundBoxes":
        """The same boxes, ranked by something else."""
        return FoundBoxes(self.boxes, score, self.label, self.picture)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Found and true boxes of the same picture and class that overlap.

    Attributes:
        found: (K,) index of the found box, ascending.
        true: (K,) index of the true box.
        iou: (K,) their IoU; for a crowd the share of the found box that lies inside, as COCO has it.
    """

    found: Int64[np.ndarray, " K"]
    true: Int64[np.ndarray, " K"]
    iou: Float64[np.ndarray, " K"]


def true_boxes(truth: Mapping[str, Any]) -> TrueBoxes:
    """The boxes of a COCO ground truth; pictures and classes are numbered in the order of their ids."""
    pictures, classes = _numbers(truth)
    entries = truth["annotations"]
    names = {category["id"]: str(category["name"]) for category in truth["categories"]}
    return TrueBoxes(
        boxes=_xyxy(entries),
        label=np.array([classes[entry["category_id"]] for entry in entries], dtype=np.int64),
        picture=np.array([pictures[entry["image_id"]] for entry in entries], dtype=np.int64),
        crowd=np.array([bool(entry.get("iscrowd")) for entry in entries], dtype=bool),
        pictures=len(pictures),
        class_names=tuple(names[number] for number in classes),
    )


def found_boxes(truth: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> FoundBoxes:
    """COCO-result rows as arrays, numbered as `true_boxes` numbers the same ground truth.

    Raises:
        DataError: a row names a picture or a category that the ground truth does not have.
    """
    pictures, classes = _numbers(truth)
    for key, known in (("image_id", pictures), ("category_id", classes)):
        unknown = {row[key] for row in rows} - known.keys()
        if unknown:
            raise DataError(
                f"{len(unknown)} {key} of the detections, {min(unknown)} first, are not in the ground truth: "
                "judge them on the data that they were made for"
            )
    return FoundBoxes(
        boxes=_xyxy(rows),
        score=np.array([row["score"] for row in rows], dtype=np.float64),
        label=np.array([classes[row["category_id"]] for row in rows], dtype=np.int64),
        picture=np.array([pictures[row["image_id"]] for row in rows], dtype=np.int64),
    )


def coco_rows(truth: Mapping[str, Any], found: FoundBoxes) -> list[dict[str, Any]]:
    """The reverse of `found_boxes`."""
    pictures, classes = (list(numbers) for numbers in _numbers(truth))
    xywh = np.concatenate([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]], axis=1)
    columns = (found.picture.tolist(), found.label.tolist(), xywh.tolist(), found.score.tolist())
    return [
        {"image_id": pictures[picture], "category_id": classes[label], "bbox": box, "score": score}
        for picture, label, box, score in zip(*columns, strict=True)
    ]


def coco_array(truth: Mapping[str, Any], found: FoundBoxes) -> Float64[np.ndarray, "N 7"]:
    """The same as an array for hotcoco: picture's id, x, y, width, height, score, category's id."""
    pictures, classes = (np.array(list(numbers), dtype=np.float64) for numbers in _numbers(truth))
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    ids = pictures[found.picture], classes[found.label]
    return np.column_stack([ids[0], found.boxes[:, :2], sides, found.score, ids[1]])


def overlapping(found: FoundBoxes, true: TrueBoxes, least: float = 0.0) -> Pairs:
    """All pairs of one picture and one class with an IoU of at least `least`, and above 0."""
    C = len(true.class_names)
    order = np.argsort(true.picture * C + true.label, kind="stable")
    place = (true.picture * C + true.label)[order]
    first = np.searchsorted(place, found.picture * C + found.label, "left")
    counts = np.searchsorted(place, found.picture * C + found.label, "right") - first
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for rows in _portions(counts):
        many = counts[rows]
        f = np.repeat(np.arange(rows.start, rows.stop), many)
        within = np.arange(len(f)) - np.repeat(np.cumsum(many) - many, many)
        t = order[np.repeat(first[rows], many) + within]
        iou = pair_iou(found.boxes[f], true.boxes[t], true.crowd[t])
        near = (iou >= least) & (iou > 0)
        parts.append((f[near], t[near], iou[near]))
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0, np.int64)] * 3
    return Pairs(joined[0].astype(np.int64), joined[1].astype(np.int64), joined[2].astype(np.float64))


def pair_iou(
    a: Float64[np.ndarray, "K 4"], b: Float64[np.ndarray, "K 4"], crowd: Bool[np.ndarray, " K"] | None = None
) -> Float64[np.ndarray, " K"]:
    """IoU of boxes xyxy, row by row; where `crowd` marks b, the share of a inside b; 0 for empty boxes."""
    sides = (np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])).clip(0)
    shared = sides[:, 0] * sides[:, 1]
    area = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    union = area + (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) - shared
    if crowd is not None:
        union = np.where(crowd, area, union)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def best_overlap(found: FoundBoxes, true: TrueBoxes) -> tuple[Float64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """Each found box's IoU with the true box of its class that it overlaps best, crowds aside, and that box or -1."""
    pairs = overlapping(found, true)
    real = ~true.crowd[pairs.true]
    f, t, iou = pairs.found[real], pairs.true[real], pairs.iou[real]
    order = np.lexsort((-t, iou, f))  # within a found box the best comes last; of equals the first true box
    last = np.flatnonzero(np.diff(f[order], append=-1))
    best, box = np.zeros(len(found)), np.full(len(found), -1, dtype=np.int64)
    chosen = order[last]
    best[f[chosen]], box[f[chosen]] = iou[chosen], t[chosen]
    return best, box


def _numbers(truth: Mapping[str, Any]) -> tuple[dict[Any, int], dict[Any, int]]:
    """Index of each picture and of each class, by id."""
    pictures, classes = (sorted({entry["id"] for entry in truth[part]}) for part in ("images", "categories"))
    return {number: index for index, number in enumerate(pictures)}, {
        number: index for index, number in enumerate(classes)
    }


def _portions(counts: Int64[np.ndarray, " N"]) -> list[slice]:
    """Cut rows so that no part has many more than `_PAIRS` pairs."""
    if not len(counts):
        return []
    part = np.cumsum(counts) // _PAIRS
    ends = [*(np.flatnonzero(np.diff(part)) + 1).tolist(), len(counts)]
    return [slice(start, stop) for start, stop in zip([0, *ends[:-1]], ends, strict=True)]


def _xyxy(entries: Sequence[Mapping[str, Any]]) -> Float64[np.ndarray, "N 4"]:
    xywh = np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(-1, 4)
    xywh[:, 2:] += xywh[:, :2]
    return xywh
