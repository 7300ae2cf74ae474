"""A class spelt with a space in one file."""

from pathlib import Path

from plain_sets import plain_voc

FINDINGS = {"class-spelling": 1, "class-train-only": 1}
TRAINING = "goes on"
LEFT = {}


def write(folder: Path) -> None:
    plain_voc(folder)
    for number in (1, 2, 3, 11):
        path = folder / "Annotations" / f"{number}.xml"
        path.write_text(path.read_text().replace("dog", "guide dog" if number > 2 else "guide_dog"))
    for number in (4, 12):
        path = folder / "Annotations" / f"{number}.xml"
        path.write_text(path.read_text().replace("dog", "guide dog"))
