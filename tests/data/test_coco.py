"""COCO jsons: what is read, where it is found, and each fault with its own message."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dsla.data.dataset import DetectionData, open_data
from dsla.errors import DataError

Json = dict[str, Any]
WriteCoco = Callable[..., Path]


def test_reads_boxes_labels_and_ignore_regions(coco: Json, write_coco: WriteCoco) -> None:
    splits = open_data(write_coco(train=coco, val=coco))
    assert splits.kind == "coco"
    assert splits.val is not None and len(splits.val) == 3
    data = splits.train
    assert isinstance(data, DetectionData)
    assert data.class_names == ("cat", "dog")  # ascending ids: 3, 7
    assert data.notes == ()
    first, second, third = (data.sample(i) for i in range(3))
    assert first.boxes.tolist() == [[2, 3, 12, 11], [20.5, 10.25, 35.5, 22.25]]
    assert first.labels.tolist() == [1, 0]
    assert (first.image_id, first.original_size, first.scale) == (1, (30, 40), (1.0, 1.0))
    assert first.name.endswith("1.png")
    assert second.ignore.tolist() == [True, True]  # a crowd, and our own flag
    assert third.boxes.shape == (0, 4) and third.image_id == 5
    record = data.record(0)
    assert torch.equal(record.boxes, first.boxes) and record.size == (30, 40) and record.name == first.name


def test_to_coco_gives_back_the_json(coco: Json, write_coco: WriteCoco) -> None:
    content = copy.deepcopy(coco)
    content["annotations"].reverse()
    given = open_data(write_coco(train=content)).train.to_coco()
    assert given["images"] == content["images"]
    assert given["categories"] == sorted(content["categories"], key=lambda c: c["id"])
    expected = {
        a["id"]: {
            **{key: a[key] for key in ("id", "image_id", "category_id", "bbox")},
            "area": a.get("area", a["bbox"][2] * a["bbox"][3]),
            "iscrowd": int(a.get("iscrowd", 0) or a.get("ignore", False)),
        }
        for a in content["annotations"]
    }
    assert {a["id"]: a for a in given["annotations"]} == expected
    json.dumps(given)  # plain numbers throughout


def test_boxes_that_stick_out_are_clipped_and_noted(coco: Json, write_coco: WriteCoco) -> None:
    content = copy.deepcopy(coco)
    content["annotations"][0]["bbox"] = [-4, 3, 10, 100]
    content["annotations"][1]["bbox"] = [30, 10, 10.01, 5]  # two decimals of rounding are no news
    data = open_data(write_coco(train=content)).train
    assert data.record(0).boxes.tolist() == [[0, 3, 6, 30], [30, 10, 40, 15]]
    (note,) = data.notes
    assert "1 of 4 boxes stick out" in note and "annotations 11" in note and "train.json" in note
    assert data.to_coco()["annotations"][0]["bbox"] == [-4, 3, 10, 100]


@pytest.mark.parametrize(
    ("jsons", "pictures"),
    [
        (("train", "val"), "images"),
        (("train", "val"), "."),
        (("train", "val"), "images/train"),
        (("annotations__instances_train2017", "annotations__instances_val2017"), "train2017"),
        (("annotations__instances_train", "annotations__instances_val"), "images"),
    ],
)
def test_layouts(jsons: tuple[str, str], pictures: str, coco: Json, write_coco: WriteCoco) -> None:
    root = write_coco(pictures, **{jsons[0]: coco})
    assert open_data(root).val is None
    names = {"train2017": "val2017", "images/train": "images/val"}
    splits = open_data(write_coco(names.get(pictures, pictures), **{jsons[1]: coco}))
    assert splits.val is not None
    assert torch.equal(splits.train.sample(0).boxes, splits.val.sample(0).boxes)


def test_a_lone_json_has_no_validation_part(coco: Json, write_coco: WriteCoco) -> None:
    root = write_coco(labels=coco)
    for path in (root, root / "labels.json", str(root / "labels.json")):
        splits = open_data(path)
        assert splits.val is None and len(splits.train) == 3


def test_val_may_know_fewer_categories_but_no_others(coco: Json, write_coco: WriteCoco) -> None:
    fewer = copy.deepcopy(coco)
    fewer["categories"] = fewer["categories"][1:]
    fewer["annotations"] = [a for a in fewer["annotations"] if a["category_id"] == 3]
    splits = open_data(write_coco(train=coco, val=fewer))
    assert splits.val is not None
    assert splits.val.class_names == ("cat", "dog")
    assert splits.val.record(0).labels.tolist() == [0]
    other = copy.deepcopy(coco)
    other["categories"][0]["name"] = "wolf"
    with pytest.raises(DataError, match=r"val\.json: its categories differ .*'wolf'"):
        open_data(write_coco(train=coco, val=other))


def test_the_group_that_roboflow_writes_as_a_category_is_left_out(coco: Json, write_coco: WriteCoco) -> None:
    coco["categories"] = [
        {"id": 0, "name": "pets", "supercategory": "none"},
        *({**each, "supercategory": "pets"} for each in coco["categories"]),
    ]
    root = write_coco(train=coco, val=coco)
    splits = open_data(root)
    assert splits.train.class_names == ("cat", "dog") and splits.val is not None
    assert splits.notes == (
        f"{root}: the category 'pets' is the group of all others and has no boxes; it is left out.",
    )
    coco["annotations"][0]["category_id"] = 0
    (root / "val.json").write_text(json.dumps(coco))
    assert open_data(root).train.class_names == ("pets", "cat", "dog"), "a class where any part has boxes of it"


@pytest.mark.parametrize("folder", ["/home/someone/cells/", "..\\export\\images\\", "old/place/"])
def test_folders_of_another_machine_are_left_aside(folder: str, coco: Json, write_coco: WriteCoco) -> None:
    root = write_coco(train=coco)
    for image in coco["images"]:
        image["file_name"] = folder + image["file_name"]
    (root / "train.json").write_text(json.dumps(coco))
    data = open_data(root).train
    assert [Path(data.record(i).name).name for i in range(3)] == ["1.png", "2.png", "5.png"]
    (note,) = data.notes
    assert "the folders that 3 pictures are named with are not here" in note and f"(first {folder}1.png)" in note
    coco["images"][1]["file_name"] = "other/1.png"  # two of one name: nobody can say which is which
    (root / "train.json").write_text(json.dumps(coco))
    with pytest.raises(DataError, match="2 of 3 pictures are missing"):
        open_data(root)


def spoil(key: str, index: int, **fields: Any) -> Callable[[Json], Any]:
    return lambda content: content[key][index].update(fields)


def lose(key: str, index: int, field: str) -> Callable[[Json], Any]:
    return lambda content: content[key][index].pop(field)


FAULTS: dict[str, tuple[Callable[[Json], Any], str]] = {
    "no images": (lambda c: c.pop("images"), r"not COCO: 'images' is missing\. Give a COCO json"),
    "no annotations": (lambda c: c.pop("annotations"), "not COCO: 'annotations' is missing"),
    "no categories": (lambda c: c.pop("categories"), "not COCO: 'categories' is missing"),
    "images a dict": (lambda c: c.update(images={}), "'images' is not a list"),
    "images empty": (lambda c: c.update(images=[], annotations=[]), "'images' is empty"),
    "categories empty": (lambda c: c.update(categories=[], annotations=[]), "'categories' is empty"),
    "record no object": (lambda c: c["images"].insert(1, 5), r"images\[1\] is a number"),
    "no file name": (lose("images", 2, "file_name"), r"images\[2\] has no 'file_name'"),
    "file name a number": (
        spoil("images", 0, file_name=4),
        r"images\[0\] has 'file_name' 4 instead of a text",
    ),
    "width a text": (spoil("images", 0, width="40"), "'width' '40' instead of a whole number"),
    "height zero": (spoil("images", 0, height=0), "'height' 0, which is below 1"),
    "no box": (lose("annotations", 0, "bbox"), r"annotations\[0\] has no 'bbox'"),
    "category id a text": (spoil("categories", 0, id="7"), "whole number"),
    "image id twice": (spoil("images", 1, id=1), "1 image ids are used more than once: 1"),
    "annotation id twice": (spoil("annotations", 1, id=11), "1 annotation ids are used more than once: 11"),
    "category id twice": (spoil("categories", 1, id=7), "1 category ids are used more than once: 7"),
    "missing image": (
        spoil("annotations", 2, image_id=99),
        "annotation 13 names image 99, which is not in 'images'. Add the image or remove",
    ),
    "missing category": (
        spoil("annotations", 3, category_id=4),
        r"annotation 14 names category 4, which is not in 'categories' \(ids 3, 7\)",
    ),
    "three numbers": (spoil("annotations", 0, bbox=[1, 2, 3]), "annotation 11 has a box .* not four numbers"),
    "box of texts": (spoil("annotations", 0, bbox=["1", 2, 3, 4]), "not four numbers"),
    "box null": (spoil("annotations", 0, bbox=None), "not four numbers"),
    "NaN": (spoil("annotations", 1, bbox=[float("nan"), 2, 3, 4]), "annotation 12 has a box .* not finite"),
    "infinite": (spoil("annotations", 1, bbox=[1, 2, float("inf"), 4]), "not finite"),
    "zero width": (
        spoil("annotations", 0, bbox=[1, 2, 0, 4]),
        r"annotation 11 has a box \[1, 2, 0, 4\] whose width or height is not above zero\. COCO boxes are",
    ),
    "negative height": (spoil("annotations", 0, bbox=[1, 2, 3, -4]), "not above zero"),
    "outside": (
        spoil("annotations", 0, bbox=[50, 2, 3, 4]),
        r"annotation 11 has a box \[50, 2, 3, 4\] that lies outside its picture 1\.png \(40x30\)",
    ),
    "just outside": (spoil("annotations", 0, bbox=[40, 2, 3, 4]), "outside"),
    "area a text": (spoil("annotations", 0, area="big"), "area 'big' that is not a number"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_own_message(fault: str, coco: Json, write_coco: WriteCoco) -> None:
    root = write_coco(train=coco)
    content = copy.deepcopy(coco)
    change, message = FAULTS[fault]
    change(content)
    (root / "train.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"train\.json: .*{message}"):
        open_data(root)


def test_faults_of_a_kind_are_counted(coco: Json, write_coco: WriteCoco) -> None:
    content = copy.deepcopy(coco)
    for annotation in content["annotations"][:3]:
        annotation["bbox"] = [1, 1, 0, 1]
    with pytest.raises(DataError, match=r"annotation 11 .*\(and 2 more like it\)"):
        open_data(write_coco(train=content))


@pytest.mark.parametrize("text", ["", "{", "\x00\xff", "[1, 2]", "3"])
def test_what_is_no_coco_json(text: str, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(text)
    with pytest.raises(DataError, match=r"train\.json: (not a json file|not COCO|the file is empty)"):
        open_data(tmp_path)


def test_paths_that_hold_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file or folder.*scenes"):
        open_data(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no data set found here\. Known layouts are COCO .*YOLO .*Pascal VOC"):
        open_data(tmp_path)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(DataError, match=r"it has a\.json, b\.json"):
        open_data(tmp_path)
    for name in ("train_a.json", "train_b.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(DataError, match=r"several files could be meant: train_a\.json, train_b\.json"):
        open_data(tmp_path)


def test_missing_pictures_are_listed_at_opening(coco: Json, write_coco: WriteCoco) -> None:
    content = copy.deepcopy(coco)
    content["images"] += [{"id": i, "file_name": f"{i}.png", "width": 4, "height": 3} for i in range(10, 15)]
    root = write_coco(train=content)
    for i in (1, 10, 11, 12):
        (root / "images" / f"{i}.png").unlink()
    with pytest.raises(DataError, match=r"4 of 8 pictures are missing, first 1\.png, 10\.png, 11\.png\. Looked in"):
        open_data(root)


@pytest.mark.parametrize("content", [b"", b"hello", "cut"])
def test_unreadable_pictures_name_their_file(content: bytes | str, coco: Json, write_coco: WriteCoco) -> None:
    root = write_coco(train=coco)
    file = root / "images" / "1.png"
    file.write_bytes(content if isinstance(content, bytes) else file.read_bytes()[:300])
    with pytest.raises(DataError, match=r"1\.png: .*(empty|not a picture|cut short)"):
        open_data(root).train.sample(0)


def test_a_picture_of_another_size_is_refused(coco: Json, write_coco: WriteCoco) -> None:
    root = write_coco(train=coco)
    Image.new("RGB", (41, 30)).save(root / "images" / "1.png")
    with pytest.raises(DataError, match=r"1\.png: the picture is 41x30 .*image 1 of .*train\.json says 40x30"):
        open_data(root).train.sample(0)
    Image.new("RGB", (30, 40)).save(root / "images" / "1.png")  # swapped without EXIF to explain it
    with pytest.raises(DataError, match="the picture is 30x40"):
        open_data(root).train.sample(0)


@pytest.mark.parametrize("json_has", ["upright", "stored"])
def test_exif_turns_the_picture_as_its_json_has_it(json_has: str, coco: Json, write_coco: WriteCoco) -> None:
    """Boxes belong to the pixels whose size the json gives: upright ones, or those stored."""
    stored = np.zeros((40, 30, 3), np.uint8)
    stored[5:15, 2:8] = 255
    tag = Image.Exif()
    tag[0x0112] = 6  # turn by 90 degrees clockwise: x' = 40 - y, y' = x
    content = copy.deepcopy(coco)
    if json_has == "stored":
        content["images"][0].update(width=30, height=40)
        content["annotations"][:2] = [{**content["annotations"][0], "bbox": [2, 5, 6, 10]}]
    else:
        content["annotations"][:2] = [{**content["annotations"][0], "bbox": [25, 2, 10, 6]}]
    root = write_coco(train=content)
    Image.fromarray(stored).save(root / "images" / "1.png", exif=tag)
    sample = open_data(root).train.sample(0)
    x1, y1, x2, y2 = sample.boxes[0].int().tolist()
    assert sample.size == sample.original_size
    assert sample.image[:, y1:y2, x1:x2].min() == 255
    assert int((sample.image[0] == 255).sum()) == (x2 - x1) * (y2 - y1)


def test_real_sets_open(shared_data: Path) -> None:
    for name, classes in (("bccd", 3), ("coco256", 80)):
        splits = open_data(shared_data / name)
        assert splits.val is not None
        assert len(splits.train.class_names) == classes
        for data in (splits.train, splits.val):
            content = json.loads(
                (shared_data / name / f"{'train' if data is splits.train else 'val'}.json").read_text()
            )
            assert sum(len(data.record(i).boxes) for i in range(len(data))) == len(content["annotations"])
            sample = data.sample(3)
            assert sample.size == sample.original_size == data.record(3).size
