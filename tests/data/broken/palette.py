"""A PNG with a palette."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"colour-palette": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.replace_picture(lambda path: picture(1).quantize(64).save(path))
    data.save()
