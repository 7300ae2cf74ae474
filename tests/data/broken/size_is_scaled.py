"""A picture was scaled after it was labelled; whether its boxes were too, nobody knows."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"picture-size": 1}
TRAINING = "stops at the picture"
LEFT = {"picture-size": 1}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["images"][0] |= {"width": 160, "height": 120}
    data.save()
