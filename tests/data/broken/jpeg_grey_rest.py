"""A JPEG whose middle is lost but whose end is there: decoders paint the rest grey and say nothing."""

from pathlib import Path

from plain_sets import picture, plain_coco

FINDINGS = {"picture-grey-rest": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    path = data.replace_picture(lambda path: picture(1).save(path, quality=95), rename="1.jpg")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10] + b"\xff\xd9")
    data.save()
