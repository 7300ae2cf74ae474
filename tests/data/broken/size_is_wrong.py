"""A record has another size than its picture, and other sides."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"picture-size": 1}
TRAINING = "stops at the picture"
LEFT = {}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["images"][0] |= {"width": 100, "height": 60}
    data.save()
