"""A box 60 times as long as wide."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-thin": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([10, 30, 60, 1])
    data.save()
