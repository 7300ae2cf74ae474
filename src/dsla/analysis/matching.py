"""Which found box is whose: COCO's greedy matching at one IoU threshold, for all pictures and classes at once.

By falling score, each found box takes the true box of its picture and class that it overlaps most and that nobody
has taken, if their IoU reaches the threshold. One that finds none but lies in a crowd does not count (Lin et al.,
"Microsoft COCO", 2014; pycocotools). pycocotools goes box by box; here round r handles the r-th best box of every
picture and class together, so there are as many rounds as the fullest place has boxes.

Letters: N found boxes, G true boxes, K pairs.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int64

from dsla.analysis.boxes import FoundBoxes, Pairs, TrueBoxes, overlapping


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of each found box.

    Attributes:
        true: (N,) the true box that it took; -1 for none.
        iou: (N,) their IoU, 0 for none.
        counted: (N,) whether it counts at all; what lies in a crowd alone does not.
    """

    true: Int64[np.ndarray, " N"]
    iou: Float64[np.ndarray, " N"]
    counted: Bool[np.ndarray, " N"]

    @property
    def hit(self) -> Bool[np.ndarray, " N"]:
        """Whether it took a true box."""
        return self.true >= 0


def match(found: FoundBoxes, true: TrueBoxes, iou: float = 0.5, pairs: Pairs | None = None) -> Matches:
    """Match by COCO's rule; of equal scores the earlier row goes first, of equal overlaps the later true box is taken.

    Args:
        found: at most 100 a picture and class, as COCO has it, or however many; all are matched.
        true: ground truth.
        iou: least IoU of a match; 0 asks for any overlap.
        pairs: what `overlapping` gave for the same boxes, to save the search.
    """
    pairs = overlapping(found, true, iou) if pairs is None else pairs
    near = pairs.iou >= iou
    f, t, overlap = pairs.found[near], pairs.true[near], pairs.iou[near]
    crowd = true.crowd[t]
    in_crowd = np.zeros(len(found), dtype=bool)
    in_crowd[f[crowd]] = True
    f, t, overlap = f[~crowd], t[~crowd], overlap[~crowd]
    taken_by = np.full(len(true.label), -1, dtype=np.int64)
    match_of, match_iou = np.full(len(found), -1, dtype=np.int64), np.zeros(len(found))
    round_of = _rounds(found, f, len(true.class_names))
    order = np.lexsort((t, overlap, f, round_of[f]))  # the pair that a found box wants most comes last among its own
    f, t, overlap = f[order], t[order], overlap[order]
    starts = np.searchsorted(round_of[f], np.arange(round_of.max(initial=-1) + 2))
    for start, stop in pairwise(starts.tolist()):
        free = start + np.flatnonzero(taken_by[t[start:stop]] < 0)
        wanted = free[np.flatnonzero(np.diff(f[free], append=-1))]
        match_of[f[wanted]], match_iou[f[wanted]] = t[wanted], overlap[wanted]
        taken_by[t[wanted]] = f[wanted]
    return Matches(match_of, match_iou, ~(in_crowd & (match_of < 0)))


def best_of_place(found: FoundBoxes, classes: int, most: int = 100) -> FoundBoxes:
    """The best `most` of each picture and class, as COCO keeps them, by picture, class, and falling score."""
    place = found.picture * classes + found.label
    order = np.lexsort((-found.score, place))
    ordered = place[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered, "left")
    return found.take(order[rank < most])


def _rounds(found: FoundBoxes, with_pair: Int64[np.ndarray, " K"], classes: int) -> Int64[np.ndarray, " N"]:
    """Place of each found box that has a pair among those of its picture and class, by falling score; -1 without."""
    rounds = np.full(len(found), -1, dtype=np.int64)
    some = np.unique(with_pair)
    place = found.picture[some] * classes + found.label[some]
    order = np.lexsort((-found.score[some], place))
    ordered = place[order]
    rounds[some[order]] = np.arange(len(order)) - np.searchsorted(ordered, ordered, "left")
    return rounds
