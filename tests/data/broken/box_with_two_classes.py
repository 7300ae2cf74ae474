"""The same box as cat and as dog."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-two-classes": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box(data.train["annotations"][0]["bbox"], category=2)
    data.save()


def handled(splits) -> None:
    assert splits.train.record(0).labels.tolist() == [0, 1, 1]
