"""A picture without a box."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"picture-no-boxes": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["annotations"] = data.train["annotations"][2:]
    data.save()
