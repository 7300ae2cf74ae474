"""Two pictures share one id, so nobody knows whose the boxes are."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"image-id-twice": 1, "image-unknown": 2}
TRAINING = "refused"
LEFT = {"image-id-twice": 1}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["images"][1]["id"] = 1
    data.save()
