"""A class number that data.yaml does not have."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"category-unknown": 1}
TRAINING = "refused"
LEFT = {"category-unknown": 1}


def write(folder: Path) -> None:
    plain_yolo(folder)
    labels = folder / "labels" / "train"
    with (labels / "1.txt").open("a") as file:
        file.write("7 0.5 0.5 0.2 0.2\n")
