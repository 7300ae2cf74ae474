"""A hundred cats a dog."""

from pathlib import Path

from plain_sets import plain_coco

FINDINGS = {"class-imbalance": 1}
TRAINING = "goes on"


def write(folder: Path) -> None:
    data = plain_coco(folder)
    records = data.train["annotations"]
    data.train["annotations"] = [record for record in records if record["category_id"] == 1 or record["image_id"] < 3]
    for index in range(120):
        data.add_box([3 + 6 * (index % 12), 2 + 5 * (index // 12), 5, 4], image=3)
    data.save()
