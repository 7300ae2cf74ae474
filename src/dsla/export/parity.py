"""How far what an artefact finds is from what the network in torch finds.

Detections are matched in the order of the network's scores: each takes the artefact's free detection of its class that
overlaps it most, by at least one half. What is left over on either side is unmatched. A score that hardly passes the
threshold, or that hardly belongs to the best `max_detections`, may be on one side only without anything being wrong:
it counts as unmatched only if it lies above both by more than the bound on scores.

Letters: N, M detections of the network and of the artefact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32
from torchvision.ops import box_iou

from dsla.models import Decoding, Detected

MATCH_IOU = 0.5


@dataclass
class Differences:
    """Gathered over pictures; differences of boxes are in pixels of the network's input."""

    boxes: list[float] = field(default_factory=list[float])
    """Greatest difference of the four sides, for each matched pair."""
    scores: list[float] = field(default_factory=list[float])
    unmatched: list[float] = field(default_factory=list[float])
    """Scores of what only one side found."""
    pictures: int = 0

    @property
    def compared(self) -> int:
        """Matched pairs and unmatched detections."""
        return len(self.boxes) + len(self.unmatched)

    def add(self, network: Detected, artefact: Detected, decoding: Decoding, slack: float) -> None:
        """Compare the detections of a picture; `slack` is the bound on scores."""
        pairs, alone = match(network, artefact)
        for n, m in pairs:
            self.boxes.append(float((network.boxes[n] - artefact.boxes[m]).abs().max()))
            self.scores.append(float((network.scores[n] - artefact.scores[m]).abs()))
        full = [found for found in (network, artefact) if len(found.scores) >= decoding.max_detections]
        sure = max([decoding.score_threshold, *(float(found.scores[-1]) for found in full)]) + slack
        self.unmatched += [score for score in alone if score > sure]
        self.pictures += 1

    def to_json(self) -> dict[str, float | int | None]:
        """Counts, and the greatest and the middle difference."""
        return {
            "pictures": self.pictures,
            "matched": len(self.boxes),
            "unmatched": len(self.unmatched),
            "unmatched_best_score": max(self.unmatched, default=None),
            "boxes_max": max(self.boxes, default=None),
            "boxes_median": float(np.median(self.boxes)) if self.boxes else None,
            "scores_max": max(self.scores, default=None),
            "scores_median": float(np.median(self.scores)) if self.scores else None,
        }


def match(network: Detected, artefact: Detected) -> tuple[list[tuple[int, int]], list[float]]:
    """Pairs of indices, and the scores of what is on one side only."""
    overlap: Float32[np.ndarray, "N M"] = box_iou(network.boxes, artefact.boxes).numpy()
    overlap = np.where(network.labels.numpy()[:, None] == artefact.labels.numpy()[None], overlap, 0)
    pairs: list[tuple[int, int]] = []
    for n, row in enumerate(overlap):
        if row.size and row[m := int(row.argmax())] >= MATCH_IOU:
            pairs.append((n, m))
            overlap[:, m] = 0
    here, there = ({pair[side] for pair in pairs} for side in (0, 1))
    return pairs, _left(network.scores.tolist(), here) + _left(artefact.scores.tolist(), there)


def _left(scores: Sequence[float], matched: set[int]) -> list[float]:
    return [score for index, score in enumerate(scores) if index not in matched]
