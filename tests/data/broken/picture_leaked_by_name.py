"""Both jsons list one file."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"picture-leaked": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.val["images"].append(data.train["images"][0])
    data.val["annotations"] += data.train["annotations"][:2]
    data.save()
