"""A plain folder of VOC files where a picture has no xml file."""

from pathlib import Path

from plain_sets import plain_voc

FINDINGS = {"picture-without-xml": 1, "val-missing": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    plain_voc(folder)
    (folder / "ImageSets" / "Main" / "train.txt").unlink()
    (folder / "ImageSets" / "Main" / "val.txt").unlink()
    (folder / "Annotations" / "3.xml").unlink()
