"""A picture of 20x15."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-tiny": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.replace_picture(lambda path: picture(1, (20, 15)).save(path))
    data.train["images"][0] |= {"width": 20, "height": 15}
    data.train["annotations"][0]["bbox"] = [2, 2, 6, 6]
    data.train["annotations"][1]["bbox"] = [10, 5, 6, 6]
    data.save()


def handled(splits) -> None:
    from dsla.data import Resize

    assert Resize(320)(splits.train.sample(0)).size == (240, 320)
