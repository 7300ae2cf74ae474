"""Detections as COCO results: boxes in each picture's own pixels, the data set's category ids."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from dsla.data import Batch
from dsla.data.tiled_picture import TiledPicture
from dsla.engine.tiled import Find, detect_tiled
from dsla.models import Decoding, Detected


def detect_rows(
    find: Find, pictures: Batch | TiledPicture, decoding: Decoding, category_ids: Sequence[int], batch: int
) -> list[dict[str, Any]]:
    """Find things in pictures, as rows of a COCO result file.

    Args:
        find: what finds things in a batch.
        pictures: a batch, or one picture that comes in tiles.
        decoding: how detections are chosen.
        category_ids: the data set's category id of each class.
        batch: tiles at a time.
    """
    if isinstance(pictures, TiledPicture):
        found = detect_tiled(find, pictures, decoding, batch)
        return _rows(pictures.sample.image_id, found.boxes, found, category_ids)
    return coco_results(pictures, find(pictures.images, pictures.sizes, decoding), category_ids)


def coco_results(batch: Batch, detected: Sequence[Detected], category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of a COCO result file.

    Args:
        batch: the pictures.
        detected: what was found in each, in pixels of the network's input.
        category_ids: the data set's category id of each class.
    """
    rows: list[dict[str, Any]] = []
    for index, found in enumerate(detected):
        rows += _rows(batch.image_ids[index], batch.boxes_to_picture(index, found.boxes), found, category_ids)
    return rows


def _rows(
    image_id: int, boxes: Float[Tensor, "N 4"], found: Detected, category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    xywh = boxes.double().cpu().clone()
    xywh[:, 2:] -= xywh[:, :2]
    return [
        {"image_id": image_id, "category_id": category_ids[label], "bbox": box, "score": score}
        for box, score, label in zip(xywh.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    ]
