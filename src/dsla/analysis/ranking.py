"""Whether the score tells how well a box is placed: correlations of scores and overlaps, and inversions of their order.

Non-maximum suppression keeps the box with the highest score. Where a lower one overlaps the object better, the
better one is thrown away (DSLA, arXiv 2208.00817, section 1); a rank correlation of 1 would mean never.

    Spearman      Pearson's correlation of the ranks, mean ranks for ties
    inversions    (1 - tau) / 2, tau being Kendall's tau-b: without ties the share of pairs in the wrong order

An overlap is the IoU with the true box of the same picture and class that is overlapped best; crowds are no such
boxes. Boxes below a score of 0.001 or an IoU of 0.5 are about nothing, which other figures tell.

Letters: N boxes, I pictures, V groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped
from scipy.stats import kendalltau, rankdata

from dsla.analysis.boxes import FoundBoxes, TrueBoxes, best_overlap, found_boxes, true_boxes
from dsla.analysis.over_pictures import OverPictures, mean_over_pictures, ratio

FEWEST = 3
"""Boxes that a picture must have to say something about their order."""
SCORE, IOU = 0.001, 0.5


@dataclass(frozen=True, eq=False)
class RankAgreement:
    """How scores and overlaps of some boxes agree.

    Attributes:
        spearman: by picture, averaged over pictures, in [-1, 1].
        pearson: the same of the values themselves.
        inversions: by true box, averaged over true boxes with at least 2 boxes around, in [0, 1].
        spearman_by_class: Spearman of the boxes of one class alone; None where no picture counts.
    """

    spearman: OverPictures
    pearson: OverPictures
    inversions: OverPictures
    spearman_by_class: dict[str, float | None]


def rank_agreement(found: FoundBoxes, true: TrueBoxes, iou: float = IOU, score: float = SCORE) -> RankAgreement:
    """Agreement of scores and overlaps.

    Classes of a picture are ranked together, as their scores compete on one scale. A picture counts if it has at
    least 3 such boxes and neither all scores nor all overlaps are equal. Pictures weigh the same. A true box counts
    if at least 2 boxes overlap it best, and their scores and overlaps are not all equal.

    Args:
        found: boxes before non-maximum suppression, or whatever is to be judged.
        true: ground truth.
        iou: least overlap, a fraction.
        score: least score.
    """
    overlap, box = best_overlap(found, true)
    about = (overlap >= iou) & (found.score >= score)
    s, o, picture = found.score[about], overlap[about], found.picture[about]
    tau, at = kendall_by_group(s, o, box[about])
    of_box = (1 - tau) / 2
    known = np.isfinite(of_box)
    where = true.picture[at[known]]
    return RankAgreement(
        spearman=mean_over_pictures(spearman_by_group(s, o, picture, true.pictures)),
        pearson=mean_over_pictures(pearson_by_group(s, o, picture, true.pictures)),
        inversions=ratio(
            np.bincount(where, of_box[known], minlength=true.pictures), np.bincount(where, minlength=true.pictures)
        ),
        spearman_by_class={
            name: mean_over_pictures(spearman_by_group(s[its], o[its], picture[its], true.pictures)).value
            for label, name in enumerate(true.class_names)
            for its in [found.label[about] == label]
        },
    )


def score_iou_spearman(
    truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    iou: float = IOU,
    score: float = SCORE,
) -> float | None:
    """Spearman's rank correlation of score and overlap of COCO-result rows, as `rank_agreement` has it.

    Args:
        truth: COCO ground truth; boxes as [x, y, width, height] in pixels.
        results: COCO-result rows with the same boxes.
        iou: least overlap, a fraction.
        score: least score.

    Returns a value in [-1, 1]; None where no picture counts.
    """
    true, found = true_boxes(truth), found_boxes(truth, results)
    overlap, _ = best_overlap(found, true)
    about = (overlap >= iou) & (found.score >= score)
    by_picture = spearman_by_group(found.score[about], overlap[about], found.picture[about], true.pictures)
    return mean_over_pictures(by_picture).value


def spearman_by_group(
    x: Float64[np.ndarray, " N"], y: Float64[np.ndarray, " N"], group: Int64[np.ndarray, " N"], groups: int
) -> Float64[np.ndarray, " V"]:
    """Spearman's correlation within each group; nan where a group says nothing."""
    return pearson_by_group(_ranks(x, group), _ranks(y, group), group, groups)


