"""Whether a score is what it says: the chance of a hit, or the overlap with the object.

    D-ECE    = sum over 10 bins of n_b / n * | mean score of b - share of hits in b |
    LaECE_0  = mean over classes of: sum over 25 bins of n_b / n * | mean score of b - mean IoU in b |

D-ECE: Küppers et al., "Multivariate Confidence Calibration for Object Detection", CVPRW 2020, with the score alone and
hits at IoU 0.5. LaECE_0: Kuzucu et al., "On Calibration of Object Detectors: Pitfalls, Evaluation and Baselines", ECCV
2024: matched at any overlap, and the IoU of a box without a match is 0. Bins are (a, b], the first one with its 0.

As Kuzucu et al. ask, only boxes that would be used are judged: those over the class's threshold of least LRP, which is
fixed on every second picture and used on the others, so that it is not chosen by what it is judged on. A detector that
gives thousands of boxes near 0 would look well calibrated by them.

Letters: N found boxes, C classes, I pictures.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import csr_array

from dsla.analysis.boxes import FoundBoxes, TrueBoxes
from dsla.analysis.lrp import best_thresholds, halves
from dsla.analysis.matching import Matches
from dsla.analysis.over_pictures import OverPictures, divided

DECE_BINS, LAECE_BINS = 10, 25


@dataclass(frozen=True, eq=False)
class Reliability:
    """Calibration of the boxes that would be used.

    Attributes:
        dece: D-ECE; None where no box is used.
        laece: LaECE_0.
        threshold: (C,) scores from which boxes of each class are used.
        curve: (10, 3) of D-ECE's bins: boxes, sum of scores, hits.
    """

    dece: OverPictures
    laece: OverPictures
    threshold: Float64[np.ndarray, " C"]
    curve: Float64[np.ndarray, "10 3"]


def reliability(found: FoundBoxes, true: TrueBoxes, matches: Matches, any_overlap: Matches) -> Reliability:
    """D-ECE and LaECE_0 on every second picture, at the thresholds of the others.

    Args:
        found: boxes that were given out.
        true: ground truth.
        matches: of them at IoU 0.5.
        any_overlap: of them at IoU 0.
    """
    half = halves(true.pictures)
    threshold = best_thresholds(found, true, matches, pictures=half == 0)
    used = (half[found.picture] == 1) & (found.score >= threshold[found.label])
    dece = calibration_error(found, matches.hit.astype(np.float64), used & matches.counted, true.pictures, DECE_BINS)
    laece = calibration_error(
        found, any_overlap.iou, used & any_overlap.counted, true.pictures, LAECE_BINS, len(true.class_names)
    )
    curve = np.asarray(dece.sums.sum(axis=1)).reshape(3, DECE_BINS).T
    return Reliability(dece, laece, threshold, curve)


def calibration_error(
    found: FoundBoxes,
    worth: Float64[np.ndarray, " N"],
    used: Bool[np.ndarray, " N"],
    pictures: int,
    bins: int,
    classes: int = 1,
) -> OverPictures:
    """Binned difference of score and worth, weighted by boxes; the mean of classes that have any.

    Args:
        found: scored boxes.
        worth: what the score of each should have been.
        used: which of them count.
        pictures: I.
        bins: of equal width.
        classes: 1 bins all boxes together.
    """
    score, picture = found.score[used], found.picture[used]
    label = found.label[used] if classes > 1 else np.zeros(len(score), dtype=np.int64)
    cell = label * bins + bin_of(score, bins)
    cells = classes * bins
    rows = np.concatenate([cell, cells + cell, 2 * cells + cell])
    values = np.concatenate([np.ones(len(score)), score, worth[used]])
    sums = csr_array((values, (rows, np.tile(picture, 3))), shape=(3 * cells, pictures))

    def of(sums: Float64[np.ndarray, "M W"]) -> Float64[np.ndarray, " W"]:
        n, scores, worths = sums.reshape(3, classes, bins, -1)
        each = divided(np.abs(scores - worths).sum(axis=1), n.sum(axis=1))  # (classes, W)
        known = np.isfinite(each)
        return divided(np.where(known, each, 0).sum(axis=0), known.sum(axis=0))

    return OverPictures(sums, of)


def bin_of(score: Float64[np.ndarray, " N"], bins: int) -> Int64[np.ndarray, " N"]:
    """Bin (a, b] of each score in [0, 1]; 0 belongs to the first."""
    edges = np.linspace(0, 1, bins + 1)
    return (np.searchsorted(edges, score, "left") - 1).clip(0, bins - 1).astype(np.int64)
