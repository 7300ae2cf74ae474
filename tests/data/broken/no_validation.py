"""No val.json."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"val-missing": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.val.clear()
    for name in ("11.png", "12.png"):
        (data.images / name).unlink()
    data.save()
