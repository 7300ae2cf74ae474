"""A picture stored on its side; its record and its boxes are upright."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-turned": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    image = picture(1, (60, 80))
    exif = image.getexif()
    exif[0x0112] = 6
    data.replace_picture(lambda path: image.save(path, quality=95, exif=exif), rename="1.jpg")
    data.save()


def handled(splits) -> None:
    assert splits.train.sample(0).size == (60, 80)
