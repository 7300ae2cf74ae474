"""A box again with the same class, exactly, and one a pixel off."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-duplicate": 2}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    x, y, w, h = data.train["annotations"][0]["bbox"]
    data.add_box([x, y, w, h])
    x, y, w, h = data.train["annotations"][3]["bbox"]
    data.add_box([x, y, w, h - 0.5], image=2, category=2)
    data.save()


def handled(splits) -> None:
    assert len(splits.train.record(0).boxes) == 3
