"""Tiny COCO folders, written by the tests that read them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def coco() -> dict[str, Any]:
    """Three pictures of 40x30, the last without boxes; category ids out of order, one crowd, one ignored."""
    boxes = [
        (11, 1, 7, [2.0, 3.0, 10.0, 8.0], {}),
        (12, 1, 3, [20.5, 10.25, 15.0, 12.0], {"area": 90.5}),
        (13, 2, 7, [0.0, 0.0, 40.0, 30.0], {"iscrowd": 1}),
        (14, 2, 3, [5.0, 5.0, 6.0, 6.0], {"ignore": True}),
    ]
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30} for i in (1, 2, 5)],
        "annotations": [
            {"id": key, "image_id": image, "category_id": category, "bbox": box, **more}
            for key, image, category, box, more in boxes
        ],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
    }


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., Path]:
    """Writes jsons by their place in the folder, and the pictures they name; returns the folder."""

    def write(pictures: str = "images", **jsons: dict[str, Any]) -> Path:
        rng = np.random.default_rng(0)
        for place, content in jsons.items():
            path = tmp_path / (place.replace("__", "/") + ".json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
            for image in content["images"]:
                file = tmp_path / pictures / image["file_name"]
                file.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.integers(0, 256, (image["height"], image["width"], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(file)
        return tmp_path

    return write
