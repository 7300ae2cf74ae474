"""Records that are no objects: a picture, an annotation and a category."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"record-type": 3}
TRAINING = "refused"
LEFT = {"record-type": 3}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for table in ("images", "annotations", "categories"):
        data.train[table].append("nonsense")
    data.save()
