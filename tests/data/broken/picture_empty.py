"""A picture file of 0 bytes."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"picture-empty": 1}
TRAINING = "stops at the picture"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    (data.images / "2.png").write_bytes(b"")
    data.save()
