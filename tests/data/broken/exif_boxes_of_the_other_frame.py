"""A picture stored on its side; its record is as stored, its boxes are upright."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-turned": 1, "picture-turned-boxes": 1, "box-sticks-out": 1}
TRAINING = "goes on"
LEFT = {"picture-turned": 1}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    image = picture(1)
    exif = image.getexif()
    exif[0x0112] = 6
    data.replace_picture(lambda path: image.save(path, quality=95, exif=exif), rename="1.jpg")
    data.train["annotations"][0]["bbox"] = [10, 10, 14, 18]
    data.train["annotations"][1]["bbox"] = [20, 50, 30, 28]
    data.save()


def handled(splits) -> None:
    assert splits.train.record(0).boxes[1].tolist() == [20, 50, 50, 60]
