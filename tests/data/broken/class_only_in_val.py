"""A class that only validation has boxes of."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"class-val-only": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for content in (data.train, data.val):
        content["categories"].append({"id": 3, "name": "horse"})
    data.val["annotations"].append({"id": 1, "image_id": 11, "category_id": 3, "bbox": [30, 5, 9, 9]})
    data.save()
