"""The criterion: an assigner and losses make named, normalised loss terms.

    class loss    sum over all counted points and classes / max(sum of score, 1)
    box loss      sum of weight * loss(box)               / max(sum of weight, 1)
    quality loss  sum of BCE(branch, centerness or IoU)   / max(number of positives, 1)

The sums beneath the line go over all W processes, and are then divided by W: averaged by DDP, gradients equal those of
one process with the whole batch. (The released code takes the maximum after the division, which is max(sum, W).) The
three travel in one all-reduce that every process joins, with positives or without: one that stays away would hang the
others.

Letters: B images, P points, C classes, N positives.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from dsla.assign import Assigner, Assignment, Predictions
from dsla.assign.centerness import centerness_weight
from dsla.errors import TrainingError
from dsla.geometry import GroundTruth, ltrb_from_boxes, ltrb_iou
from dsla.losses import AnyBoxLoss, AnyClassLoss
from dsla.models import HeadOutput

BoxWeighting: TypeAlias = Literal["assigner", "score", "one", "centerness"]
QualityTarget: TypeAlias = Literal["centerness", "iou"]


class NonFiniteLossError(TrainingError):
    """A loss term is NaN or infinite.

    Attributes:
        term: name of the loss term.
        images: indices in the batch of the images it comes from.
        levels: indices of the pyramid levels it comes from.
    """

    def __init__(self, term: str, images: list[int], levels: list[int]) -> None:
        self.term, self.images, self.levels = term, images, levels
        super().__init__(f"{term} is not finite on pyramid level(s) {levels}, image(s) {images} of the batch")


@dataclass(frozen=True, eq=False)
class Losses:
    """Loss terms, weights included, and what they were made of.

    Attributes:
        terms: scalar tensors by name: `loss_class`, `loss_box`, and `loss_quality` where a branch learns it.
        assignment: the targets used.
    """

    terms: dict[str, Tensor]
    assignment: Assignment

    @property
    def total(self) -> Float[Tensor, ""]:
        """Sum of all terms; what is differentiated."""
        return torch.stack(list(self.terms.values())).sum()


@dataclass(frozen=True)
class Criterion:
    """Assign, then compare.

    Attributes:
        assigner: which points learn which box.
        class_loss: loss of the class logits.
        box_loss: loss of the predicted boxes at positive points.
        class_weight: factor of the class loss.
        box_weight: factor of the box loss.
        quality_weight: factor of the quality branch's loss.
        box_weighting: what weights a positive in the box loss: what the assigner says, its class target, nothing
            ("one"), or the point's centerness.
        quality_target: what a quality branch learns.
    """

    assigner: Assigner
    class_loss: AnyClassLoss
    box_loss: AnyBoxLoss
    class_weight: float = 1.0
    box_weight: float = 1.0
    quality_weight: float = 1.0
    box_weighting: BoxWeighting = "assigner"
    quality_target: QualityTarget = "centerness"

    def __call__(self, output: HeadOutput, truth: GroundTruth, progress: float = 1.0) -> Losses:
        """Loss terms of a batch.

        Args:
            output: what the head gives, with gradient.
            truth: boxes of the same images.
            progress: share of the training that is done, 0 to 1.

        Raises:
            NonFiniteLossError: if a term is NaN or infinite.
        """
        B, P, C = output.logits.shape
        said = Predictions(output.logits.detach(), output.ltrb.detach(), progress)
        assignment = self.assigner(output.points, truth, said)
        slot = assignment.image * P + assignment.point
        target = ltrb_from_boxes(output.points.xy[assignment.point], truth.boxes[assignment.gt].float())
        boxed = assignment.weight > 0  # a further class of a point says nothing about its box
        weight = self._box_weights(assignment, target) * boxed
        norm_score, norm_weight, norm_count = _normalisers(assignment.score, weight, boxed)

        per_point = self.class_loss(
            output.logits.reshape(B * P, C),
            slot,
            truth.labels[assignment.gt],
            assignment.score,
            ~assignment.ignored.reshape(B * P),
            assignment.negative,
        )
        ltrb = output.ltrb.reshape(B * P, 4)[slot].float()
        per_box = self.box_loss(ltrb, target) * weight
        # Every parameter takes part in every step, as DDP asks for: an empty selection still reaches the branch.
        boxes = per_box.sum() + output.ltrb[:, :0].sum()
        terms = {
            "loss_class": self.class_weight * per_point.sum() / norm_score,
            "loss_box": self.box_weight * boxes / norm_weight,
        }
        parts = {
            "loss_class": (per_point, torch.arange(B * P, device=slot.device)),
            "loss_box": (per_box, slot),
        }
        if output.quality is not None:
            logit = output.quality.reshape(B * P)[slot[boxed]].float()
            if self.quality_target == "iou":
                goal = ltrb_iou(ltrb.detach()[boxed], target[boxed]).clamp(0, 1)
            else:
                goal = centerness_weight(target[boxed])
            per_quality = F.binary_cross_entropy_with_logits(logit, goal, reduction="none")
            quality = per_quality.sum() + output.quality[:, :0].sum()
            terms["loss_quality"] = self.quality_weight * quality / norm_count
            parts["loss_quality"] = (per_quality, slot[boxed])
        losses = Losses(terms, assignment)
        if not bool(torch.isfinite(losses.total.detach())):
            _blame(losses, parts, output)
        return losses

    def _box_weights(self, assignment: Assignment, target: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
        if self.box_weighting == "assigner":
            return assignment.weight
        if self.box_weighting == "score":
            return assignment.score
        if self.box_weighting == "one":
            return torch.ones_like(assignment.weight)
        return centerness_weight(target)


def _normalisers(
    score: Float[Tensor, " N"], weight: Float[Tensor, " N"], boxed: Bool[Tensor, " N"]
) -> Float[Tensor, "3"]:
    """Sum of score, sum of weight and number of boxed points of all processes, at least 1; each process's share."""
    sums = torch.stack([score.sum(), weight.sum(), boxed.sum().to(score.dtype)])
    processes = 1
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(sums)
        processes = dist.get_world_size()
    return sums.clamp(min=1) / processes


def _blame(losses: Losses, parts: dict[str, tuple[Tensor, Tensor]], output: HeadOutput) -> None:
    """Raise the error that names the first term that is not finite, and where it comes from."""
    P = len(output.points)
    for term, (values, slot) in parts.items():
        if bool(torch.isfinite(losses.terms[term])):
            continue
        wrong = slot[~torch.isfinite(values.detach())]
        images = torch.div(wrong, P, rounding_mode="floor").unique().tolist()
        levels = output.points.level[wrong % P].unique().tolist()
        raise NonFiniteLossError(term, images, levels)
    raise NonFiniteLossError("the sum of the losses", [], [])
