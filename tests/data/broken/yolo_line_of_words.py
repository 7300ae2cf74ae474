"""Lines that are no labels: too few numbers, and a word."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"label-line": 2}
TRAINING = "refused"
LEFT = {}


def write(folder: Path) -> None:
    plain_yolo(folder)
    labels = folder / "labels" / "train"
    with (labels / "1.txt").open("a") as file:
        file.write("0 0.5 0.5 0.2\n")
        file.write("cat 0.5 0.5 0.2 0.2\n")
