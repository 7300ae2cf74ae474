"""What non-maximum suppression removes, and how often that was the better box.

Greedy NMS goes through the boxes of a class by falling score; each one that still stands suppresses the later ones
that overlap it more than the threshold. Here it is remembered by whom a box was suppressed. For a true box g with its
kept match k (COCO's matching of what was kept, IoU of at least 0.5):

    lost(g) = max over boxes c of g's class that k suppressed of IoU(c, g) - IoU(k, g), at least 0

    share above d    share of the true boxes with a kept match for which lost(g) > d
    IoU lost         mean of lost(g) over the same true boxes

DSLA's second inconsistency (arXiv 2208.00817, section 1) says that this is not rare.

Letters: N boxes, G true boxes, I pictures, D margins.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from dsla.analysis.boxes import FoundBoxes, TrueBoxes, overlapping, pair_iou
from dsla.analysis.matching import Matches, match
from dsla.analysis.over_pictures import OverPictures, ratio

MARGINS = (0.0, 0.05)


@dataclass(frozen=True, eq=False)
class Suppression:
    """What non-maximum suppression did.

    Attributes:
        kept: (N,) whether a box stands.
        by: (N,) the box that suppressed it; itself where it stands.
    """

    kept: Bool[np.ndarray, " N"]
    by: Int64[np.ndarray, " N"]


@dataclass(frozen=True, eq=False)
class BetterBoxes:
    """How often a better box was suppressed.

    Attributes:
        share: at each margin, of the true boxes that have a kept match, in [0, 1].
        lost: mean IoU lost, over the same.
        true: (M,) the true boxes that have a kept match.
        kept: (M,) that match.
        best: (M,) the best box that it suppressed; -1 where it suppressed none that touches the true box.
        loss: (M,) lost(g).
    """

    share: tuple[OverPictures, ...]
    lost: OverPictures
    true: Int64[np.ndarray, " M"]
    kept: Int64[np.ndarray, " M"]
    best: Int64[np.ndarray, " M"]
    loss: Float64[np.ndarray, " M"]


def suppress(found: FoundBoxes, iou: float | None) -> Suppression:
    """Greedy NMS within each picture and class; of equal scores the earlier row goes first.

    Args:
        found: boxes before it.
        iou: boxes that overlap more than this go; None keeps all.
    """
    by = np.arange(len(found))
    if iou is None or not len(found):
        return Suppression(np.ones(len(found), dtype=bool), by)
    classes = int(found.label.max()) + 1
    place = found.picture * classes + found.label
    order = np.lexsort((-found.score, place))
    ends = np.flatnonzero(np.diff(place[order], append=-1)) + 1
    for start, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        rows = order[start:stop]
        by[rows] = rows[_greedy(found.boxes[rows], iou)]
    return Suppression(by == np.arange(len(found)), by)


def better_boxes(
    found: FoundBoxes,
    true: TrueBoxes,
    suppression: Suppression,
    standing: Int64[np.ndarray, " S"],
    margins: tuple[float, ...] = MARGINS,
    matches: Matches | None = None,
) -> BetterBoxes:
    """Share of true boxes whose kept match suppressed a better box.

    Args:
        found: boxes before NMS.
        true: ground truth.
        suppression: what NMS did to them.
        standing: rows of `found` that are given out after it: those that stand and pass the limits of a picture.
        margins: by how much the IoU of the suppressed one must be higher.
        matches: of the standing boxes at IoU 0.5, if they are there already.
    """
    matches = match(found.take(standing), true) if matches is None else matches
    kept, g = standing[matches.hit], matches.true[matches.hit]
    match_iou = matches.iou[matches.hit]
    number = np.full(len(true.label), -1, dtype=np.int64)
    number[g] = np.arange(len(g))
    pairs = overlapping(found, true)
    about = np.flatnonzero(number[pairs.true] >= 0)
    at, f = number[pairs.true[about]], pairs.found[about]
    ours = (suppression.by[f] == kept[at]) & (f != kept[at])
    f, at, iou = f[ours], at[ours], pairs.iou[about][ours]
    order = np.lexsort((-f, iou, at))
    last = order[np.flatnonzero(np.diff(at[order], append=-1))]
    best, best_iou = np.full(len(g), -1, dtype=np.int64), np.zeros(len(g))
    best[at[last]], best_iou[at[last]] = f[last], iou[last]
    loss = (best_iou - match_iou).clip(0)
    picture = true.picture[g]
    count = np.bincount(picture, minlength=true.pictures)

    def of(values: np.ndarray) -> OverPictures:
        return ratio(np.bincount(picture, values, minlength=true.pictures), count)

    share = tuple(of((loss > margin).astype(np.float64)) for margin in margins)
    return BetterBoxes(share, of(loss), g, kept, best, loss)


def _greedy(boxes: Float64[np.ndarray, "n 4"], iou: float) -> Int64[np.ndarray, " n"]:
    """Who suppressed each of some boxes in the order of their scores; itself where it stands."""
    by = np.full(len(boxes), -1, dtype=np.int64)
    left = np.arange(len(boxes))
    while len(left):
        first, left = left[0], left[1:]
        by[first] = first
        gone = pair_iou(np.broadcast_to(boxes[first], (len(left), 4)), boxes[left]) > iou
        by[left[gone]] = first
        left = left[~gone]
    return by
