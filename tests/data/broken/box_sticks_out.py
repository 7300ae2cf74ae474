"""Two boxes stick out, one by rounding only, which is no news."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-sticks-out": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([-4, 30, 12, 8])
    data.add_box([60, 50, 20.01, 10.01], category=2)
    data.save()


def handled(splits) -> None:
    assert splits.train.record(0).boxes[2].tolist() == [0, 30, 8, 38]
    assert splits.train.record(0).boxes[3].tolist() == [60, 50, 80, 60]
