import json

import pytest
from finished_runs import FIGURES, MEASURES, write_comparison, write_run

from dsla.errors import ConfigError, DataError
from dsla.lab.record import read_records, unfinished_runs


@pytest.fixture
def plan(tmp_path):
    return write_comparison(tmp_path / "compare", ["tal", "dsla"], [1, 0])


def test_runs_come_in_the_order_of_the_plan(plan):
    records = read_records(plan.out)
    assert [(record.assigner, record.seed) for record in records] == [("tal", 1), ("tal", 0), ("dsla", 1), ("dsla", 0)]
    first = records[0]
    assert first.figures == FIGURES
    assert first.measures == MEASURES
    assert first.train_seconds == 120
    assert first.steps == 72
    assert first.config["assigner"]["name"] == "tal"
    assert first.config["train"]["seed"] == 1
    assert first.folder == plan.out / "runs" / "tal-1"
    assert first.detections == []


def test_detections_are_read_when_they_are_asked_for(plan):
    row = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}
    record = read_records(plan.out)[0]
    write_run(plan, "tal", 1, [row])
    assert record.detections == [row]


def test_what_is_not_measured_is_none(plan):
    write_run(plan, "tal", 1, spearman=None, assign_ms=None)
    (plan.out / "runs" / "tal-1" / "metrics.csv").unlink()
    record = read_records(plan.out)[0]
    assert record.measures["spearman"] is None
    assert record.steps is None


def test_unfinished_runs_are_named_or_left_out(plan):
    (plan.out / "runs" / "dsla-1" / "measures.json").unlink()
    with pytest.raises(DataError, match=r"not finished: dsla seed 1; call"):
        read_records(plan.out)
    assert len(read_records(plan.out, partial=True)) == 3
    assert unfinished_runs(plan.out) == ["dsla seed 1"]
    for path in plan.out.glob("runs/*/measures.json"):
        path.unlink()
    with pytest.raises(DataError, match="no run is finished"):
        read_records(plan.out, partial=True)


def test_a_folder_without_a_plan(tmp_path):
    with pytest.raises(ConfigError, match="no comparison is planned here"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("measures.json", "{", r"measures.json: not json"),
        ("measures.json", "[]", r"expected names and values, found a list"),
        ("measures.json", "{}", r"has no AP, AP50"),
        ("measures.json", json.dumps(FIGURES | MEASURES | {"AP": "much", "train_seconds": 1}), r"AP is 'much'"),
        ("results.json", None, r"results.json: no such file, though its run is finished"),
        ("results.json", '{"seed": 1}', r"has no config, protocol"),
        ("results.json", '{"config":{},"protocol":{},"versions":{},"data":"","seed":5}', r"of seed 5, expected 1"),
        ("last_detections.json", None, r"last_detections.json: no such file"),
        ("last_detections.json", "{}", r"expected a list of detections, found a dict"),
        ("last_detections.json", '[{"image_id": 1}]', r"entry 0 is not a COCO detection"),
        ("last_detections.json", "\x00", r"not json"),
    ],
)
def test_damage_is_named_with_its_cure(plan, name, text, message):
    path = plan.out / "runs" / "tal-1" / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as raised:
        _ = read_records(plan.out)[0].detections
    assert "tal-1" in str(raised.value)
    assert "delete the folder of that run" in str(raised.value)
