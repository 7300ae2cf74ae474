"""Detections of a batch as COCO results: boxes in each picture's own pixels, the data set's category ids."""

from collections.abc import Sequence
from typing import Any

from dsla.data import Batch
from dsla.models import Detected


def coco_results(batch: Batch, detected: Sequence[Detected], category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of a COCO result file.

    Args:
        batch: the pictures.
        detected: what was found in each, in pixels of the network's input.
        category_ids: the data set's category id of each class.
    """
    rows: list[dict[str, Any]] = []
    for index, found in enumerate(detected):
        boxes = batch.boxes_to_picture(index, found.boxes).double().cpu()
        boxes[:, 2:] -= boxes[:, :2]
        for box, score, label in zip(boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True):
            rows.append(
                {
                    "image_id": batch.image_ids[index],
                    "category_id": category_ids[label],
                    "bbox": box,
                    "score": score,
                }
            )
    return rows
