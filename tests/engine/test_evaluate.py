import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console

from dsla.engine.evaluate import evaluate_detections
from dsla.errors import DataError

STATS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def problem(seed: int, pictures: int = 8, crowd: float = 0.15):
    """Random truth with crowds, an empty class and picture; detections near it, doubled or astray."""
    rng = np.random.default_rng(seed)
    images = [{"id": 10 + i, "width": 400, "height": 300, "file_name": f"{i}.jpg"} for i in range(pictures)]
    categories = [{"id": c, "name": f"class {c}"} for c in (2, 3, 7, 90)]
    annotations, results = [], []
    for image in images[1:]:
        for _ in range(rng.integers(0, 12)):
            x, y = rng.uniform(0, 250, 2)
            w, h = np.exp(rng.uniform(np.log(4), np.log(180), 2))
            box = [float(v) for v in (x, y, w, h)]
            category = int(rng.choice([2, 3, 7]))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": box,
                    "area": float(w * h * rng.uniform(0.5, 1)),
                    "iscrowd": int(rng.random() < crowd),
                }
            )
            for _ in range(rng.integers(0, 3)):
                shifted = np.array(box) + rng.normal(0, 3, 4)
                shifted[2:] = shifted[2:].clip(1)
                guess = category if rng.random() < 0.9 else int(rng.choice([2, 3, 7, 90]))
                # Few distinct scores, so that ties are part of the problem.
                score = round(float(rng.random()), int(rng.integers(1, 4)))
                entry = {"image_id": image["id"], "category_id": guess, "score": score}
                results.append(entry | {"bbox": [float(v) for v in shifted]})
    truth = {"images": images, "annotations": annotations, "categories": categories}
    return truth, results


def pycocotools_stats(truth, results):
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCO()
        judge.dataset = json.loads(json.dumps(truth))
        judge.createIndex()
        scorer = COCOeval(judge, judge.loadRes(json.loads(json.dumps(results))), "bbox")
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return scorer


@pytest.mark.parametrize("seed", range(12))
def test_pycocotools_agrees_to_the_last_digit(seed):
    truth, results = problem(seed, crowd=(0.0, 0.15, 0.4)[seed % 3])
    ours = evaluate_detections(truth, results)
    judge = pycocotools_stats(truth, results)
    expected = [None if value == -1 else float(value) for value in judge.stats]
    assert [getattr(ours, name) for name in STATS] == expected
    for k, category in enumerate(judge.params.catIds):
        values = judge.eval["precision"][:, :, k, 0, 2]
        if (values > -1).any():
            assert ours.per_class[f"class {category}"]["AP"] == float(values.mean())
        else:
            assert f"class {category}" not in ours.per_class


def test_pycocotools_agrees_with_more_detections_than_are_counted():
    truth, _ = problem(3, pictures=2)
    rng = np.random.default_rng(0)
    results = [
        {
            "image_id": 11,
            "category_id": 2,
            "score": float(s),
            "bbox": [float(v) for v in rng.uniform(1, 150, 4)],
        }
        for s in rng.random(260)
    ]
    judge = pycocotools_stats(truth, results)
    ours = evaluate_detections(truth, results)
    assert [getattr(ours, name) for name in STATS] == [None if v == -1 else float(v) for v in judge.stats]


def test_no_detections_is_zero_and_not_a_crash():
    truth, _ = problem(0)
    ours = evaluate_detections(truth, [])
    assert (ours.AP, ours.AP50, ours.AR100) == (0.0, 0.0, 0.0)
    assert all(figures["AP"] == 0 for figures in ours.per_class.values())


def test_no_truth_has_no_value():
    truth, results = problem(0)
    ours = evaluate_detections(truth | {"annotations": []}, results)
    assert ours.AP is None
    assert ours.per_class == {}
    assert json.loads(json.dumps(ours.to_json()))["AP"] is None


def test_perfect_detections_are_one():
    truth, _ = problem(5, crowd=0)
    results = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.9}
        for a in truth["annotations"]
    ]
    ours = evaluate_detections(truth, results)
    assert pytest.approx(1) == ours.AP
    matrix = np.array(ours.confusion["matrix"])
    assert np.trace(matrix) == matrix.sum() == len(results)
    assert ours.precision_recall["mean"]["0.50"] == [1.0] * 101


def test_printed_form_names_the_protocol_and_marks_what_is_empty():
    truth, results = problem(1, crowd=0.3)
    small = [a for a in truth["annotations"] if a["area"] < 32**2]
    ours = evaluate_detections(truth | {"annotations": small}, results)
    console = Console(file=io.StringIO(), width=120)
    console.print(ours.table())
    text = console.file.getvalue()
    assert "IoU .50:.05:.95" in text
    assert "crowds ignored" in text
    row = next(line for line in text.splitlines() if " all " in line)
    assert row.count(" - ") == 2  # medium and large
    assert ours.protocol["counts"]["pictures"] == 8


def test_confusion_knows_classes_background_scores_and_crowds():
    image = {"id": 1, "width": 100, "height": 100, "file_name": "a.jpg"}
    boxes = [(1, [0, 0, 50, 50], 1), (2, [60, 60, 20, 20], 0), (1, [60, 0, 20, 20], 0)]
    truth = {
        "images": [image],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": crowd}
            for i, (c, b, crowd) in enumerate(boxes, 1)
        ],
    }
    found = [
        (1, [10, 10, 10, 10], 0.8),  # in the crowd of its class: no mistake
        (2, [10, 10, 10, 10], 0.8),  # in a crowd of another class: a mistake
        (1, [60, 60, 20, 20], 0.7),  # the dog taken for a cat
        (1, [60, 0, 20, 20], 0.2),  # right, but below the score that counts
    ]
    results = [{"image_id": 1, "category_id": c, "bbox": b, "score": s} for c, b, s in found]
    confusion = evaluate_detections(truth, results).confusion
    assert confusion["class_names"] == ["cat", "dog"]
    assert confusion["matrix"] == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(("key", "value"), [("image_id", 999), ("category_id", 55)])
def test_detections_of_another_data_set_are_an_error(key, value):
    truth, results = problem(2)
    results[0][key] = value
    with pytest.raises(DataError, match=f"1 {key} of the detections, {value} first"):
        evaluate_detections(truth, results)
