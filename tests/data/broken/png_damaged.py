"""A PNG with a byte changed in its header."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"picture-damaged": 1}
TRAINING = "stops at the picture"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    path = data.images / "2.png"
    content = bytearray(path.read_bytes())
    content[17] ^= 0xFF
    path.write_bytes(content)
    data.save()
