"""A grey PNG of 16 bits."""

from pathlib import Path

import numpy as np
from PIL import Image
from plain_sets import picture, plain_coco

FINDINGS = {"depth-16": 1, "colour-grey": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    grey = np.asarray(picture(1).convert("L")).astype(np.uint16) * 257
    data.replace_picture(lambda path: Image.fromarray(grey).save(path))
    data.save()


def handled(splits) -> None:
    grey = np.asarray(picture(1).convert("L"))
    assert (splits.train.sample(0).image.numpy() == grey).all()
