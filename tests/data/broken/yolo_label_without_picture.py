"""A label file whose picture is not there."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"label-without-picture": 1}
TRAINING = "goes on"
LEFT = {}


def write(folder: Path) -> None:
    plain_yolo(folder)
    labels = folder / "labels" / "train"
    (labels / "99.txt").write_text("0 0.5 0.5 0.2 0.2\n")
