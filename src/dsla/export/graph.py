"""What is exported: from uint8 pictures to raw boxes and logits, or all the way to detections.

Colour order, mean, scale and the blanking of the padding are inside, so that whoever runs the graph only decodes,
resizes and pads. The points are made in the graph from the sizes of the feature maps: any batch and any size goes in.

Letters: B images, H and W pixels, P points, C classes, K candidates, D places for detections.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from dsla.export.suppression import suppress
from dsla.models import Decoding, Detector

DIVISOR = 32
Side: TypeAlias = int | torch.SymInt  # a number, or a symbol while the graph is traced
Prepare: TypeAlias = Callable[[Tensor, Tensor], Tensor]


class RawGraph(nn.Module):
    """Logits, boxes clipped to the true sizes, and quality where the score needs it.

    Args:
        detector: folded, see `dsla.export.fold`.
        decoding: says where boxes are read from and whether the quality counts.
        prepare: makes the network's input of pictures and sizes; None for the detector's own way.
    """

    def __init__(self, detector: Detector, decoding: Decoding, prepare: Prepare | None = None) -> None:
        super().__init__()
        self.detector, self.decoding, self.prepare = detector, decoding, prepare or detector.preprocess
        self.outputs = ["logits", "boxes", *(["quality"] if decoding.score != "class" else [])]

    def forward(self, images: UInt8[Tensor, "B 3 H W"], sizes: Int64[Tensor, "B 2"]) -> tuple[Tensor, ...]:
        """See the class."""
        outputs, _ = self.raw(images, sizes)
        return outputs

    def raw(self, images: Tensor, sizes: Tensor) -> tuple[tuple[Tensor, ...], list[Side]]:
        """The outputs, and the number of points of each level."""
        detector, (height, width) = self.detector, images.shape[2:]
        features = detector.neck(detector.backbone(self.prepare(images, sizes)))
        logits, ltrb, quality = detector.head.rows(features)
        boxes = self._boxes(features, ltrb, (height, width))
        limit = sizes.flip(1).float().repeat(1, 2)[:, None]
        boxes = torch.minimum(boxes.clamp(min=0), limit)
        counted = [logits, boxes] if quality is None or self.decoding.score == "class" else [logits, boxes, quality]
        return tuple(counted), [f.shape[2] * f.shape[3] for f in features]

    def _boxes(self, features: list[Tensor], ltrb: Tensor, size: tuple[Side, Side]) -> Tensor:
        """(B, P, 4) corners; the arithmetic is that of `Points` and `boxes_from_ltrb`, so that numbers are the same."""
        xy: list[Tensor] = []
        offset = self.detector.head.offset
        for feature, stride in zip(features, self.detector.strides, strict=True):
            h, w = feature.shape[2:]
            x, y = (torch.arange(w) + offset) * stride, (torch.arange(h) + offset) * stride
            if self.decoding.spacing == "picture":
                x, y = x * (size[1] // w / stride), y * (size[0] // h / stride)
            xy.append(torch.stack([x.expand(h, w), y[:, None].expand(h, w)], dim=-1).flatten(0, 1))
        points = torch.cat(xy)
        return torch.cat([points - ltrb[..., :2], points + ltrb[..., 2:]], dim=2)


class DetectionGraph(RawGraph):
    """Detections: boxes (B, D, 4), scores (B, D), labels (B, D) and how many of the D places are used (B,).

    The steps are those of `dsla.models.decode`: the best pairs of point and class of each level, boxes without area
    dropped, suppression within each class, the best of what is left.
    """

    def __init__(self, detector: Detector, decoding: Decoding, prepare: Prepare | None = None) -> None:
        super().__init__(detector, decoding, prepare)
        self.outputs = ["boxes", "scores", "labels", "counts"]

    def forward(self, images: UInt8[Tensor, "B 3 H W"], sizes: Int64[Tensor, "B 2"]) -> tuple[Tensor, ...]:
        """See the class."""
        (logits, boxes, *quality), counts = self.raw(images, sizes)
        scores = logits.sigmoid()
        if quality:
            scores = scores * quality[0].sigmoid()[..., None]
            scores = scores.sqrt() if self.decoding.score == "sqrt" else scores
        real = (boxes[..., 2:] > boxes[..., :2]).all(dim=2)
        scores = torch.where((scores > self.decoding.score_threshold), scores, 0.0)
        score, label, box, real = self._candidates(scores, boxes, real, counts)
        score = torch.where(real, score, 0.0)
        if self.decoding.nms_iou is not None:
            of_class = label[:, None] == torch.arange(self.detector.num_classes)[:, None]  # (B, C, K)
            by_class = torch.where(of_class, score[:, None], 0.0)
            kept = suppress(
                box, by_class, self.decoding.nms_iou, self.decoding.score_threshold, self.decoding.max_detections
            )
            score = torch.where(kept.any(dim=1), score, 0.0)
        score = F.pad(score, (0, self.decoding.max_detections))
        box, label = (
            F.pad(box, (0, 0, 0, self.decoding.max_detections)),
            F.pad(label, (0, self.decoding.max_detections)),
        )
        score, best = score.topk(self.decoding.max_detections, dim=1)
        box = box.gather(1, best[..., None].expand(-1, -1, 4))
        used = score > 0
        label = torch.where(used, label.gather(1, best), 0)
        return torch.where(used[..., None], box, 0.0), score, label, used.sum(dim=1)

    def _candidates(
        self, scores: Float[Tensor, "B P C"], boxes: Float[Tensor, "B P 4"], real: Tensor, counts: list[Side]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score, class, box and whether it has area, (B, K) each, of the best pairs of every level, best first."""
        C, topk = self.detector.num_classes, self.decoding.topk
        found: list[tuple[Tensor, ...]] = []
        start: Side = 0
        for count in counts:
            pairs = scores[:, start : start + count].flatten(1)
            # So many zeros more that the best `topk` can be asked for however small the level is.
            score, pair = F.pad(pairs, (0, topk)).topk(topk, dim=1)
            pair = torch.where(score > 0, pair, 0)
            point = pair // C + start
            found.append((score, pair % C, boxes.gather(1, point[..., None].expand(-1, -1, 4)), real.gather(1, point)))
            start = start + count
        score, label, box, area = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        return score, label, box, area


def graph_of(detector: Detector, decoding: Decoding, *, inside: bool, prepare: Prepare | None = None) -> RawGraph:
    """The module to export.

    Args:
        detector: folded, see `dsla.export.fold`.
        decoding: how detections are chosen.
        inside: put that choice into the graph.
        prepare: makes the network's input of pictures and sizes; None for the detector's own way.
    """
    kind = DetectionGraph if inside else RawGraph
    return kind(detector, decoding, prepare).eval()
