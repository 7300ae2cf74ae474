"""The data set `trees`, from wheels that are made here; and from the real one where it lies in the cache."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dsla.data import open_data
from dsla.data import wheel as wheels
from dsla.data.tiles import TiledData
from dsla.data.trees import PACKAGE, TRAIN, VAL, VERSION
from dsla.data.wheel import cache_folder
from dsla.errors import DataError

SIZES = {TRAIN[0]: (450, 700), TRAIN[1]: (400, 400), TRAIN[2]: (400, 400), VAL[0]: (410, 400)}
WHEEL = f"{PACKAGE}-{VERSION}-py3-none-any.whl"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A working folder and a cache folder without a wheel."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def photograph(name: str) -> bytes:
    height, width = SIZES[name]
    pixels = np.random.default_rng(len(name)).integers(0, 255, (height, width, 3), dtype=np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "png")
    return written.getvalue()


def annotations(name: str, boxes=((1, 1, 40, 50), (320, 200, 400, 260)), kind="Tree", before="") -> bytes:
    height, width = SIZES[name]
    objects = "".join(
        f"<object><name>{kind}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for x1, y1, x2, y2 in boxes
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"{before}<annotation><filename>{name}.png</filename>{size}{objects}</annotation>".encode()


def write_wheel(folder: Path, **changes: bytes | None) -> Path:
    """A wheel as the package has it; `changes` replaces files by their name below `data`, None leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.png": photograph(name) for name in SIZES} | {f"{name}.xml": annotations(name) for name in SIZES}
    files |= changes
    with zipfile.ZipFile(folder / WHEEL, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(f"deepforest/data/{name}", content)
    return folder / WHEEL


def test_it_is_tiles_of_400_px_split_by_photograph(tmp_path):
    splits = open_data(f"trees:{write_wheel(tmp_path / 'a')}")
    assert splits.kind == "trees" and splits.path is None and splits.val is not None
    assert splits.train.class_names == splits.val.class_names == ("Tree",)
    of = {
        part: {Path(data.record(index).name).name.split("@")[0] for index in range(len(data))}
        for part, data in (("train", splits.train), ("val", splits.val))
    }
    assert of == {"train": {f"{name}.png" for name in TRAIN}, "val": {f"{VAL[0]}.png"}}
    assert isinstance(splits.train, TiledData)
    assert {splits.train.record(index).size for index in range(len(splits.train))} == {(400, 400)}
    assert len(splits.train) == 2 * 2 + 1 + 1 and len(splits.val) == 2
    told = " ".join([*splits.train.notes, *splits.val.notes])
    assert "MIT licence" in told and "Alive and Dead" in told


def test_boxes_count_pixels_from_one_as_pascal_voc_does(tmp_path):
    write_wheel(tmp_path)
    train = open_data("trees").train
    alone = next(index for index in range(len(train)) if TRAIN[1] in train.record(index).name)
    sample = train.sample(alone)
    assert sample.boxes.tolist() == [[0, 0, 40, 50], [319, 199, 400, 260]]
    with Image.open(io.BytesIO(photograph(TRAIN[1]))) as image:
        assert torch.equal(sample.image.permute(1, 2, 0), torch.from_numpy(np.array(image)))


def test_every_kind_of_tree_is_a_tree(tmp_path):
    write_wheel(tmp_path, **{f"{TRAIN[2]}.xml": annotations(TRAIN[2], kind="Dead")})
    assert open_data("trees").train.to_coco()["categories"] == [{"id": 1, "name": "Tree"}]


@pytest.mark.parametrize("place", ["here", "cache", "named folder", "named wheel", "installed"])
def test_the_package_is_found_where_people_put_it(tmp_path, monkeypatch, place):
    path = "trees"
    if place == "here":
        write_wheel(tmp_path)
    elif place == "cache":
        write_wheel(cache_folder())
    elif place == "installed":
        with zipfile.ZipFile(write_wheel(tmp_path / "far")) as archive:
            archive.extractall(tmp_path / "site")
        described = tmp_path / "site" / f"{PACKAGE}-{VERSION}.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n")
        # Installed is not imported: whatever the package would run stays unrun.
        (tmp_path / "site" / PACKAGE / "__init__.py").write_text("raise RuntimeError('imported')")
        monkeypatch.syspath_prepend(tmp_path / "site")
    else:
        wheel = write_wheel(tmp_path / "far")
        path = f"trees:{wheel if place == 'named wheel' else wheel.parent}"
    splits = open_data(path)
    assert len(splits.train.sample(0).boxes) > 0
    assert f"deepforest {VERSION}" in splits.train.notes[0]


@pytest.mark.parametrize("path", ["trees", "trees:nowhere"])
def test_without_the_wheel_it_says_how_to_fetch_it(path):
    with pytest.raises(DataError, match=rf"pip download --no-deps deepforest=={VERSION} -d .*dsla"):
        open_data(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({f"{VAL[0]}.xml": None}, "has no deepforest/data/2019_YELL_2_541000"),
        ({f"{VAL[0]}.xml": b"<annotation><size>"}, "not an xml file"),
        ({f"{VAL[0]}.xml": annotations(VAL[0], before='<!DOCTYPE a [<!ENTITY b "c">]>')}, "document type"),
        ({f"{VAL[0]}.xml": annotations(VAL[0], boxes=())}, "no size or no trees"),
        ({f"{VAL[0]}.xml": annotations(VAL[0]) + b" " * 2_000_000}, "larger than 1 MiB"),
    ],
    ids=["missing", "cut short", "entities", "empty", "a bomb"],
)
def test_a_wheel_that_is_not_as_it_should_be_is_refused(tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr(wheels, "MEMBER_BYTES", 2**20)
    write_wheel(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        open_data("trees")


def test_a_damaged_wheel_and_a_damaged_photograph(tmp_path):
    wheel = write_wheel(
        tmp_path, **{f"{VAL[0]}.png": photograph(TRAIN[1]), f"{TRAIN[1]}.png": photograph(TRAIN[1])[:900]}
    )
    splits = open_data("trees")
    assert splits.val is not None
    with pytest.raises(DataError, match="400x400 px, its annotations say otherwise"):
        splits.val.sample(0)
    alone = next(index for index in range(len(splits.train)) if TRAIN[1] in splits.train.record(index).name)
    with pytest.raises(DataError, match="cut short or damaged"):
        splits.train.sample(alone)
    wheel.write_bytes(wheel.read_bytes()[:-200])
    with pytest.raises(DataError, match="the wheel cannot be read"):
        open_data("trees")


def test_the_real_wheel_has_what_it_is_said_to_have(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    if not list(cache_folder().glob("deepforest-*.whl")):
        pytest.skip("the wheel of deepforest is not here; `dsla train trees` says how to fetch it")
    splits = open_data("trees")
    assert splits.val is not None
    boxes = [sum(len(data.record(index).boxes) for index in range(len(data))) for data in (splits.train, splits.val)]
    assert (len(splits.train), len(splits.val), *boxes) == (58, 12, 1203, 483)
    assert splits.val.sample(3).image.shape == (3, 400, 400)
