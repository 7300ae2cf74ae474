"""A picture of 3000x60."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-huge": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.replace_picture(lambda path: picture(1, (3000, 60)).save(path))
    data.train["images"][0] |= {"width": 3000, "height": 60}
    data.train["annotations"][0]["bbox"] = [2, 2, 60, 50]
    data.train["annotations"][1]["bbox"] = [100, 2, 60, 50]
    data.save()
