"""Records without a key: file_name, bbox, name."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"key-missing": 3, "picture-unlisted": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    del data.train["images"][3]["file_name"]
    del data.train["annotations"][0]["bbox"]
    del data.val["categories"][1]["name"]
    data.save()
