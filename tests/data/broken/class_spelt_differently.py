"""Dog, as Dog and as dog, with two ids."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"class-spelling": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["categories"].append({"id": 3, "name": "Dog"})
    data.val["categories"].append({"id": 3, "name": "Dog"})
    for record in data.train["annotations"][1:4:2]:
        record["category_id"] = 3
    data.val["annotations"][1]["category_id"] = 3
    data.save()


def handled(splits) -> None:
    assert splits.train.class_names == ("cat", "dog", "Dog")
