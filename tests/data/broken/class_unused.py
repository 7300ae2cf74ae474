"""A class without a box."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"class-unused": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["categories"].append({"id": 3, "name": "horse"})
    data.save()


def handled(splits) -> None:
    assert splits.train.class_names == ("cat", "dog", "horse")
