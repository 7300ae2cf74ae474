"""An xml file whose picture is not there."""

from pathlib import Path

from plain_sets import plain_voc

FINDINGS = {"picture-missing": 1}
TRAINING = "refused"


def write(folder: Path) -> None:
    plain_voc(folder)
    (folder / "JPEGImages" / "1.jpg").unlink()
