"""A box has a number that no float can hold."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-not-finite": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([5, 5, 10**400, 10])
    data.save()
