"""A picture of a YOLO set that is a text."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"picture-unknown": 1, "picture-no-boxes": 1}
TRAINING = "refused"
LEFT = {}


def write(folder: Path) -> None:
    plain_yolo(folder)
    (folder / "images" / "train" / "1.png").write_text("no picture")
