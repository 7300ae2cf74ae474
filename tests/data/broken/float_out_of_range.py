"""Floating point values up to 1000."""

from pathlib import Path

import numpy as np
from PIL import Image
from plain_sets import plain_coco

FINDINGS = {"picture-values": 1}
TRAINING = "stops at the picture"
LEFT = {"picture-values": 1}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.replace_picture(lambda path: Image.fromarray(np.full((60, 80), 1000, np.float32)).save(path), rename="1.tif")
    data.save()
