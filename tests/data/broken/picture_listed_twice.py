"""One picture file has two records, with half of the boxes each."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"file-twice": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["images"].append(data.train["images"][0] | {"id": 50})
    data.train["annotations"][1]["image_id"] = 50
    data.save()


def handled(splits) -> None:
    assert len(splits.train) == 5
