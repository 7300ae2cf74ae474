"""A label file with pixels instead of shares."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"label-pixels": 2, "picture-no-boxes": 1}
TRAINING = "refused"
LEFT = {"picture-no-boxes": 1}


def write(folder: Path) -> None:
    plain_yolo(folder)
    labels = folder / "labels" / "train"
    (labels / "1.txt").write_text("0 20 20 10 10\n1 50 30 12 12\n")
