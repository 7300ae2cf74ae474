"""Annotations of two categories that are not listed."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"category-unknown": 2}
TRAINING = "refused"
LEFT = {"category-unknown": 2}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([30, 30, 10, 10], category=5)
    data.add_box([30, 30, 10, 10], image=2, category=9)
    data.save()
