"""A PNG with a transparent part; one that is opaque throughout is no finding."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"colour-alpha": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)

    def write_with_hole(path: Path) -> None:
        image = picture(1).convert("RGBA")
        image.paste((255, 0, 0, 0), (10, 10, 30, 30))
        image.save(path)

    data.replace_picture(write_with_hole)
    data.replace_picture(lambda path: picture(2).convert("RGBA").save(path), "2.png")
    data.save()


def handled(splits) -> None:
    assert splits.train.sample(0).image[:, 20, 20].tolist() == [255, 0, 0]
