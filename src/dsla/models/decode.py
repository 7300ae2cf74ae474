"""From the head's output to detections: threshold, top-k a level, boxes, class-aware NMS.

The steps and their order are torchvision's FCOS's: scores above a threshold, the k best (point, class) pairs
of each level, boxes clipped to the picture, non-maximum suppression within each class, the best of what is
left. A point may give several classes; boxes without area are dropped, which torchvision keeps.

Letters: B images, P points, C classes, N detections of a picture, K candidates.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import batched_nms

from dsla.errors import ConfigError
from dsla.geometry.boxes import boxes_from_ltrb
from dsla.geometry.points import Points
from dsla.models.head import HeadOutput

LOGIT_SLACK = 1e-3  # the cheap test on logits lets a little more through than the exact one on scores


@dataclass(frozen=True)
class Decoding:
    """How detections are chosen.

    Attributes:
        score_threshold: scores must be greater.
        nms_iou: of two boxes of a class that overlap more, the one with the lower score goes; None leaves
            non-maximum suppression out, for detectors that learn one point a box.
        topk: candidates kept of each level.
        max_detections: detections kept of a picture.
        score: "class" is the class probability p; with the quality branch's probability q, "sqrt" is sqrt(p *
            q) and "product" p * q.
        spacing: where boxes are read from. "stride" is where the points lie. "picture" spreads a level's points over
            the padded picture, side // number of points apart, as torchvision's FCOS does in training and use: less
            than the stride where the padded side is no multiple of it, as on P6 and P7 of most pictures.
    """

    score_threshold: float = 0.05
    nms_iou: float | None = 0.6
    topk: int = 1000
    max_detections: int = 100
    score: Literal["class", "sqrt", "product"] = "class"
    spacing: Literal["stride", "picture"] = "stride"

    def __post_init__(self) -> None:
        for name in ("score_threshold", "nms_iou"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} is {value}; it must lie in 0 to 1")
        for name in ("topk", "max_detections"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True, eq=False)
class Detected:
    """The detections of a picture, best first.

    Attributes:
        boxes: (N, 4) xyxy, pixels of the network's input, within the picture, of positive area.
        scores: (N,) in [0, 1], descending.
        labels: (N,) class indices.
    """

    boxes: Float[Tensor, "N 4"]
    scores: Float[Tensor, " N"]
    labels: Int[Tensor, " N"]


@torch.no_grad()
def detect(output: HeadOutput, sizes: Int[Tensor, "B 2"], decoding: Decoding) -> list[Detected]:
    """Choose the detections of each picture; equal scores in the order of points, then of classes.

    Args:
        output: of the detector.
        sizes: true (h, w) of each picture, in pixels of the network's input.
        decoding: thresholds and limits.

    Raises:
        ConfigError: if the score needs a quality branch and there is none.
    """
    if decoding.score != "class" and output.quality is None:
        raise ConfigError(f"score {decoding.score} needs a detector with a quality branch; use score class")
    return [_detect_one(output, image, (int(h), int(w)), decoding) for image, (h, w) in enumerate(sizes.tolist())]


def _detect_one(output: HeadOutput, image: int, size: tuple[int, int], decoding: Decoding) -> Detected:
    point, label, score = _candidates(output, image, decoding)
    order = score.argsort(descending=True, stable=True)
    order = order[_best_of_levels(output.points.level[point[order]], len(output.points.sizes), decoding.topk)]
    point, label, score = point[order], label[order], score[order]
    xy = output.points.xy if decoding.spacing == "stride" else _spread(output.points)
    boxes = boxes_from_ltrb(xy[point], output.ltrb[image, point].float())
    boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([size[1], size[0], size[1], size[0]]))
    real = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    boxes, label, score = boxes[real], label[real], score[real]
    if decoding.nms_iou is not None:
        # The candidates are in order, so their indices are too; torchvision breaks ties in an order of its own.
        keep = batched_nms(boxes, score, label, decoding.nms_iou).sort().values
        boxes, label, score = boxes[keep], label[keep], score[keep]
    most = decoding.max_detections
    return Detected(boxes=boxes[:most], scores=score[:most], labels=label[:most])


def _spread(points: Points) -> Float[Tensor, "P 2"]:
    """The points, each level's spread over the padded picture in whole pixels."""
    height, width = (side * points.strides[0] for side in points.sizes[0])
    levels = zip(points.sizes, points.strides, strict=True)
    factors = [(width // w / stride, height // h / stride) for (h, w), stride in levels]
    return points.xy * points.xy.new_tensor(factors)[points.level]


def _candidates(
    output: HeadOutput, image: int, decoding: Decoding
) -> tuple[Int[Tensor, " K"], Int[Tensor, " K"], Float[Tensor, " K"]]:
    """Give point, class and score of all pairs above the threshold, ordered by point, then class."""
    logits, threshold = output.logits[image], decoding.score_threshold
    # A score is at most p, or sqrt(p): this much of p is needed whatever the quality.
    needed = threshold**2 if decoding.score == "sqrt" else threshold
    bound = -math.inf if needed == 0 else math.inf if needed == 1 else math.log(needed / (1 - needed)) - LOGIT_SLACK
    point, label = (logits > bound).nonzero(as_tuple=True)
    score = logits[point, label].float().sigmoid()
    if decoding.score != "class":
        assert output.quality is not None
        score = score * output.quality[image, point].float().sigmoid()
        score = score.sqrt() if decoding.score == "sqrt" else score
    above = score > threshold
    return point[above], label[above], score[above]


def _best_of_levels(level: Int[Tensor, " K"], levels: int, topk: int) -> Bool[Tensor, " K"]:
    """Mark the first `topk` of every level."""
    marked = torch.ones_like(level, dtype=torch.bool)
    if len(level) > topk:
        for one in range(levels):
            here = level == one
            marked &= ~here | (here.cumsum(0) <= topk)
    return marked