def pearson_by_group(
    x: Float64[np.ndarray, " N"], y: Float64[np.ndarray, " N"], group: Int64[np.ndarray, " N"], groups: int
) -> Float64[np.ndarray, " V"]:
    """Pearson's correlation within each group; nan with fewer than 3 values, or all of one side equal."""
    n = np.bincount(group, minlength=groups)

    def mean(values: Shaped[np.ndarray, " N"]) -> Float64[np.ndarray, " V"]:
        return np.bincount(group, values, minlength=groups) / np.maximum(n, 1)

    dx, dy = x - mean(x)[group], y - mean(y)[group]
    says = (n >= FEWEST) & _varies(x, group, groups) & _varies(y, group, groups)
    under = np.sqrt(mean(dx**2) * mean(dy**2))
    return np.divide(mean(dx * dy), under, out=np.full(groups, np.nan), where=says & (under > 0))


def kendall_by_group(
    x: Float64[np.ndarray, " N"], y: Float64[np.ndarray, " N"], group: Int64[np.ndarray, " N"], large: int = 400
) -> tuple[Float64[np.ndarray, " V"], Int64[np.ndarray, " V"]]:
    """Kendall's tau-b within each group that has members, and the groups; nan where all of one side are equal.

    tau-b = (concordant - discordant) / sqrt(pairs not tied in x * pairs not tied in y).

    Args:
        x, y: what is compared.
        group: of each row.
        large: members of a group from which its pairs are counted by sorting, and not one by one.
    """
    order = np.argsort(group, kind="stable")
    x, y, group = x[order], y[order], group[order]
    names, start, count = np.unique(group, return_index=True, return_counts=True)
    sums = np.zeros((3, len(names)))  # concordant minus discordant, not tied in x, not tied in y
    place = np.repeat(np.arange(len(names)), count)
    small = np.repeat(count < large, count)
    x_small, y_small, place = x[small], y[small], place[small]
    for step in range(1, int(count[count < large].max(initial=1))):
        same = np.flatnonzero(place[step:] == place[:-step])
        dx = np.sign(x_small[same + step] - x_small[same])
        dy = np.sign(y_small[same + step] - y_small[same])
        at = place[same]
        for row, values in enumerate((dx * dy, np.abs(dx), np.abs(dy))):
            sums[row] += np.bincount(at, values, minlength=len(names))
    under = np.sqrt(sums[1] * sums[2])
    tau = np.divide(sums[0], under, out=np.full(len(names), np.nan), where=under > 0)
    for number in np.flatnonzero(count >= large):
        its = slice(start[number], start[number] + count[number])
        if not (_constant(x[its]) or _constant(y[its])):
            tau[number], _ = kendalltau(x[its], y[its])
    return tau, names.astype(np.int64)


def _ranks(values: Float64[np.ndarray, " N"], group: Int64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Mean ranks within groups, up to a constant of the group: ranks over all of (group, rank of the value)."""
    if not len(values):
        return values
    dense = rankdata(values, method="dense").astype(np.int64)
    return rankdata(group * (int(dense.max()) + 1) + dense).astype(np.float64)


def _varies(values: Float64[np.ndarray, " N"], group: Int64[np.ndarray, " N"], groups: int) -> Bool[np.ndarray, " V"]:
    low, high = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(low, group, values)
    np.maximum.at(high, group, values)
    return high > low


def _constant(values: Float64[np.ndarray, " N"]) -> bool:
    return bool((values == values[0]).all())
