"""Validation has a class that training does not know."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"categories-differ": 1}
TRAINING = "refused"
LEFT = {"categories-differ": 1}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.val["categories"].append({"id": 3, "name": "horse"})
    data.save()
