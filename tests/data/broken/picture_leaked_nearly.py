"""A training picture is in validation too, scaled and compressed."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-leaked-near": 1, "picture-no-boxes": 1}
TRAINING = "goes on"
LEFT = {"picture-leaked-near": 1, "picture-no-boxes": 1}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    picture(1).resize((160, 120)).save(data.images / "21.jpg", quality=50)
    data.val["images"].append({"id": 21, "file_name": "21.jpg", "width": 160, "height": 120})
    data.save()
