"""A JPEG that ends in the middle."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-truncated": 1}
TRAINING = "stops at the picture"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    path = data.replace_picture(lambda path: picture(1).save(path, quality=95), rename="1.jpg")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    data.save()
