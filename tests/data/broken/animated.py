"""A GIF of two frames."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-frames": 1, "colour-palette": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    frames = [picture(1).quantize(64), picture(31).quantize(64)]
    data.replace_picture(lambda path: frames[0].save(path, save_all=True, append_images=frames[1:]), rename="1.gif")
    data.save()
