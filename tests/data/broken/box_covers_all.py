"""A box as large as its picture."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-covers-all": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([0, 0, 80, 60])
    data.save()
