"""Whole numbers beyond 64 bits: an id, a width, a category_id."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"value-type": 3, "file-twice": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["images"].append({"id": 10**30, "file_name": "1.png", "width": 80, "height": 60})
    data.train["images"][1]["width"] = 10**30
    data.add_box([5, 5, 10, 10], category=-(10**30))
    data.save()
