"""Localisation-recall-precision error: one number for a set of answers, and what it is made of.

Oksuz et al., "Localization Recall Precision (LRP): A New Performance Metric for Object Detection", ECCV 2018; "One
Metric to Measure them All", TPAMI 2021. With COCO's matching at IoU tau = 0.5, of the boxes of a class with a score of
at least s:

    LRP(s) = ( sum over hits of (1 - IoU) / (1 - tau)  +  FP  +  FN ) / (TP + FP + FN)
    localisation = mean of (1 - IoU) over hits,  FP = 1 - precision,  FN = 1 - recall

oLRP of a class is the least LRP(s) over all s, and the mean over the classes that have true boxes is what is told. 0
is perfect, 1 the worst. Unlike AP it says at which score a detector is best used.

Letters: N found boxes, C classes, I pictures.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from dsla.analysis.boxes import FoundBoxes, TrueBoxes
from dsla.analysis.matching import Matches
from dsla.analysis.over_pictures import OverPictures, divided, mean_over_classes

TAU = 0.5


@dataclass(frozen=True, eq=False)
class LRP:
    """Optimal LRP and its parts, each the mean over classes.

    Attributes:
        error: oLRP.
        localisation: mean of 1 - IoU of the hits.
        false_positives: 1 - precision.
        false_negatives: 1 - recall.
        threshold: (C,) score at which each class is best; nan for classes without true boxes, infinite where no
            box at all is best.
        by_class: oLRP of each class that has true boxes.
    """

    error: OverPictures
    localisation: OverPictures
    false_positives: OverPictures
    false_negatives: OverPictures
    threshold: Float64[np.ndarray, " C"]
    by_class: dict[str, float]


def optimal_lrp(found: FoundBoxes, true: TrueBoxes, matches: Matches, tau: float = TAU) -> LRP:
    """oLRP of found boxes; on draws of pictures the thresholds stay those of all pictures.

    Args:
        found: boxes that were given out.
        true: ground truth.
        matches: of them at IoU `tau`.
        tau: least IoU of a hit.
    """
    threshold = best_thresholds(found, true, matches, tau)
    used = found.score >= threshold[found.label]
    return _at(found, true, matches, used, threshold, tau)


def best_thresholds(
    found: FoundBoxes,
    true: TrueBoxes,
    matches: Matches,
    tau: float = TAU,
    pictures: Bool[np.ndarray, " I"] | None = None,
) -> Float64[np.ndarray, " C"]:
    """The score of each class at which LRP is least, of equals the highest; on some pictures alone if they are marked.

    nan for a class without true boxes there; infinite where giving out nothing is best.
    """
    real = ~true.crowd if pictures is None else ~true.crowd & pictures[true.picture]
    boxes = np.bincount(true.label[real], minlength=len(true.class_names))
    use = matches.counted if pictures is None else matches.counted & pictures[found.picture]
    order = np.lexsort((-found.score, found.label))
    order = order[use[order]]
    label, score, hit = found.label[order], found.score[order], matches.hit[order]
    off = np.where(hit, (1 - matches.iou[order]) / (1 - tau), 1.0)  # of a hit or of a false positive
    result = np.full(len(boxes), np.nan)
    for c in np.flatnonzero(boxes):
        its = slice(*np.searchsorted(label, [c, c + 1]))
        hits, wrong = np.cumsum(hit[its]), np.cumsum(off[its])
        given = np.arange(1, len(hits) + 1)
        # TP + FP + FN = boxes given + true boxes - hits; the error's upper part = wrong + true boxes - hits.
        error = (wrong + boxes[c] - hits) / (given + boxes[c] - hits)
        last = np.diff(score[its], append=-1.0) != 0  # boxes of one score come or go together
        at, least = np.append(np.inf, score[its][last]), np.append(1.0, error[last])  # 1: nothing is given out
        result[c] = at[np.argmin(least)]
    return result


def lrp_of_pictures(
    true: TrueBoxes, found: FoundBoxes, matches: Matches, score: float, tau: float = TAU
) -> Float64[np.ndarray, " I"]:
    """LRP of each picture alone, over all classes, of the boxes that score at least so much; nan for empty ones."""
    used = matches.counted & (found.score >= score)
    hit = used & matches.hit
    boxes = np.bincount(true.picture[~true.crowd], minlength=true.pictures)
    hits, given, off = (
        np.bincount(found.picture[rows], weights, minlength=true.pictures)
        for rows, weights in ((hit, None), (used, None), (hit, (1 - matches.iou[hit]) / (1 - tau)))
    )
    return divided(off + given - hits + boxes - hits, given + boxes - hits)


def _at(
    found: FoundBoxes,
    true: TrueBoxes,
    matches: Matches,
    used: Bool[np.ndarray, " N"],
    threshold: np.ndarray,
    tau: float,
) -> LRP:
    """LRP of the boxes that are marked."""
    shape = (len(true.class_names), true.pictures)

    def count(rows: np.ndarray, values: np.ndarray | None = None) -> Float64[np.ndarray, "C I"]:
        weights = None if values is None else values[rows]
        flat = found.label[rows] * shape[1] + found.picture[rows]
        return np.bincount(flat, weights, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    real = ~true.crowd
    flat = true.label[real] * shape[1] + true.picture[real]
    boxes = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    with_truth = boxes.sum(axis=1) > 0
    used = used & matches.counted & with_truth[found.label]
    hits, given = count(used & matches.hit), count(used)
    off = count(used & matches.hit, 1 - matches.iou)
    missed, wrong = boxes - hits, given - hits
    whole, parts = off / (1 - tau) + wrong + missed, given + missed
    each = divided(whole.sum(axis=1), parts.sum(axis=1))
    return LRP(
        error=mean_over_classes(whole, parts),
        localisation=mean_over_classes(off, hits),
        false_positives=mean_over_classes(wrong, given),
        false_negatives=mean_over_classes(missed, boxes),
        threshold=threshold,
        by_class={true.class_names[c]: float(each[c]) for c in np.flatnonzero(with_truth).tolist()},
    )


def halves(pictures: int) -> Int64[np.ndarray, " I"]:
    """0 or 1 for each picture in the order of ids: the half to choose on and the half to measure on, by turns."""
    return np.arange(pictures) % 2
