"""Two categories have one name."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"class-spelling": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["categories"].append({"id": 3, "name": "dog"})
    for record in data.train["annotations"][1:4:2]:
        record["category_id"] = 3
    data.save()
