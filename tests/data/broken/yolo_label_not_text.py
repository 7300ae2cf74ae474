"""A label file that is no text."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"label-file": 1, "picture-no-boxes": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    plain_yolo(folder)
    labels = folder / "labels" / "train"
    (labels / "1.txt").write_bytes(b"\xff\xfe\x00\x01")
