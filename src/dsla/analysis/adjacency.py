"""Whether neighbouring points are told apart as their labels are: DSLA's first inconsistency.

A pair is two 4-neighbours p, q on the lattice of one pyramid level, with a class c that at least one of the two is
positive for (two rows where they are positive for different classes). Let

    y_p   the label of p for c: what the assigner gave it if it is positive for c, else 0
    s_p   the network's probability of c at p, the sigmoid of the class logit: what the label is the target of
    dy = |y_p - y_q|, ds = |s_p - s_q|

    slope   of ds on dy, least squares with intercept; 1 where scores follow the labels, 0 where they ignore them
    B       mean of max(0, dy - ds) over the pairs with dy >= 0.5: by how much scores fall short of a jump in the labels

Hard labels jump by 1 at every border; smooth ones rarely by 0.5. So B is taken on several assigners' labels for the
same scores: on a network's own labels the smoother ones would win by construction. Points inside ignore regions, which
nothing was asked of, are in no pair. The paper (arXiv 2208.00817, section 1 and figure 1) describes this and does not
measure it; the measures are ours.

Letters: P points, C classes, K pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from dsla.analysis.over_pictures import OverPictures, divided

JUMP = 0.5
BINS = 20
_MOMENTS = 7


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Sums over the pairs of one picture, from which slope and B follow.

    Attributes:
        moments: (7,) pairs, sum of dy, of ds, of dy * ds, of dy squared; pairs with a jump, and their shortfalls.
        density: (20, 20) pairs by dy and ds.
    """

    moments: Float64[np.ndarray, "7"]
    density: Int64[np.ndarray, "20 20"]


def neighbours(sizes: Sequence[tuple[int, int]]) -> Int64[np.ndarray, "K 2"]:
    """Indices of all 4-neighbours of a pyramid's points, level-major, then row-major; each pair once.

    Args:
        sizes: (h, w) of each level's lattice.
    """
    pairs: list[np.ndarray] = []
    start = 0
    for h, w in sizes:
        index = start + np.arange(h * w).reshape(h, w)
        pairs.append(np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()], axis=1))
        pairs.append(np.stack([index[:-1].ravel(), index[1:].ravel()], axis=1))
        start += h * w
    return np.concatenate(pairs).astype(np.int64)


def compare_neighbours(
    sizes: Sequence[tuple[int, int]],
    scores: Float32[np.ndarray, "P C"],
    point: Int64[np.ndarray, " N"],
    label: Int64[np.ndarray, " N"],
    target: Float64[np.ndarray, " N"],
    ignored: Bool[np.ndarray, " P"],
) -> Adjacency:
    """Compare differences of labels and of scores between neighbours of one picture.

    Args:
        sizes: (h, w) of each level's lattice.
        scores: class probabilities.
        point: positive points.
        label: class of each.
        target: label of each, in [0, 1].
        ignored: points inside ignore regions.
    """
    y = np.zeros(scores.shape)
    np.maximum.at(y, (point, label), target)
    pairs = neighbours(sizes)
    pairs = pairs[~ignored[pairs].any(axis=1)]
    positive = y > 0
    row, c = np.nonzero(positive[pairs[:, 0]] | positive[pairs[:, 1]])
    p, q = pairs[row, 0], pairs[row, 1]
    dy = np.abs(y[p, c] - y[q, c])
    ds = np.abs(scores[p, c].astype(np.float64) - scores[q, c])
    jump = dy >= JUMP
    moments = [len(dy), dy.sum(), ds.sum(), (dy * ds).sum(), (dy**2).sum(), jump.sum(), (dy - ds)[jump].clip(0).sum()]
    cells = [np.minimum((values * BINS).astype(np.int64), BINS - 1) for values in (dy, ds)]
    density = np.bincount(cells[0] * BINS + cells[1], minlength=BINS**2).reshape(BINS, BINS)
    return Adjacency(np.array(moments, dtype=np.float64), density.astype(np.int64))


def slope(pictures: Sequence[Adjacency]) -> OverPictures:
    """Slope of ds on dy over the pairs of all pictures; nothing where all dy are equal."""

    def of(sums: Float64[np.ndarray, "M W"]) -> Float64[np.ndarray, " W"]:
        n, y, s, ys, yy = sums
        spread = n * yy - y**2
        return divided(n * ys - y * s, np.where(spread > 1e-9 * np.maximum(n * yy, 1e-12), spread, 0))

    return OverPictures(_moments(pictures)[:5], of)


def shortfall(pictures: Sequence[Adjacency]) -> OverPictures:
    """B over the pairs of all pictures; nothing where no label jumps."""
    return OverPictures(_moments(pictures)[5:], lambda sums: divided(sums[1], sums[0]))


def _moments(pictures: Sequence[Adjacency]) -> Float64[np.ndarray, "7 I"]:
    return np.stack([each.moments for each in pictures], axis=1) if pictures else np.zeros((_MOMENTS, 0))
