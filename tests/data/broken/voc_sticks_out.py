"""Corners beyond the picture, and corners the wrong way round."""

from pathlib import Path

from plain_sets import plain_voc, voc_file, voc_object

FINDINGS = {"box-degenerate": 1, "box-sticks-out": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    plain_voc(folder)
    path = folder / "Annotations" / "1.xml"
    given = (("cat", (60, 10, 40, 20)), ("dog", (50, 30, -10, 8)), ("dog", (5, 40, 20, 12)))
    path.write_text(voc_file("1.jpg", "".join(voc_object(name, box) for name, box in given)))
