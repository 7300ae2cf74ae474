"""An xml file says another size than the picture's."""

from pathlib import Path

from plain_sets import plain_voc

FINDINGS = {"picture-size": 1}
TRAINING = "stops at the picture"


def write(folder: Path) -> None:
    plain_voc(folder)
    path = folder / "Annotations" / "1.xml"
    path.write_text(path.read_text().replace("<width>80<", "<width>120<"))
