"""What a detector said of a data set: what it gave out, and where it is known, what it chose from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64

from dsla.analysis.boxes import FoundBoxes
from dsla.analysis.oracle import best_of_picture
from dsla.analysis.suppression import Suppression, suppress


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes before non-maximum suppression, and how detections are chosen from them.

    Attributes:
        found: all boxes over a score of 0.001.
        nms_iou: boxes of a class that overlap more are suppressed; None for no suppression.
        score: boxes must score more to be given out.
        most: boxes of a picture that are given out.
    """

    found: FoundBoxes
    nms_iou: float | None
    score: float = 0.0
    most: int = 100

    @cached_property
    def suppression(self) -> Suppression:
        """What NMS does to them."""
        return suppress(self.found, self.nms_iou)

    @cached_property
    def standing(self) -> Int64[np.ndarray, " S"]:
        """Rows that are given out, by picture and falling score.

        Lower scores never suppress higher ones, so a threshold after NMS chooses what one before it would.
        """
        kept = np.flatnonzero(self.suppression.kept & (self.found.score > self.score))
        return kept[best_of_picture(self.found.take(kept), self.most)]


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of a detector.

    Attributes:
        found: boxes that were given out.
        candidates: what they were chosen from; None where that is not known, as of results in a file.
    """

    found: FoundBoxes
    candidates: Candidates | None = None

    @staticmethod
    def chosen_from(candidates: Candidates) -> "Answers":
        """What NMS and limits leave of candidates."""
        return Answers(candidates.found.take(candidates.standing), candidates)
