"""Three annotations have one id."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"annotation-id-twice": 2}
TRAINING = "refused"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for record in data.train["annotations"][:3]:
        record["id"] = 7
    data.save()
