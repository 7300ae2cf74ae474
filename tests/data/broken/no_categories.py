"""The list of categories is empty."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"no-categories": 1, "category-unknown": 8, "categories-differ": 2, "class-val-only": 2}
TRAINING = "refused"
LEFT = {"no-categories": 1, "category-unknown": 8, "categories-differ": 2, "class-val-only": 2}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["categories"] = []
    data.save()
