"""How many points boxes get: counted by hand on a small set, and refused where only a network could tell."""

import json

import numpy as np
import pytest
from PIL import Image

from dsla.assign import DSLA, FCOS, TAL
from dsla.data import Resize, open_data
from dsla.errors import ConfigError
from dsla.lab.points_a_box import points_a_box


@pytest.fixture
def data(tmp_path):
    """One picture of 128 x 64 px: a box of 32 px on a lattice, a box between points, a crowd; one empty picture."""
    boxes = [[0, 0, 32, 32, 0], [65, 9, 2, 2, 0], [96, 0, 32, 32, 1]]
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (128, 64)).save(tmp_path / "images" / name)
    annotations = [
        {"id": n, "image_id": 1, "category_id": 1, "bbox": box[:4], "area": box[2] * box[3], "iscrowd": box[4]}
        for n, box in enumerate(boxes, 1)
    ]
    images = [{"id": n, "file_name": name, "width": 128, "height": 64} for n, name in ((1, "a.png"), (2, "b.png"))]
    tree = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (tmp_path / "train.json").write_text(json.dumps(tree))
    return open_data(tmp_path).train


def test_counts_sides_and_levels(data):
    found = points_a_box(FCOS(), data, Resize(128), (8, 16))
    # Stride 8 has 4 x 4 points within the first box, all with m below 64; stride 16 reaches from 64 on.
    assert found.count.tolist() == [16, 0]
    np.testing.assert_allclose(found.side, [32, 2])
    assert found.level.tolist() == [16, 0]
    assert found.shares() == {"0": 0.5, "1": 0.0, "2-4": 0.0, "5+": 0.5}


def test_boxes_follow_the_picture_size(data):
    half = points_a_box(FCOS(), data, Resize(64), (8, 16))
    assert half.count.tolist() == [4, 0]
    np.testing.assert_allclose(half.side, [16, 1])


def test_coverage_leaves_no_box_without_a_point(data):
    assert points_a_box(DSLA(coupling=False, cover=True), data, Resize(128), (8, 16)).count.min() == 1


def test_a_rule_that_needs_predictions_is_refused(data):
    with pytest.raises(ConfigError, match="needs predictions"):
        points_a_box(TAL(), data, Resize(128), (8, 16))
