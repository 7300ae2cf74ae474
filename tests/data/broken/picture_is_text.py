"""A web page saved as a picture."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"picture-unknown": 1}
TRAINING = "stops at the picture"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    (data.images / "2.png").write_text("<html>404 not found</html>")
    data.save()
