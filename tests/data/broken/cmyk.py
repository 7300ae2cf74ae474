"""A JPEG in CMYK."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"colour-cmyk": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.replace_picture(lambda path: picture(1).convert("CMYK").save(path), rename="1.jpg")
    data.save()
