"""Two objects are marked difficult."""

from pathlib import Path

from plain_sets import boxes, plain_voc, voc_file, voc_object

FINDINGS = {"ignore-region": 2}
TRAINING = "goes on"


def write(folder: Path) -> None:
    plain_voc(folder)
    path = folder / "Annotations" / "1.xml"
    hard = "<difficult>1</difficult>"
    objects = [voc_object(name, box, hard) for name, box in zip(("cat", "dog"), boxes(1), strict=True)]
    path.write_text(voc_file("1.jpg", "".join(objects)))


def handled(splits) -> None:
    assert splits.train.record(0).ignore.all()
