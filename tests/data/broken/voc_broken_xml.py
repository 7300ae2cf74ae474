"""An xml file that ends in the middle."""

from pathlib import Path

from plain_sets import plain_voc

FINDINGS = {"xml-file": 1, "picture-no-boxes": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    plain_voc(folder)
    path = folder / "Annotations" / "1.xml"
    path.write_text(path.read_text()[:100])
