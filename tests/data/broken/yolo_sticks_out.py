"""A box sticks out, and one has no height."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"box-degenerate": 1, "box-sticks-out": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    plain_yolo(folder)
    labels = folder / "labels" / "train"
    with (labels / "1.txt").open("a") as file:
        file.write("0 0.95 0.5 0.2 0.2\n")
        file.write("1 0.5 0.5 0.2 0\n")
