"""A class that labels.txt does not have."""

from pathlib import Path

from plain_sets import plain_voc

FINDINGS = {"class-unlisted": 6}
TRAINING = "refused"


def write(folder: Path) -> None:
    plain_voc(folder)
    (folder / "labels.txt").write_text("cat\n")
