"""A category is listed twice."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"category-id-twice": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["categories"].append(dict(data.train["categories"][0]))
    data.save()
