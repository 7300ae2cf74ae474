"""A PNG of a few kilobytes that unfolds to 225 million pixels."""

from pathlib import Path

from PIL import Image
from plain_sets import plain_coco

FINDINGS = {"picture-bomb": 1}
TRAINING = "stops at the picture"
LEFT = {"picture-bomb": 1}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.replace_picture(lambda path: Image.new("1", (15000, 15000)).save(path))
    data.train["images"][0] |= {"width": 15000, "height": 15000}
    for record in data.train["annotations"][:2]:
        record["bbox"] = [number * 8 for number in record["bbox"]]
    data.save()
