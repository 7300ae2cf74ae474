"""Random ground truth and detections with everything that happens: crowds, ties, classes and pictures without boxes."""

from typing import Any

import numpy as np
import pytest

Problem = tuple[dict[str, Any], list[dict[str, Any]]]


@pytest.fixture(scope="session", params=[0, 1])
def problem(request: pytest.FixtureRequest) -> Problem:
    """COCO ground truth of 12 pictures and 3 classes, and 800 detections around its boxes and elsewhere."""
    return random_problem(request.param)


def random_problem(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    for picture in range(11):  # the last one has no boxes
        for _ in range(rng.integers(1, 9)):
            x, y = rng.uniform(0, 70, 2)
            w, h = rng.uniform(10, 40, 2)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": 10 + picture, "category_id": int(rng.choice([2, 5])),
                    "bbox": [x, y, w, h], "area": w * h, "iscrowd": int(rng.random() < 0.15),
                }
            )  # fmt: skip
    rows: list[dict[str, Any]] = []
    for _ in range(800):
        if rng.random() < 0.8:
            near = annotations[rng.integers(len(annotations))]
            bbox = (np.array(near["bbox"]) + rng.normal(0, 4, 4)).clip(1).tolist()
            place = {"image_id": near["image_id"], "category_id": near["category_id"]}
        else:
            bbox = rng.uniform(5, 60, 4).tolist()
            place = {"image_id": int(rng.integers(10, 22)), "category_id": int(rng.choice([2, 5, 9]))}
        rows.append({**place, "bbox": bbox, "score": float(rng.random())})
    truth = {
        "images": [{"id": 10 + picture, "width": 128, "height": 128} for picture in range(12)],
        "annotations": annotations,
        "categories": [{"id": number, "name": f"c{number}"} for number in (2, 5, 9)],
    }
    return truth, rows
