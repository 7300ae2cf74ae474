"""Pictures beside the others that no json names."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-unlisted": 2}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for seed in (21, 22):
        picture(seed).save(data.images / f"{seed}.png")
    data.save()
