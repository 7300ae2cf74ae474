"""What non-maximum suppression removed from a picture, and which detection removed it.

The candidates are those of `detect` before suppression, and those that are kept are the ones it reports; only the
question of who removed whom is answered here. Greedy suppression goes by falling score, so a candidate was removed by
the first of the kept ones of its class that overlaps it more than the threshold.

Letters: K candidates, R removed.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from dsla.models import Decoding, Detected, HeadOutput, detect

_PORTION = 1 << 22  # overlaps at a time


@dataclass(frozen=True, eq=False)
class Suppression:
    """The candidates of a picture and what became of them.

    Attributes:
        candidates: all of them, best first.
        kept: (K,) True for those that are reported.
        by: (K,) index of the candidate that removed each; -1 for those that are reported, and for those that came too
            late for the limit of detections.
    """

    candidates: Detected
    kept: Bool[Tensor, " K"]
    by: Int[Tensor, " K"]


def trace_suppression(output: HeadOutput, size: tuple[int, int], decoding: Decoding, image: int = 0) -> Suppression:
    """Detect in one picture of a batch, and say what was removed by which.

    Args:
        output: of the detector.
        size: true (h, w) of the picture, in pixels of the network's input.
        decoding: thresholds and limits.
        image: which picture of the batch.
    """
    one = replace(
        output,
        logits=output.logits[image : image + 1],
        ltrb=output.ltrb[image : image + 1],
        quality=output.quality[image : image + 1] if output.quality is not None else None,
    )
    most = max(one.logits[0].numel(), 1)
    every = replace(decoding, nms_iou=None, max_detections=most)
    found = detect(one, torch.tensor([size], device=one.ltrb.device), every)[0]
    by = torch.full_like(found.labels, -1)
    alive = torch.ones_like(found.labels, dtype=torch.bool)
    if decoding.nms_iou is not None and len(by):
        keep = batched_nms(found.boxes, found.scores, found.labels, decoding.nms_iou).sort().values
        alive = torch.zeros_like(alive).index_fill(0, keep, True)
        removed = torch.nonzero(~alive).flatten()
        by[removed] = _removers(found, removed, keep, decoding.nms_iou)
    reported = alive & (alive.cumsum(0) <= decoding.max_detections)
    return Suppression(found, reported, by)


def _removers(
    found: Detected, removed: Int[Tensor, " R"], keep: Int[Tensor, " N"], threshold: float
) -> Int[Tensor, " R"]:
    """For each removed candidate the first kept one of its class that overlaps it too much."""
    parts = [removed.new_zeros(0)]
    for some in removed.split(max(_PORTION // max(len(keep), 1), 1)):
        overlap = box_iou(found.boxes[some], found.boxes[keep])
        before = keep[None, :] < some[:, None]
        alike = (found.labels[some][:, None] == found.labels[keep][None, :]) & before
        # Where rounding hides the threshold from this sum, the one that overlaps most is named.
        over = (overlap > threshold) & alike
        first = torch.where(over.any(dim=1), over.int().argmax(dim=1), (overlap * alike).argmax(dim=1))
        parts.append(keep[first])
    return torch.cat(parts)
