"""The figures that are told of a detector, under one name each: in tables, json, intervals and documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        title: in tables.
        group: what it is about.
        better: which way is better; None where it depends.
        needs: what it cannot do without.
        percent: told in percent.
    """

    title: str
    group: Literal["accuracy", "ranking", "suppression", "oracle", "adjacency", "calibration"]
    better: Literal["higher", "lower"] | None
    needs: Literal["detections", "candidates", "labels"] = "detections"
    percent: bool = False

    def text(self, value: float | None, sign: bool = False) -> str:
        """A value for people: percent with one digit, or three digits; a dash for none."""
        if value is None:
            return "-"
        plus = "+" if sign else ""
        text = f"{100 * value:{plus}.1f}" if self.percent else f"{value:{plus}.3f}"
        return text.replace("-", "−")


FIGURES: Mapping[str, Figure] = {
    "AP": Figure("AP", "accuracy", "higher", percent=True),
    "olrp": Figure("oLRP", "accuracy", "lower", percent=True),
    "olrp_localisation": Figure("oLRP localisation", "accuracy", "lower", percent=True),
    "olrp_false_positives": Figure("oLRP false positives", "accuracy", "lower", percent=True),
    "olrp_false_negatives": Figure("oLRP false negatives", "accuracy", "lower", percent=True),
    "spearman_before": Figure("Spearman, before NMS", "ranking", "higher", "candidates"),
    "pearson_before": Figure("Pearson, before NMS", "ranking", "higher", "candidates"),
    "inversions_before": Figure("inversions a box, before NMS", "ranking", "lower", "candidates", percent=True),
    "spearman": Figure("Spearman, given out", "ranking", "higher"),
    "better_suppressed": Figure("better box suppressed", "suppression", "lower", "candidates", percent=True),
    "better_suppressed_05": Figure("... by more than .05", "suppression", "lower", "candidates", percent=True),
    "iou_lost": Figure("IoU lost to NMS", "suppression", "lower", "candidates", percent=True),
    "oracle_before": Figure("oracle gap, before NMS", "oracle", "lower", "candidates", percent=True),
    "oracle_after": Figure("oracle gap, after NMS", "oracle", "lower", percent=True),
    "slope_own": Figure("slope, own labels", "adjacency", None, "labels"),
    "slope_hard": Figure("slope, hard labels", "adjacency", None, "labels"),
    "slope_dsla": Figure("slope, DSLA's labels", "adjacency", None, "labels"),
    "shortfall_own": Figure("B, own labels", "adjacency", None, "labels"),
    "shortfall_hard": Figure("B, hard labels", "adjacency", "lower", "labels"),
    "shortfall_dsla": Figure("B, DSLA's labels", "adjacency", "lower", "labels"),
    "laece": Figure("LaECE₀", "calibration", "lower", percent=True),
    "dece": Figure("D-ECE", "calibration", "lower", percent=True),
}
RANKED = {"AP": None, "oracle_before": "AP", "oracle_after": "AP"}
"""Figures that come from AP, which is no sum over pictures, and what is taken off them."""
REASONS = {
    "candidates": "needs boxes before NMS, which a file of results does not hold; give the model, or --nms",
    "labels": "needs the scores of all points and an assigner; give the model",
}
"""Why a figure that needs this is not there."""
