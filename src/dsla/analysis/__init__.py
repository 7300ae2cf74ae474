"""What may be read from a detector's answers: pure functions on arrays and COCO rows, with no network in sight."""

from dsla.analysis.ranking import score_iou_spearman

__all__ = ["score_iou_spearman"]
