"""Boxes from a few pixels to the whole width of a large picture."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"size-range": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.replace_picture(lambda path: picture(1, (1600, 1200)).save(path))
    data.train["images"][0] |= {"width": 1600, "height": 1200}
    for x in (100, 700):
        data.add_box([x, 100, 550, 1000])
    for image in (2, 3, 4):
        data.add_box([30, 30, 4, 4], image=image)
    data.save()
