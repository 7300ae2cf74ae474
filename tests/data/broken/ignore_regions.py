"""A crowd, and an ignore flag of our own."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"ignore-region": 2}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([20, 20, 30, 30], iscrowd=1)
    data.add_box([5, 45, 10, 10], image=2, ignore=True)
    data.save()


def handled(splits) -> None:
    assert splits.train.record(0).ignore.tolist() == [False, False, True]
    assert splits.train.record(1).ignore.tolist() == [False, False, True]
