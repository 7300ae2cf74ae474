"""A picture is listed twice with one id."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"image-id-twice": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["images"].append(dict(data.train["images"][0]))
    data.save()
