"""All boxes of training are shares of the picture instead of pixels."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"boxes-normalised": 1, "box-tiny": 8}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for record in data.train["annotations"]:
        x, y, w, h = record["bbox"]
        record["bbox"] = [x / 80, y / 60, w / 80, h / 60]
    data.save()
