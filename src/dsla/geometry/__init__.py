"""Boxes, points and lattice pairs: the ground under everything, on torch alone."""

from dsla.geometry.boxes import EPS, boxes_from_ltrb, ltrb_from_boxes, ltrb_giou, ltrb_iou, ltrb_overlap
from dsla.geometry.pairs import Pairs, Ranges, pairs_at_most, pairs_inside
from dsla.geometry.points import Points
from dsla.geometry.truth import GroundTruth

__all__ = [
    "EPS",
    "GroundTruth",
    "Pairs",
    "Points",
    "Ranges",
    "boxes_from_ltrb",
    "ltrb_from_boxes",
    "ltrb_giou",
    "ltrb_iou",
    "ltrb_overlap",
    "pairs_at_most",
    "pairs_inside",
]
