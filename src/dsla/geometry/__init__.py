"""Boxes, points and lattice pairs: the ground under everything, on torch alone."""

from dsla.geometry.boxes import EPS, boxes_from_ltrb, ltrb_from_boxes, ltrb_giou, ltrb_iou, ltrb_iou_giou, ltrb_overlap
from dsla.geometry.extremes import Extremes
from dsla.geometry.pairs import (
    Pairs,
    Ranges,
    Rows,
    pairs_inside,
    pairs_of_rows,
    rows_everywhere,
    rows_inside,
    side_by_side,
    side_rows,
)
from dsla.geometry.points import Points
from dsla.geometry.truth import GroundTruth

__all__ = [
    "EPS",
    "Extremes",
    "GroundTruth",
    "Pairs",
    "Points",
    "Ranges",
    "Rows",
    "boxes_from_ltrb",
    "ltrb_from_boxes",
    "ltrb_giou",
    "ltrb_iou",
    "ltrb_iou_giou",
    "ltrb_overlap",
    "pairs_inside",
    "pairs_of_rows",
    "rows_everywhere",
    "rows_inside",
    "side_by_side",
    "side_rows",
]
