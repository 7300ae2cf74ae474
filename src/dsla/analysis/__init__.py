"""What may be read from a detector's answers: pure functions on arrays and COCO rows, with no network in sight."""

from dsla.analysis.adjacency import Adjacency, compare_neighbours, shortfall, slope
from dsla.analysis.answers import Answers, Candidates
from dsla.analysis.boxes import FoundBoxes, TrueBoxes, best_overlap, coco_rows, found_boxes, true_boxes
from dsla.analysis.calibration import Reliability, reliability
from dsla.analysis.figures import FIGURES, RANKED, REASONS, Figure
from dsla.analysis.lrp import LRP, lrp_of_pictures, optimal_lrp
from dsla.analysis.matching import Matches, match
from dsla.analysis.measures import LABELS, Measures, measure
from dsla.analysis.oracle import average_precision, best_of_picture, chosen_by_worth, ranked_by_worth
from dsla.analysis.over_pictures import OverPictures
from dsla.analysis.ranking import RankAgreement, rank_agreement, score_iou_spearman
from dsla.analysis.suppression import BetterBoxes, Suppression, better_boxes, suppress
from dsla.analysis.tide import tide_errors

__all__ = [
    "FIGURES",
    "LABELS",
    "LRP",
    "RANKED",
    "REASONS",
    "Adjacency",
    "Answers",
    "BetterBoxes",
    "Candidates",
    "Figure",
    "FoundBoxes",
    "Matches",
    "Measures",
    "OverPictures",
    "RankAgreement",
    "Reliability",
    "Suppression",
    "TrueBoxes",
    "average_precision",
    "best_of_picture",
    "best_overlap",
    "better_boxes",
    "chosen_by_worth",
    "coco_rows",
    "compare_neighbours",
    "found_boxes",
    "lrp_of_pictures",
    "match",
    "measure",
    "optimal_lrp",
    "rank_agreement",
    "ranked_by_worth",
    "reliability",
    "score_iou_spearman",
    "shortfall",
    "slope",
    "suppress",
    "tide_errors",
    "true_boxes",
]
