"""The contract between an assigner and the rest: what it is given, what it returns.

Letters: B images, P points over all levels, G boxes over the whole batch, C classes, N positives.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from dsla.geometry import GroundTruth, Points


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the network says now, without gradient.

    Attributes:
        logits: (B, P, C) class logits.
        ltrb: (B, P, 4) distances from each point to the predicted sides, in pixels.
        progress: share of the training that is done, 0 to 1; 1 where there is no training. For rules that change
            while the network learns.
    """

    logits: Float[Tensor, "B P C"]
    ltrb: Float[Tensor, "B P 4"]
    progress: float = 1.0


@dataclass(frozen=True, eq=False)
class Assignment:
    """Training targets, one row a positive point, in the order of image and point.

    Attributes:
        image: (N,) index of the image in the batch.
        point: (N,) index of the point.
        gt: (N,) index of the box in the batch's `GroundTruth`.
        score: (N,) classification target in [0, 1] at the box's class.
        weight: (N,) weight of the box loss; 0 in a row that adds a further class to a point.
        ignored: (B, P) True in an ignore region and not positive: no class loss there.
        negative: (N,) share of the background's loss that stays at the same point and class, for methods that
            weight both sides of a label; None where the label alone says it.
    """

    image: Int[Tensor, " N"]
    point: Int[Tensor, " N"]
    gt: Int[Tensor, " N"]
    score: Float[Tensor, " N"]
    weight: Float[Tensor, " N"]
    ignored: Bool[Tensor, "B P"]
    negative: Float[Tensor, " N"] | None = None


@runtime_checkable
class Assigner(Protocol):
    """Decides which points learn which box, and how strongly.

    An assigner is a frozen dataclass: its fields are its configuration. It is deterministic whatever the order
    of the boxes, never touches its inputs, and returns no gradient.
    """

    @property
    def needs_predictions(self) -> bool:
        """Whether `pred` must be given; depends on the configuration, as DSLA's coupling does."""
        ...

    @property
    def positives_inside(self) -> bool:
        """Whether every positive lies strictly inside its box; coverage, for one, puts some outside."""
        ...

    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes.

        Args:
            points: P points of the pyramid.
            truth: G boxes of B images.
            pred: detached predictions; may be None where `needs_predictions` is False.

        Raises:
            ValueError: if predictions are needed and missing.
        """
        ...
