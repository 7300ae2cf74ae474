"""A picture without a label file, and one with an empty file."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"picture-no-boxes": 2}
TRAINING = "goes on"


def write(folder: Path) -> None:
    plain_yolo(folder)
    labels = folder / "labels" / "train"
    (labels / "1.txt").unlink()
    (labels / "2.txt").write_text("")
