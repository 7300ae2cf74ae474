"""Roboflow's category 0, which names the group."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"class-superclass": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for content in (data.train, data.val):
        for record in content["categories"]:
            record["supercategory"] = "animals"
        content["categories"].insert(0, {"id": 0, "name": "animals", "supercategory": "none"})
    data.save()
