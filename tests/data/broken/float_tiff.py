"""A TIFF of floats from 0 to 1."""

from pathlib import Path

import numpy as np
from PIL import Image
from plain_sets import picture, plain_coco

FINDINGS = {"depth-float": 1, "colour-grey": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    grey = np.asarray(picture(1).convert("L"), np.float32) / 255
    data.replace_picture(lambda path: Image.fromarray(grey).save(path), rename="1.tif")
    data.save()
