"""Two boxes have no area: one no width, one a negative height."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"box-degenerate": 2}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.add_box([5, 5, 0, 10])
    data.add_box([30, 20, 10, -4])
    data.save()
