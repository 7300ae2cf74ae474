"""What a report is made of: boxes compared without loops, classes spelt alike, json, and the table of the docs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_sets import plain_coco
from torchvision.ops import box_iou

from dsla.data.check import CATALOGUE, check_data
from dsla.data.check.boxes import SAME, same_boxes
from dsla.data.check.classes import nearly_alike
from dsla.data.check.columns import columns_of
from dsla.data.formats import read_tables
from dsla.data.resize import Resize
from dsla.data.tables import Tables
from dsla.report.check import catalogue_table

DOCS = Path(__file__).parents[3] / "docs" / "checks.md"


def test_equal_boxes_are_those_of_all_pairs() -> None:
    """Against torchvision's IoU of all pairs, on boxes that are shifted copies of a few."""
    rng = np.random.default_rng(0)
    base = np.column_stack([rng.uniform(0, 50, (12, 2)), rng.uniform(4, 60, (12, 2))])
    xywh = base[rng.integers(0, 12, 300)] + rng.choice([0, 0, 0.2, 1.5], (300, 4))
    image, category = rng.integers(0, 4, 300), rng.integers(0, 2, 300)
    records = [
        {"id": i, "image_id": int(image[i]), "category_id": int(category[i]), "bbox": xywh[i].tolist()}
        for i in range(300)
    ]
    images = [{"id": i, "file_name": f"{i}.png", "width": 200, "height": 200} for i in range(4)]
    categories = [{"id": i, "name": f"c{i}"} for i in range(2)]
    tables = Tables(Path("train.json"), "coco", images, records, categories, [None] * 4)
    first, second, iou = same_boxes(columns_of("train", tables, Path()))
    boxes = torch.from_numpy(np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1))
    table = box_iou(boxes, boxes).numpy()
    told = set(zip(first.tolist(), second.tolist(), strict=True))
    assert all(a < b and image[a] == image[b] and table[a, b] >= SAME - 1e-9 for a, b in told)
    np.testing.assert_allclose(iou, table[first, second], atol=1e-9)
    repeated = {
        b
        for a in range(300)
        for b in range(a + 1, 300)
        if image[a] == image[b] and category[a] == category[b] and table[a, b] >= SAME
    }
    assert {b for a, b in told if category[a] == category[b]} == repeated and len(repeated) > 50


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (["horse", "house"], True),
        (["dog", "dogs"], True),
        (["bus", "buss"], True),
        (["fork", "cork"], False),  # too short for one letter to mean anything
        (["tank 1", "tank 2"], False),
        (["person", "parson", "car"], True),
        (["a", "as"], False),
        (["rabbit", "rabbits"], True),
        (["bicycle", "motorcycle"], False),
    ],
)
def test_names_spelt_nearly_alike(names: list[str], alike: bool) -> None:
    assert len(nearly_alike(names)) == int(alike)


def test_classes_of_coco_raise_no_suspicion(shared_data: Path) -> None:
    categories = json.loads((shared_data / "coco256" / "train.json").read_text())["categories"]
    assert len(categories) == 80 and nearly_alike([category["name"] for category in categories]) == []


def test_real_data_sets_have_what_was_seen_in_them_and_no_more(shared_data: Path) -> None:
    """Looked at one by one: cells drawn twice, two micrographs of one spot, and what 80 classes lack."""
    bccd = check_data(read_tables(shared_data / "bccd"))
    assert {finding.code: finding.count for finding in bccd.findings} == {"box-duplicate": 7, "picture-near": 1}
    coco = check_data(read_tables(shared_data / "coco256"))
    assert coco.counts == {"error": 0, "warning": 3, "note": 5}


def test_the_report_as_json(tmp_path: Path) -> None:
    data = plain_coco(tmp_path / "set")
    for _ in range(3):
        data.add_box([5, 5, 0, 10])
    data.save()
    told = json.loads(json.dumps(check_data(read_tables(data.folder)).to_json(most=2), allow_nan=False))
    (finding,) = told["findings"]
    assert (finding["code"], finding["severity"], finding["count"], finding["splits"]) == (
        "box-degenerate",
        "error",
        3,
        {"train": 3},
    )
    assert len(finding["examples"]) == 2 and finding["examples"][0]["where"].startswith("train.json: annotation")
    assert told["counts"] == {"error": 1, "warning": 0, "note": 0} and told["decoded"] and told["kind"] == "coco"
    assert told["overview"]["parts"]["train"]["boxes"] == 8
    assert told["overview"]["classes"] == {"cat": {"train": 4, "val": 2}, "dog": {"train": 4, "val": 2}}


def test_a_quick_check_finds_in_records_what_a_whole_one_does(tmp_path: Path) -> None:
    data = plain_coco(tmp_path / "set")
    data.add_box(data.train["annotations"][0]["bbox"])
    data.save()
    report = check_data(read_tables(data.folder), quick=True, resize=Resize(64))
    assert [finding.code for finding in report.findings if finding.entry.severity == "warning"] == ["box-duplicate"]


def test_the_docs_have_the_table_of_codes() -> None:
    found = re.search(r"<!-- codes -->\n(.*?)<!-- end -->", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None and found.group(1) == catalogue_table(), "run `python benchmarks/check_docs.py`"
    assert all(code == entry.code for code, entry in CATALOGUE.items())
