"""A training picture is in validation too, saved anew as another kind of file."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-leaked": 1, "picture-no-boxes": 1}
TRAINING = "goes on"
LEFT = {"picture-no-boxes": 1}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    picture(1).save(data.images / "21.bmp")
    data.val["images"].append({"id": 21, "file_name": "21.bmp", "width": 80, "height": 60})
    data.save()
