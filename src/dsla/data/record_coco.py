"""Ground truth as COCO has it, for data sets that know their pictures as records only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dsla.data.dataset import Record


def coco_of_records(records: Iterable[Record], categories: Mapping[int, str]) -> dict[str, Any]:
    """A COCO json of some pictures, in their order.

    Args:
        records: boxes are numbered from 1 in their order.
        categories: name of each category id, in the order of the labels.
    """
    ids = list(categories)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for record in records:
        height, width = record.size
        images.append({"id": record.image_id, "file_name": record.name, "height": height, "width": width})
        annotations += [entry | {"id": len(annotations) + n} for n, entry in enumerate(annotations_of(record, ids), 1)]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": key, "name": name} for key, name in categories.items()],
    }


def annotations_of(record: Record, ids: Sequence[int]) -> list[dict[str, Any]]:
    """COCO's annotations of a picture, not numbered; areas are those of the boxes, ignore regions are crowds.

    Args:
        record: of the picture.
        ids: category id of each label.
    """
    rows = zip(record.boxes.tolist(), record.labels.tolist(), record.ignore.tolist(), strict=True)
    return [
        {
            "image_id": record.image_id,
            "category_id": ids[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": int(ignore),
        }
        for (x1, y1, x2, y2), label, ignore in rows
    ]
