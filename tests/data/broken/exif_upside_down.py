"""A picture stored upside down: the size does not tell which way its boxes are meant."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-turned-unclear": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    image = picture(1)
    exif = image.getexif()
    exif[0x0112] = 3
    data.replace_picture(lambda path: image.save(path, quality=95, exif=exif), rename="1.jpg")
    data.save()
