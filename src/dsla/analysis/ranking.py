"""Whether the score tells how well a box is placed: rank correlation of scores and overlaps.

Non-maximum suppression keeps the box with the highest score. Where a lower one overlaps the object better, the
better one is thrown away (DSLA, arXiv 2208.00817, section 1); a Spearman correlation of 1 would mean never.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.stats import rankdata

FEWEST = 3
"""Detections that a picture must have to say something about their order."""


def score_iou_spearman(
    truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    iou: float = 0.5,
    score: float = 0.001,
) -> float | None:
    """Spearman's rank correlation of score and overlap, by picture, averaged over pictures.

    A detection's overlap is its IoU with the true box of its class and picture that it overlaps best; crowds are no
    such boxes. Detections below `iou` or below `score` are left out: they are about nothing, which other figures
    tell. Classes are ranked together, as their scores compete on one scale; ties get the mean of their ranks. A
    picture counts if it has at least 3 such detections and neither all scores nor all overlaps are equal, where there
    is no order to agree with. Pictures weigh the same, however many detections they have.

    Args:
        truth: COCO ground truth; boxes as [x, y, width, height] in pixels.
        results: COCO-result rows with the same boxes.
        iou: least overlap, a fraction.
        score: least score.

    Returns a value in [-1, 1]; None where no picture counts.
    """
    boxes = _by_place(entry for entry in truth["annotations"] if not entry.get("iscrowd"))
    found = _by_place(row for row in results if row["score"] >= score)
    pairs: dict[Any, list[Float64[np.ndarray, "N 2"]]] = defaultdict(list)  # of a picture: score and IoU
    for place, rows in found.items():
        if place in boxes:
            best = box_iou(_xywh(rows), _xywh(boxes[place])).max(axis=1)
            both = np.stack([np.array([row["score"] for row in rows], dtype=np.float64), best], axis=1)
            pairs[place[0]].append(both[best >= iou])
    values = [value for parts in pairs.values() if (value := spearman(np.concatenate(parts))) is not None]
    return float(np.mean(values)) if values else None


def spearman(pairs: Float64[np.ndarray, "N 2"]) -> float | None:
    """Spearman's rank correlation of the two columns, mean ranks for ties; None where it says nothing."""
    if len(pairs) < FEWEST or (pairs == pairs[0]).all(axis=0).any():
        return None
    ranks = rankdata(pairs, axis=0)
    return float(np.corrcoef(ranks.T)[0, 1])


def box_iou(a: Float64[np.ndarray, "N 4"], b: Float64[np.ndarray, "M 4"]) -> Float64[np.ndarray, "N M"]:
    """Overlap of each of one set of boxes with each of another, both [x, y, width, height]; 0 for empty boxes."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    union = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _by_place(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, Any], list[Mapping[str, Any]]]:
    """Entries by picture and class."""
    places: dict[tuple[Any, Any], list[Mapping[str, Any]]] = defaultdict(list)
    for entry in entries:
        places[entry["image_id"], entry["category_id"]].append(entry)
    return places


def _xywh(entries: Sequence[Mapping[str, Any]]) -> Float64[np.ndarray, "N 4"]:
    return np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(-1, 4)
