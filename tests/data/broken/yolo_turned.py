"""A turned picture: shares of a picture do not tell which way they are meant."""

from pathlib import Path

from plain_sets import picture, plain_yolo

FINDINGS = {"picture-turned-unclear": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    plain_yolo(folder)
    image = picture(1)
    exif = image.getexif()
    exif[0x0112] = 6
    (folder / "images" / "train" / "1.png").unlink()
    image.save(folder / "images" / "train" / "1.jpg", quality=95, exif=exif)
