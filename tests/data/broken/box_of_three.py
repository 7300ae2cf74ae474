"""Boxes of three numbers, of a text, and none."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-not-numbers": 3}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([5, 5, 10])
    data.add_box(["5", 5, 10, 10])
    data.add_box(None)
    data.save()
