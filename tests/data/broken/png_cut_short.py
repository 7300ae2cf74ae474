"""A PNG that ends in the middle."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"picture-truncated": 1}
TRAINING = "stops at the picture"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    path = data.images / "2.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    data.save()
