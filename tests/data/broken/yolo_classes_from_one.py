"""Class numbers count from 1."""

from pathlib import Path

from plain_sets import plain_yolo

FINDINGS = {"category-shifted": 6, "class-unused": 1}
TRAINING = "refused"
LEFT = {}


def write(folder: Path) -> None:
    plain_yolo(folder)
    for path in (folder / "labels").rglob("*.txt"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(str(int(line[0]) + 1) + line[1:] for line in lines))
