"""A grey picture among pictures in colour."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"colour-grey": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.replace_picture(lambda path: picture(1).convert("L").save(path))
    data.save()
