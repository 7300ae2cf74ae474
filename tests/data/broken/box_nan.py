"""A box has NaN in it, as Python writes it into json, and one infinity."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-not-finite": 2}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([5, 5, float("nan"), 10])
    data.add_box([5, 5, 10, float("inf")])
    data.save()
