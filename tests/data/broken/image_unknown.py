"""An annotation of a picture that is not listed."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"image-unknown": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([5, 5, 10, 10], image=77)
    data.save()
