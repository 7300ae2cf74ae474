"""A picture again under another name, with the same boxes, and another one with boxes of its own."""

from pathlib import Path

from plain_sets import copy, plain_coco

FINDINGS = {"picture-duplicate": 2}
TRAINING = "goes on"
LEFT = {"picture-duplicate": 1}


def write(folder: Path) -> None:
    data = plain_coco(folder)
    for seed, shift in ((1, 0), (2, 1)):
        copy(data.images / f"{seed}.png", data.images / f"{seed}0.png")
        data.train["images"].append({"id": 10 * seed + 5, "file_name": f"{seed}0.png", "width": 80, "height": 60})
        for record in data.train["annotations"][2 * seed - 2 : 2 * seed]:
            x, y, w, h = record["bbox"]
            data.add_box([x + shift, y, w - shift, h], image=10 * seed + 5, category=record["category_id"])
    data.save()
