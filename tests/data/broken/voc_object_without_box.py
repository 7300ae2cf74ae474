"""An object without a box."""

from pathlib import Path

from plain_sets import plain_voc, voc_file, voc_object

FINDINGS = {"xml-object": 1}
TRAINING = "refused"
LEFT = {}


def write(folder: Path) -> None:
    plain_voc(folder)
    path = folder / "Annotations" / "1.xml"
    path.write_text(voc_file("1.jpg", "<object><name>cat</name></object>" + voc_object("dog", (5, 5, 20, 20))))
