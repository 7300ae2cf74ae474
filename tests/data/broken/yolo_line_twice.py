"""A line twice."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"box-duplicate": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    plain_yolo(folder)
    labels = folder / "labels" / "train"
    path = labels / "1.txt"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
