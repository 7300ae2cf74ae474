"""Training has a picture brighter, and another one mirrored."""

from pathlib import Path

from PIL import ImageEnhance, ImageOps
from plain_sets import picture, plain_coco

FINDINGS = {"picture-near": 2, "picture-no-boxes": 2}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    ImageEnhance.Brightness(picture(1)).enhance(0.9).save(data.images / "21.png")
    ImageOps.mirror(picture(2)).save(data.images / "22.png")
    for seed in (21, 22):
        data.train["images"].append({"id": seed, "file_name": f"{seed}.png", "width": 80, "height": 60})
    data.save()
