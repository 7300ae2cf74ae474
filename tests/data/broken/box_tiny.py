"""A box of half a pixel at 320 px; it becomes an ignore region when resized."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-tiny": 1, "box-thin": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([30, 30, 0.2, 10])
    data.save()


def handled(splits) -> None:
    from dsla.data import Resize

    sample = Resize(320)(splits.train.sample(0))
    assert sample.ignore.tolist() == [False, False, True]
