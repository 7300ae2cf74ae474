"""A box lies beside its picture."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-outside": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([200, 5, 10, 10])
    data.save()
