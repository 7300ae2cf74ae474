"""All boxes are corners instead of x, y, width, height."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"boxes-xyxy": 1, "box-sticks-out": 7}
TRAINING = "goes on"
LEFT = {"boxes-xyxy": 1, "box-sticks-out": 7}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for content in (data.train, data.val):
        for record in content["annotations"]:
            x, y, w, h = record["bbox"]
            record["bbox"] = [x, y, x + w, y + h]
    data.save()
