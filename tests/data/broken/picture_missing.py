"""A picture is not on disk."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"picture-missing": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    (data.images / "2.png").unlink()
    data.save()
