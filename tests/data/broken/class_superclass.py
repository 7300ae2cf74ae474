"""Roboflow's category 0, which names the group."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {}
NOTE = "the category 'animals' is the group of all others"
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for content in (data.train, data.val):
        for record in content["categories"]:
            record["supercategory"] = "animals"
        content["categories"].insert(0, {"id": 0, "name": "animals", "supercategory": "none"})
    data.save()


def handled(splits) -> None:
    assert splits.train.class_names == ("cat", "dog")
