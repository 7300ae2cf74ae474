"""Dogs beside dog, and a name with a letter too many."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"class-alike": 2, "class-train-only": 3}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    data.train["categories"] += [{"id": 3, "name": "dogs"}, {"id": 4, "name": "rabbit"}, {"id": 5, "name": "rabbbit"}]
    for category in (3, 4, 5):
        for image in (1, 2):
            data.add_box([30, 3 + 8 * category, 8, 7], image=image, category=category)
    data.save()
