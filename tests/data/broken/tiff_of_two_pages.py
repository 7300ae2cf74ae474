"""A TIFF of two pages."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-frames": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.replace_picture(lambda path: picture(1).save(path, save_all=True, append_images=[picture(31)]), rename="1.tif")
    data.save()
