"""YOLO: labels of every shape, paths by every rule, and what is wrong with a line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from dsla.data import open_data
from dsla.data.formats import read_tables
from dsla.data.tables import Tables
from dsla.errors import DataError

LINE = "0 0.5 0.5 0.25 0.5"


def write(root: Path, labels: dict[str, str | None], **tree: Any) -> Path:
    """A folder of pictures of 40x20 with their labels; None for no label file."""
    for name, text in labels.items():
        place = root / "images" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20)).save(place)
        if text is not None:
            file = (root / "labels" / name).with_suffix(".txt")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    if tree:
        (root / "data.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    return root


def tables(root: Path) -> Tables:
    return read_tables(root).train


def test_boxes_are_shares_of_the_picture(tmp_path):
    found = tables(
        write(tmp_path, {"a.png": "1 0.5 0.5 0.25 0.5\n\n0.0 0.25 0.5 0.5 1\n"}, train="images", names=["x", "y"])
    )
    assert [each["bbox"] for each in found.annotations] == [[15, 5, 10, 10], [0, 0, 20, 20]]
    assert [each["category_id"] for each in found.annotations] == [1, 0]
    assert found.where("annotations", 1) == f"{tmp_path / 'labels' / 'a.txt'}, line 3"
    assert found.categories == [{"id": 0, "name": "x"}, {"id": 1, "name": "y"}]
    assert (found.images, found.faults, found.notes) == (
        [{"id": 1, "file_name": "images/a.png", "height": 20, "width": 40}],
        (),
        (),
    )


def test_outlines_become_the_box_around_them_and_are_told(tmp_path):
    lines = f"0 0.25 0.5 0.5 0.25 0.75 0.5 0.5 1\n{LINE}\n"
    found = tables(write(tmp_path, {"a.png": lines}, train="images", names=["x"]))
    assert found.annotations[0]["bbox"] == [10, 5, 20, 15]
    assert found.notes == (f"{tmp_path / 'images'}: 1 of 2 labels are outlines; the box around each is used.",)


def test_key_points_are_left_aside_where_the_file_says_there_are_some(tmp_path):
    root = write(tmp_path, {"a.png": LINE + " 0.1 0.1 2 0.9 0.9 2\n"}, train="images", names=["x"], kpt_shape=[2, 3])
    assert [each["bbox"] for each in tables(root).annotations] == [[15, 5, 10, 10]]


def test_a_picture_without_label_file_has_no_boxes_and_is_told(tmp_path):
    root = write(tmp_path, {"a.png": LINE, "b.png": None, "c.png": ""}, train="images", names=["x"])
    data = open_data(root).train
    assert [len(data.record(i).boxes) for i in range(3)] == [1, 0, 0]
    assert "1 of 3 pictures have no label file and count as pictures without objects (first b.png)" in data.notes[0]


def test_label_files_of_no_picture_are_told_and_not_refused(tmp_path):
    root = write(tmp_path, {"a.png": LINE}, train="images", names=["x"])
    (root / "labels" / "gone.txt").write_text(LINE)
    (root / "labels" / "classes.txt").write_text("x\n")
    assert open_data(root).train.notes == (f"{root / 'labels' / 'gone.txt'}: belongs to no picture.",)


FAULTS = {
    "words": ("cat 0.5 0.5 0.2 0.2", "is not made of numbers"),
    "class with a fraction": ("0.5 0.5 0.5 0.2 0.2", "begins with 0.5, which is no class"),
    "too few": ("0 0.5 0.5 0.2", "has 4 numbers; expected class cx cy width height"),
    "a score behind": ("0 0.5 0.5 0.2 0.2 0.9", "has 6 numbers"),
    "outline with half a point": ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "has 8 numbers"),
    "pixels": ("0 20 10 8 8", "is not in shares of the picture, from 0 to 1; divide by its width and height"),
    "outline in pixels": ("0 20 10 8 8 3 3", "is not in shares"),
    "outline of nan": ("0 0.1 0.1 0.2 nan 0.3 0.3", "has a point that is not finite"),
    # Boxes that parse and cannot be learned are refused where those of COCO are.
    "unknown class": ("7 0.5 0.5 0.2 0.2", r"names category 7, which is not in 'categories' \(ids 0\)"),
    "negative class": ("-1 0.5 0.5 0.2 0.2", "names category -1"),
    "nan": ("0 nan 0.5 0.2 0.2", "that is not finite"),
    "infinite": ("0 inf 0.5 0.2 0.2", "that is not finite"),
    "no width": ("0 0.5 0.5 0 0.2", "whose width or height is not above zero"),
    "outside": ("0 1.5 0.5 0.2 0.2", r"lies outside its picture images/a.png \(40x20\)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_line_is_refused_with_file_and_line(fault, tmp_path):
    line, message = FAULTS[fault]
    root = write(tmp_path, {"a.png": f"{LINE}\n{line}\n"}, train="images", names=["x"])
    with pytest.raises(DataError, match=rf"labels/a\.txt, line 2:? .*{message}"):
        open_data(root)


def test_faults_of_a_kind_are_counted(tmp_path):
    root = write(tmp_path, {"a.png": "0 1\n0 2\n", "b.png": "0 3"}, train="images", names=["x"])
    with pytest.raises(DataError, match=r"a\.txt, line 1: .*\(and 2 more like it\)\..*dsla check"):
        open_data(root)


def test_unreadable_pictures_and_labels_are_faults(tmp_path):
    root = write(tmp_path, {"a.png": LINE, "b.png": LINE, "c.png": LINE}, train="images", names=["x"])
    (root / "images" / "a.png").write_bytes(b"")
    (root / "labels" / "b.txt").write_bytes(b"\xff\xfe\x00")
    found = tables(root)
    assert [(each.code, Path(each.where).name) for each in found.faults] == [
        ("picture-unreadable", "a.png"),
        ("label-file", "b.txt"),
    ]
    assert "width" not in found.images[0] and len(found.annotations) == 1
    with pytest.raises(DataError, match=r"a\.png: the file is empty"):
        open_data(root)


def test_classes_without_a_yaml(tmp_path):
    root = write(tmp_path, {"a.png": LINE, "b.png": "2 0.5 0.5 0.1 0.1"})
    splits = open_data(root)
    assert splits.kind == "yolo" and splits.train.class_names == ("0", "1", "2")
    assert splits.notes == (f"{root}: names no classes, so they are called by their numbers, 0 to 2.",)
    (root / "labels" / "classes.txt").write_text("cat\ndog\nowl\n")
    assert open_data(root).train.class_names == ("cat", "dog", "owl")


def test_names_and_counts_of_a_yaml(tmp_path):
    root = write(tmp_path, {"a.png": LINE}, train="images", names={3: "owl", 0: "cat"})
    assert open_data(root).train.class_names == ("cat", "owl")
    write(tmp_path, {}, train="images", nc=2)
    assert open_data(root).train.class_names == ("0", "1")
    for names, count, message in (
        (["x"], 2, "'nc' says 2 classes and 'names' has 1"),
        ("x y", None, "'names' is 'x y'; expected a list"),
        ({"x": 0}, None, "keys that are no class index"),
    ):
        write(tmp_path, {}, train="images", names=names, nc=count)
        with pytest.raises(DataError, match=message):
            open_data(root)


def test_a_yaml_that_leads_nowhere_says_where_it_looked(tmp_path):
    root = write(tmp_path, {"a.png": LINE}, path="gone", train="images/train", names=["x"])
    with pytest.raises(DataError, match=rf"data\.yaml: 'images/train' is not found\. Looked in .*gone.*{root.name}"):
        open_data(root)
    write(tmp_path, {}, train="images", val="images/val", names=["x"])
    with pytest.raises(DataError, match=r"'val' names 'images/val', which is not in"):
        open_data(root)
    write(tmp_path, {}, train=["images", 3], names=["x"])
    with pytest.raises(DataError, match=r"'train' is .*; expected a folder, a list of folders, or a \.txt file"):
        open_data(root)
    write(tmp_path, {}, names=["x"])
    with pytest.raises(DataError, match="names no pictures; expected a line such as `train: images/train`"):
        open_data(root / "data.yaml")
    (root / "data.yaml").write_text("train: [\n")
    with pytest.raises(DataError, match="not a YAML file"):
        open_data(root)


def test_a_test_part_that_was_not_exported_is_told(tmp_path):
    root = write(tmp_path, {"a.png": LINE}, train="images", test="../test/images", names=["x"])
    splits = open_data(root)
    assert splits.test is None and "'test' names '../test/images', which is not there" in splits.notes[0]


def test_parts_without_pictures(tmp_path):
    root = write(tmp_path, {"train/a.png": LINE})
    (root / "images" / "test").mkdir()
    splits = open_data(root)
    assert splits.test is None and splits.notes[-1] == f"{root / 'images' / 'test'}: has no pictures to test on."
    (root / "images" / "val").mkdir()
    with pytest.raises(DataError, match="images/val: has no pictures, so there is nothing to learn"):
        open_data(root)


@pytest.mark.parametrize("path", ["sets/cells", ".", "cells", None])
def test_path_is_read_from_the_working_folder_or_beside_the_yaml(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "sets" / "cells"
    tree = {} if path is None else {"path": path}
    write(root, {"a.png": LINE}, **tree, train="images", names=["x"])
    assert len(open_data("sets/cells").train) == 1


def test_yaml_never_runs_code(tmp_path):
    mark = tmp_path / "ran"
    root = write(tmp_path / "data", {"a.png": LINE})
    (root / "data.yaml").write_text(f"train: images\nnames: !!python/object/apply:os.mkdir ['{mark}']\n")
    with pytest.raises(DataError, match="not a YAML file"):
        open_data(root)
    assert not mark.exists()


def test_pictures_of_a_list_that_are_gone_are_counted(tmp_path):
    root = write(tmp_path, {"a.png": LINE}, train="train.txt", names=["x"])
    (root / "train.txt").write_text("./images/a.png\nimages/b.png\n\n/nowhere/images/c.png\n")
    with pytest.raises(DataError, match=r"train\.txt: 2 of 3 pictures are missing, first /nowhere/images/c\.png"):
        open_data(root)
    assert len(read_tables(root / "train.txt").train.images) == 3


def test_a_picture_that_exif_turns_has_its_upright_size(tmp_path):
    root = write(tmp_path, {"a.png": LINE}, train="images", names=["x"])
    tag = Image.Exif()
    tag[0x0112] = 8
    Image.new("RGB", (40, 20)).save(root / "images" / "a.png", exif=tag)
    sample = open_data(root).train.sample(0)
    assert sample.size == (40, 20) and sample.boxes.tolist() == [[7.5, 10, 12.5, 30]]
