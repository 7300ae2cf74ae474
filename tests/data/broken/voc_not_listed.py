"""A picture that no list of ImageSets names."""

from pathlib import Path

from plain_sets import picture, plain_voc, voc_file

FINDINGS = {"picture-unlisted": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    plain_voc(folder)
    picture(31).save(folder / "JPEGImages" / "31.jpg")
    (folder / "Annotations" / "31.xml").write_text(voc_file("31.jpg", ""))
