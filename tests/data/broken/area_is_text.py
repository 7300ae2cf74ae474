"""An area is a text."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"area-type": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["annotations"][0]["area"] = "big"
    data.save()
