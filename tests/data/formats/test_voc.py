"""Pascal VOC: corners and how they count, pictures, lists, and what is wrong with a file."""

from pathlib import Path

import pytest
from PIL import Image

from dsla.data import open_data
from dsla.data.formats import read_tables
from dsla.errors import DataError

SIZE = "<size><width>40</width><height>20</height></size>"


def item(name: str, *corners: object, more: str = "") -> str:
    sides = "".join(
        f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    )
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


def write(root: Path, *, picture: bool = True, size: str = SIZE, name: str = "a", **files: str) -> Path:
    """Pictures of 40x20 in images/ and an xml file each in annotations/."""
    for folder in ("images", "annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for stem, objects in files.items():
        if picture:
            Image.new("RGB", (40, 20)).save(root / "images" / f"{stem}.png")
        text = f"<annotation><filename>{stem}.png</filename>{size}\n{objects}\n</annotation>"
        (root / "annotations" / f"{stem}.xml").write_text(text)
    return root


def boxes(root: Path) -> list[list[float]]:
    return open_data(root).train.record(0).boxes.tolist()


def test_corners_count_from_one_and_both_belong_to_the_box(tmp_path):
    root = write(tmp_path, a=item("cat", 1, 1, 40, 20) + item("dog", 5, 6, 5, 6))
    assert boxes(root) == [[0, 0, 40, 20], [4, 5, 5, 6]]
    assert "pixels counted from 1" in open_data(root).notes[0]


@pytest.mark.parametrize("corners", [(0, 3, 9, 9), (2.5, 3, 9, 9), (2, 3, 9, 9.25)])
def test_a_corner_at_zero_or_between_pixels_tells_of_another_way_of_counting(corners, tmp_path):
    root = write(tmp_path, a=item("cat", 2, 3, 12, 13), b=item("cat", *corners))
    assert boxes(root) == [[2, 3, 12, 13]], "one such corner anywhere counts for all"
    assert (
        "some corners are below 1 or no whole numbers, so all are taken as counted from 0" in open_data(root).notes[0]
    )


def test_classes_are_sorted_by_name_or_as_a_list_has_them(tmp_path):
    root = write(tmp_path, a=item("dog", 1, 1, 9, 9) + item("cat", 2, 2, 9, 9))
    assert open_data(root).train.class_names == ("cat", "dog")
    (root / "labels.txt").write_text("dog\nowl\ncat\n")
    data = open_data(root).train
    assert data.class_names == ("dog", "owl", "cat") and data.record(0).labels.tolist() == [0, 2]
    (root / "labels.txt").write_text("dog\n")
    with pytest.raises(DataError, match=r"a\.xml, line 2: the class 'cat' is not in the list \(dog\)"):
        open_data(root)


def test_difficult_objects_are_ignore_regions_and_truncated_ones_are_not(tmp_path):
    more = ("<difficult>1</difficult>", "<truncated>1</truncated><difficult>0</difficult>", "")
    root = write(tmp_path, a="".join(item("cat", 1, 1, 9, 9, more=each) for each in more))
    assert open_data(root).train.record(0).ignore.tolist() == [True, False, False]


@pytest.mark.parametrize(
    "size", ["", "<size><width>0</width><height>0</height></size>", "<size><width>x</width></size>"]
)
def test_a_size_that_is_missing_is_read_from_the_picture(size, tmp_path):
    assert open_data(write(tmp_path, size=size, a=item("cat", 1, 1, 9, 9))).train.record(0).size == (20, 40)


FAULTS = {
    "no name": ("<object><bndbox/></object>", r"line 2: an object has no <name>"),
    "no box": ("\n<object><name>cat</name></object>", r"line 3: the object 'cat' has no <bndbox>"),
    "no side": (item("cat", 1, 1, 9, 9).replace("<xmax>9</xmax>", ""), "the object 'cat' has no <xmax>"),
    "word": (item("cat", 1, 1, "nine", 9), "has <xmax> 'nine' instead of a number"),
    "nan": (item("cat", 1, 1, "nan", 9), "line 2 .*not finite"),
    "swapped": (item("cat", 9, 1, 1, 9), "line 2 has a box .*not above zero"),
    "outside": (item("cat", 90, 1, 99, 9), r"line 2 .*outside its picture images/a\.png \(40x20\)"),
    "cut short": ("<object>", r": not an xml file \(line 3: mismatched tag\)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_object_is_refused_with_file_and_line(fault, tmp_path):
    objects, message = FAULTS[fault]
    with pytest.raises(DataError, match=rf"annotations/a\.xml.*{message}"):
        open_data(write(tmp_path, a=objects))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an xml file .*no element found"),
        ("<html></html>", "begins with <html>; Pascal VOC has <annotation>"),
        ('<!DOCTYPE a [<!ENTITY e "&e2;&e2;">]><annotation>&e;</annotation>', "has a document type"),
        ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation>&e;</annotation>', "has a document type"),
    ],
)
def test_files_that_are_no_annotation_or_play_tricks(text, message, tmp_path):
    root = write(tmp_path, a="", b="")
    (root / "annotations" / "a.xml").write_text(text)
    assert len(read_tables(root).train.images) == 2, "the rest is still there to be told of"
    with pytest.raises(DataError, match=rf"a\.xml: {message}"):
        open_data(root)


def test_pictures_are_found_by_stem_or_by_the_name_in_the_file(tmp_path):
    root = write(tmp_path, a=item("cat", 1, 1, 9, 9))
    (root / "annotations" / "a.xml").rename(root / "annotations" / "other.xml")
    assert open_data(root).train.record(0).name.endswith("images/a.png")
    (root / "images" / "a.png").unlink()
    with pytest.raises(DataError, match=r"1 of 1 pictures are missing, first a\.png\. Looked in .*images"):
        open_data(root)


def test_pictures_without_annotation_and_annotations_in_no_list_are_told(tmp_path):
    root = write(tmp_path, a=item("cat", 1, 1, 9, 9), b="", c="")
    (root / "annotations" / "c.xml").unlink()
    assert any("c.png: has no xml file and is left out" in note for note in open_data(root).train.notes)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    splits = open_data(root)
    assert len(splits.train) == 1 and any("1 annotations are in no list" in note for note in splits.notes)
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\nz.png\n")
    with pytest.raises(DataError, match=r"annotations/z\.xml: cannot be read \(No such file"):
        open_data(root)


def test_trainval_trains_where_there_is_no_train_list(tmp_path):
    root = write(tmp_path, a="", b=item("cat", 1, 1, 9, 9))
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for name, lines in {"trainval": "b\n", "test": "a\n"}.items():
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text(lines)
    splits = open_data(root)
    assert (len(splits.train), splits.val, splits.test and len(splits.test)) == (1, None, 1)
