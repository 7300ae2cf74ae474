"""Which format a path has: found out, forced, or asked for."""

import json
from pathlib import Path

import pytest
from layouts import LAYOUTS
from PIL import Image

from dsla.data import open_data
from dsla.data.formats import read_tables
from dsla.data.formats.split_names import split_of
from dsla.errors import DataError


@pytest.fixture
def write(coco, tmp_path):
    """Writes the data set of three pictures in a layout, into a folder of its own."""

    def write(layout: str, root: Path | None = None, *parts: str) -> Path:
        pictures = tmp_path / "pictures"
        pictures.mkdir(exist_ok=True)
        for image in coco["images"]:
            Image.new("RGB", (40, 30)).save(pictures / image["file_name"])
        return LAYOUTS[layout](root or tmp_path / layout, pictures, dict.fromkeys(parts or ("train", "val"), coco))

    return write


def test_two_formats_in_one_folder_are_asked_about(write, tmp_path):
    root = tmp_path / "both"
    write("coco_plain", root)
    write("yolo_folder", root)
    with pytest.raises(DataError) as error:
        open_data(root)
    assert str(error.value) == (
        f"{root}: could be YOLO (pictures with .txt labels) and COCO (train.json). "
        "Say which is meant: --kind yolo or --kind coco."
    )
    assert open_data(root, kind="coco").kind == "coco"
    assert open_data(root, kind="yolo").train.class_names == ("cat", "dog")
    with pytest.raises(DataError, match="no Pascal VOC annotations found here"):
        open_data(root, kind="voc")


def test_a_stray_json_beside_another_format_is_no_question(write):
    root = write("yolo_folder")
    (root / "results.json").write_text(json.dumps({"accuracy": 1}))
    assert open_data(root).kind == "yolo"


def test_several_years_of_voc_are_asked_about(write, tmp_path):
    root = write("voc_devkit")
    (root / "VOC2012").rename(root / "VOC2007")
    write("voc_devkit", root)
    with pytest.raises(DataError, match="holds several Pascal VOC data sets: VOC2007, VOC2012"):
        open_data(root)
    assert len(open_data(root / "VOC2007").train) == 3


def test_folders_of_one_part_twice_are_asked_about(write):
    root = write("coco_roboflow")
    (root / "val").mkdir()
    with pytest.raises(DataError, match="val and valid could both be meant"):
        open_data(root)


def test_files_that_are_no_data_set(tmp_path):
    file = tmp_path / "a.zip"
    file.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"a\.zip: no data set; give its folder, a COCO json, or a YOLO data\.yaml"):
        open_data(file)


def test_a_folder_with_one_part_is_all_there_is(write, tmp_path):
    for part in ("val", "test"):
        splits = open_data(write("coco_2017", tmp_path / part, part))
        assert (len(splits.train), splits.val, splits.test) == (3, None, None)
    with pytest.raises(DataError, match="has val and test, but nothing to train on"):
        open_data(write("coco_plain", tmp_path / "two", "val", "test"))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("instances_train2017", "train"),
        ("bccd-training", "train"),
        ("Valid", "val"),
        ("validation", "val"),
        ("instances_val2014", "val"),
        ("train_a", "train"),
        ("traindata", "train"),
        ("cells_test", "test"),
        ("annotations", None),
        ("labels", None),
        ("contrast", None),
        ("evaluation", None),
    ],
)
def test_parts_are_known_by_their_names(name, split):
    assert split_of(name) == split


def test_odd_records_stay_in_the_tables(coco, write):
    root = write("coco_plain")
    coco["images"] += [5, {"id": "x"}, {"id": 9, "file_name": 3}]
    coco["annotations"] += [None, {"bbox": "?"}]
    (root / "train.json").write_text(json.dumps(coco))
    tables = read_tables(root).train
    assert tables.images[3:] == [5, {"id": "x"}, {"id": 9, "file_name": 3}]
    assert tables.annotations[4:] == [None, {"bbox": "?"}]
    assert [path is None for path in tables.pictures] == [False] * 3 + [True] * 3
    assert tables.where("annotations", 4) == f"{root / 'train.json'}: annotations[4]"
