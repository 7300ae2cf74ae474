"""A class in one training picture, and not in validation."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"class-one-picture": 1, "class-train-only": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["categories"].append({"id": 3, "name": "horse"})
    data.add_box([30, 5, 9, 9], category=3)
    data.save()
