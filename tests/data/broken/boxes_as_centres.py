"""All boxes are centre and size instead of x, y, width, height."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"boxes-centre": 1, "box-sticks-out": 2}
TRAINING = "goes on"
LEFT = FINDINGS


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for content in (data.train, data.val):
        for record in content["annotations"]:
            x, y, w, h = record["bbox"]
            record["bbox"] = [x + w / 2, y + h / 2, w, h]
    data.save()
