import builtins

import jaxtyping
import numpy as np
import pytest

from dsla.engine.detections import Detections
from dsla.errors import ConfigError

NAMES = ("cat", "dog", "traffic light")


def detections(**changes) -> Detections:
    fields = {
        "boxes": np.array([[10, 20, 30, 60], [0, 0, 5, 5], [1, 2, 3, 4]], np.float32),
        "scores": np.array([0.9, 0.5, 0.2], np.float32),
        "labels": np.array([1, 0, 1], np.int64),
        "class_names": NAMES,
        "name": "street.jpg",
        "size": (100, 200),
    }
    return Detections(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"boxes": np.zeros((3, 5), np.float32)},
            r"boxes: wanted float32 of shape \(N, 4\), got float32 of \(3, 5\)",
        ),
        ({"boxes": np.zeros((3, 4))}, "got float64"),
        ({"boxes": [[0, 0, 1, 1]]}, "got a list"),
        (
            {"scores": np.zeros(2, np.float32)},
            r"scores: wanted float32 of shape \(3,\), one for each box, got .* \(2,\)",
        ),
        ({"labels": np.zeros(3, np.int32)}, "labels: wanted int64 .* got int32"),
        ({"labels": np.array([0, 3, 0])}, r"labels\[1\]: wanted an index into the 3 class names, got 3"),
        ({"scores": np.array([0, 0, 1.5], np.float32)}, r"scores\[2\]: wanted a number in \[0, 1\], got 1.5"),
        ({"boxes": np.array([[5, 0, 1, 1]] * 3, np.float32)}, r"boxes\[0\]: wanted xyxy with x1 <= x2"),
        ({"boxes": np.full((3, 4), np.nan, np.float32)}, r"boxes\[0\]: wanted finite"),
    ],
)
def test_construction_says_what_came_and_what_was_wanted(changes, message, monkeypatch):
    # The checks are the user's; the test run's own run-time types would speak first.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        detections(**changes)


def test_filter_by_score_and_class_keeps_order():
    found = detections()
    assert len(found) == 3
    assert found.filter(0.5).scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.filter(classes=["dog"]).labels.tolist() == [1, 1]
    assert found.filter(0.5, classes=[0]).boxes.tolist() == [[0, 0, 5, 5]]
    assert len(found.filter(classes=[])) == 0


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("Dgo", "did you mean 'dog'"),
        ("trafic light", "did you mean 'traffic light'"),
        ("zebra", "the model knows: cat, dog, traffic light"),
        (3, "class index 3 is unknown: the model's 3 classes count from 0"),
    ],
)
def test_unknown_class_names_the_nearest_known(wanted, message):
    with pytest.raises(ConfigError, match=message):
        detections().filter(classes=[wanted])


def test_to_coco_gives_result_entries():
    entries = detections().to_coco(7)
    assert entries[0] == {
        "image_id": 7, "category_id": 2, "bbox": [10.0, 20.0, 20.0, 40.0], "score": pytest.approx(0.9),
    }  # fmt: skip
    assert [entry["category_id"] for entry in detections().to_coco(7, [3, 18, 90])] == [18, 3, 18]
    with pytest.raises(ValueError, match="2 ids came for 3 class names"):
        detections().to_coco(7, [1, 2])


def test_repr_tells_a_person_what_was_found():
    assert repr(detections()) == "Detections(street.jpg, 200x100 px: 2 dog, 1 cat, best score 0.90)"
    assert "nothing found" in repr(detections().filter(0.95))


def test_to_supervision_carries_everything():
    pytest.importorskip("supervision")
    theirs = detections().to_supervision()
    assert theirs.xyxy.tolist() == detections().boxes.tolist()
    assert theirs["class_name"].tolist() == ["dog", "cat", "dog"]
    assert len(detections().filter(0.95).to_supervision()) == 0


def test_to_supervision_names_the_extra_where_it_is_missing(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "supervision":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"dsla\[supervision\]"):
        detections().to_supervision()
