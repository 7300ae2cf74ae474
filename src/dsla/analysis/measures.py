"""Everything that is measured of a detector's answers, in one go, and what its pictures need.

`measure` is a pure function of arrays: where they come from, a model or somebody else's file, is the engine's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from dsla.analysis.adjacency import Adjacency, shortfall, slope
from dsla.analysis.answers import Answers
from dsla.analysis.boxes import FoundBoxes, TrueBoxes, best_overlap, true_boxes
from dsla.analysis.calibration import Reliability, reliability
from dsla.analysis.figures import FIGURES, RANKED, REASONS
from dsla.analysis.lrp import LRP, optimal_lrp
from dsla.analysis.matching import match
from dsla.analysis.oracle import average_precision, chosen_by_worth, ranked_by_worth
from dsla.analysis.over_pictures import OverPictures
from dsla.analysis.ranking import IOU, RankAgreement, rank_agreement
from dsla.analysis.suppression import BetterBoxes, better_boxes
from dsla.analysis.tide import tide_errors

LABELS = ("own", "hard", "dsla")
"""Whose labels neighbours are compared by: the model's own assigner's, FCOS's hard ones, DSLA's."""
_CELLS = 50


@dataclass(frozen=True, eq=False)
class Measures:
    """What was measured.

    Attributes:
        values: by name of `FIGURES`; None where there is nothing to say.
        missing: why a figure is not there, by name.
        sums: the figures that can be computed anew on any draw of pictures.
        ranked: the boxes whose AP the figures of `RANKED` are made of.
        by_class: Spearman (before NMS if it is known) and oLRP of each class, and the score it is best used at.
        tide: AP50 to be won by kind of error, their counts, and the calibration error of all boxes.
        density: (50, 50) boxes by score and IoU, both from 0.5 of IoU on; before NMS if that is known.
        neighbours: (20, 20) pairs by difference of labels and of scores, for each of `LABELS`.
        reliability: (10, 3) boxes, sum of scores, and hits by bin of the score.
        better: what NMS suppressed; None where it is not known.
    """

    values: dict[str, float | None]
    missing: dict[str, str]
    sums: dict[str, OverPictures]
    ranked: dict[str, FoundBoxes]
    by_class: dict[str, dict[str, float | None]]
    tide: dict[str, Any]
    density: Int64[np.ndarray, "s i"]
    neighbours: dict[str, Int64[np.ndarray, "a b"]]
    reliability: Float64[np.ndarray, "10 3"]
    better: BetterBoxes | None

    def to_json(self) -> dict[str, Any]:
        """Figures, tables and what figures are drawn from, made of plain numbers, lists and dictionaries."""
        return {
            "figures": self.values,
            "missing": self.missing,
            "by_class": self.by_class,
            "tide": self.tide,
            "density": self.density.tolist(),
            "neighbours": {name: cells.tolist() for name, cells in self.neighbours.items()},
            "reliability": self.reliability.tolist(),
        }


def measure(
    truth: Mapping[str, Any], answers: Answers, neighbours: Mapping[str, Sequence[Adjacency]] | None = None
) -> Measures:
    """Measure everything that the answers allow.

    Args:
        truth: COCO ground truth.
        answers: numbered as `true_boxes` numbers the truth.
        neighbours: what `compare_neighbours` gave for each picture, by `LABELS`; None where no labels are known.
    """
    true, found, candidates = true_boxes(truth), answers.found, answers.candidates
    matches, any_overlap = match(found, true), match(found, true, 0.0)
    lrp = optimal_lrp(found, true, matches)
    reliable = reliability(found, true, matches, any_overlap)
    ranks = rank_agreement(found, true)
    sums = _of_detections(lrp, reliable, ranks)
    ranked = {"AP": found, "oracle_after": ranked_by_worth(found, true)}
    better = None
    looked_at = found
    if candidates is not None:
        looked_at = candidates.found
        ranks = rank_agreement(looked_at, true)
        better = better_boxes(looked_at, true, candidates.suppression, candidates.standing, matches=matches)
        sums |= _of_candidates(ranks, better)
        ranked["oracle_before"] = chosen_by_worth(looked_at, true, candidates.nms_iou, candidates.most)
    for name, pictures in (neighbours or {}).items():
        sums |= {f"slope_{name}": slope(pictures), f"shortfall_{name}": shortfall(pictures)}
    values = {name: figure.value for name, figure in sums.items()} | _gaps(truth, ranked)
    return Measures(
        values={name: values[name] for name in FIGURES if name in values},
        missing={name: REASONS[figure.needs] for name, figure in FIGURES.items() if name not in values},
        sums=sums,
        ranked=ranked,
        by_class=_by_class(true, lrp, ranks),
        tide=tide_errors(truth, found),
        density=_density(looked_at, true),
        neighbours={name: sum_of(pictures) for name, pictures in (neighbours or {}).items() if pictures},
        reliability=reliable.curve,
        better=better,
    )


def sum_of(pictures: Sequence[Adjacency]) -> Int64[np.ndarray, "a b"]:
    """Pairs of all pictures by difference of labels and of scores."""
    return np.sum([each.density for each in pictures], axis=0)


def _of_detections(lrp: LRP, reliable: Reliability, ranks: RankAgreement) -> dict[str, OverPictures]:
    return {
        "olrp": lrp.error,
        "olrp_localisation": lrp.localisation,
        "olrp_false_positives": lrp.false_positives,
        "olrp_false_negatives": lrp.false_negatives,
        "spearman": ranks.spearman,
        "laece": reliable.laece,
        "dece": reliable.dece,
    }


def _of_candidates(ranks: RankAgreement, better: BetterBoxes) -> dict[str, OverPictures]:
    return {
        "spearman_before": ranks.spearman,
        "pearson_before": ranks.pearson,
        "inversions_before": ranks.inversions,
        "better_suppressed": better.share[0],
        "better_suppressed_05": better.share[1],
        "iou_lost": better.lost,
    }


def _gaps(truth: Mapping[str, Any], ranked: Mapping[str, FoundBoxes]) -> dict[str, float | None]:
    """AP and the gaps to it."""
    ap = {name: average_precision(truth, found) for name, found in ranked.items()}
    gaps: dict[str, float | None] = {}
    for name, value in ap.items():
        less = RANKED[name]
        base = 0.0 if less is None else ap[less]
        gaps[name] = None if value is None or base is None else value - base
    return gaps


def _by_class(true: TrueBoxes, lrp: LRP, ranks: RankAgreement) -> dict[str, dict[str, float | None]]:
    return {
        name: {
            "spearman": ranks.spearman_by_class[name],
            "olrp": lrp.by_class[name],
            "best_score": score if np.isfinite(score) else None,
        }
        for name, score in zip(true.class_names, lrp.threshold.tolist(), strict=True)
        if name in lrp.by_class
    }


def _density(found: FoundBoxes, true: TrueBoxes) -> Int64[np.ndarray, "s i"]:
    overlap, _ = best_overlap(found, true)
    about = overlap >= IOU
    edges = np.linspace(0, 1, _CELLS + 1)
    cells, _, _ = np.histogram2d(found.score[about], overlap[about], bins=[edges, np.linspace(IOU, 1, _CELLS + 1)])
    return cells.astype(np.int64)
