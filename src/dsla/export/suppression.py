"""Non-maximum suppression as one operator that torch, ONNX and the run-times know: which candidates are kept.

Letters: B images, C classes, K candidates.
"""

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import nms


@torch.library.custom_op("dsla::suppress", mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, iou: float, threshold: float, limit: int) -> Tensor:
    """Mark what is kept of each picture and class.

    Args:
        boxes: (B, K, 4) xyxy.
        scores: (B, C, K); those not above the threshold take no part.
        iou: of two boxes that overlap more, the one with the lower score goes.
        threshold: of the scores.
        limit: of each picture and class, so many are kept at most, the best ones.

    Returns (B, C, K) bool.
    """
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for image in range(scores.shape[0]):
        for label in range(scores.shape[1]):
            above = (scores[image, label] > threshold).nonzero().squeeze(1)
            best = nms(boxes[image, above], scores[image, label, above], iou)[:limit]
            kept[image, label, above[best]] = True
    return kept


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float, threshold: float, limit: int) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def onnx_suppress(boxes: Any, scores: Any, iou: float, threshold: float, limit: int) -> Any:
    """The same in ONNX: the operator lists (image, class, candidate), which are written into an empty mask."""
    import onnxscript

    op: Any = onnxscript.opset18  # its operators are typed for scripts, not for calls while tracing

    kept = op.NonMaxSuppression(
        boxes,
        scores,
        op.Constant(value_ints=[limit]),
        op.Constant(value_floats=[iou]),
        op.Constant(value_floats=[threshold]),
    )
    ones = op.Expand(op.Constant(value_float=1.0), op.Shape(kept, start=0, end=1))
    nothing = op.Expand(op.Constant(value_float=0.0), op.Shape(scores))
    return op.Greater(op.ScatterND(nothing, kept, ones), op.Constant(value_float=0.5))
