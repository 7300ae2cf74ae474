"""A width of 0, an image_id in quotes, a name that is a number."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"value-type": 3}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["images"][0]["width"] = 0
    data.train["annotations"][3]["image_id"] = "2"
    data.train["categories"].append({"id": 3, "name": 5})
    data.save()
