"""Tar shards: what goes in comes out, every picture once, a bounded number in memory, and errors with shard and key."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dsla.data import Augment, DetectionData, Resize, Sample, StreamedData, StreamLoader, open_data, train_loader
from dsla.data.shard_writer import write_shards
from dsla.data.shards import ShardData
from dsla.data.single_class import as_single_class
from dsla.data.stream import deal
from dsla.errors import ConfigError, DataError

PICTURES, PER_SHARD = 11, 2


@pytest.fixture
def folder(write_coco: Callable[..., Path]) -> Path:
    """A COCO folder of eleven pictures, some without boxes, some with a crowd, JPEG and PNG and a grey TIFF."""
    names = [f"{i}.{'jpg' if i % 2 else 'png'}" for i in range(PICTURES - 1)] + ["grey.tif"]
    images = [{"id": i, "file_name": name, "width": 40, "height": 30} for i, name in enumerate(names)]
    boxes = [
        {"id": 100 + i, "image_id": i, "category_id": 3 + 4 * (i % 2), "bbox": [i, 2.25, 20.5, 20], "area": 99.5,
         "iscrowd": int(i == 4)}
        for i in range(PICTURES) if i % 3
    ]  # fmt: skip
    content = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    folder = write_coco(train=content, val=content | {"images": images[:3], "annotations": boxes[:2]})
    Image.fromarray(np.arange(1200).reshape(30, 40).astype(np.uint8)).save(folder / "images" / "grey.tif")
    return folder


@pytest.fixture
def shards(folder: Path, tmp_path: Path) -> Path:
    out = tmp_path / "shards"
    write_shards(open_data(folder), out, per_shard=PER_SHARD)
    return out


def same(one: Sample, two: Sample) -> bool:
    tensors = ("image", "boxes", "labels", "ignore")
    equal = all(torch.equal(getattr(one, name), getattr(two, name)) for name in tensors)
    return equal and (one.image_id, one.original_size) == (two.image_id, two.original_size)


def stream(path: Path) -> StreamedData:
    data = open_data(path).train
    assert isinstance(data, StreamedData)
    return data


def loader(data: DetectionData, **changes: Any) -> StreamLoader:
    settings: dict[str, Any] = {"batch": 2, "workers": 0, "augment": None, "resize": Resize(40), "seed": 0, "buffer": 3}
    made = train_loader(data, **(settings | changes))
    assert isinstance(made, StreamLoader)
    return made


def ids(batches: Iterable[Any]) -> list[int]:
    return list(chain(*(batch.image_ids for batch in batches)))


def test_what_goes_in_comes_out(folder: Path, shards: Path) -> None:
    before, after = open_data(folder), open_data(shards)
    assert after.kind == "shards"
    assert [path.name for path in sorted(shards.glob("*.tar"))][-1] == "val-000001.tar"
    for one, two in ((before.train, after.train), (before.val, after.val)):
        assert one is not None and two is not None
        assert one.class_names == two.class_names == ("cat", "dog") and len(one) == len(two)
        assert all(same(one.sample(i), two.sample(i)) for i in range(len(one)))
        old, new = one.to_coco(), two.to_coco()
        assert old["categories"] == new["categories"]
        boxes = [
            [{key: value for key, value in entry.items() if key != "id"} for entry in tree["annotations"]]
            for tree in (old, new)
        ]
        assert boxes[0] == boxes[1]
    streamed = sorted(stream(shards).stream(range(6), 4, (0,)), key=lambda sample: sample.image_id)
    assert len(streamed) == PICTURES
    assert all(same(one, before.train.sample(i)) for i, one in enumerate(streamed))


def test_pictures_go_in_byte_by_byte(folder: Path, shards: Path) -> None:
    with tarfile.open(shards / "train-000000.tar") as tar:
        member = tar.extractfile("000000001.jpg")
        assert member is not None and member.read() == (folder / "images" / "1.jpg").read_bytes()


def test_the_same_data_make_the_same_bytes(folder: Path, shards: Path, tmp_path: Path) -> None:
    write_shards(open_data(folder), tmp_path / "again", per_shard=PER_SHARD)
    for path in shards.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    with pytest.raises(DataError, match="holds shards already"):
        write_shards(open_data(folder), shards)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_every_picture_once_in_an_order_of_its_own(shards: Path, workers: int) -> None:
    batches = loader(stream(shards), batch=1, workers=workers)
    epochs: list[list[int]] = []
    for epoch in (0, 1, 0):
        batches.sampler.set_epoch(epoch)
        epochs.append(ids(batches))
    assert len(epochs[0]) == len(batches) == PICTURES
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(PICTURES))
    assert epochs[0] == epochs[2] != epochs[1]
    assert epochs[0] != sorted(epochs[0])


def test_processes_see_parts_that_together_are_all(shards: Path) -> None:
    data = stream(shards)
    parts = [list(data.stream(share, 3, (rank,))) for rank, share in enumerate(deal(data.counts, 2))]
    seen = [{sample.image_id for sample in part} for part in parts]
    assert not seen[0] & seen[1] and seen[0] | seen[1] == set(range(PICTURES))
    both = [loader(data, batch=2, rank=rank, world=2) for rank in range(2)]
    assert len(both[0]) == len(both[1]) == 5, "six shards of two pictures and one of one: six and five pictures"
    for rank in range(2):
        assert set(ids(both[rank])) <= seen[rank] and len(set(ids(both[rank]))) == 5


def test_shards_are_dealt_evenly() -> None:
    assert deal((5, 5, 5, 5), 2) == [[0, 2], [1, 3]]
    shares = deal((900, 100, 100, 800, 100), 2)
    assert sorted(chain(*shares)) == list(range(5))
    assert [sum((900, 100, 100, 800, 100)[shard] for shard in share) for share in shares] == [1000, 1000]


def test_no_more_than_the_buffer_is_held(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Structure rather than memory: how far reading may be ahead of what was given out."""
    data = stream(shards)
    assert isinstance(data, ShardData)
    read = 0
    encoded = data._encoded

    def counted(numbers: Any) -> Iterable[Any]:
        nonlocal read
        for record in encoded(numbers):
            read += 1
            yield record

    monkeypatch.setattr(data, "_encoded", counted)
    for given, _ in enumerate(data.stream(range(6), 3, (0,)), start=1):
        assert read <= given + 4  # the buffer, and the pair that is read into it
    assert read == PICTURES
    assert "_places" not in vars(data), "a stream makes no index"


def test_augmentation_follows_the_picture_not_its_place(shards: Path) -> None:
    augment = Augment()
    one = {batch.image_ids[0]: batch.images for batch in loader(stream(shards), batch=1, augment=augment)}
    two = {batch.image_ids[0]: batch.images for batch in loader(stream(shards), batch=1, augment=augment, workers=2)}
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_one_class_is_streamed_too(shards: Path) -> None:
    data = as_single_class(open_data(shards).train)
    labels = [int(batch.truth.labels.max()) for batch in loader(data, batch=PICTURES)]
    assert data.class_names == ("object",) and labels == [0]


def test_a_pattern_names_the_shards_to_train_on(shards: Path) -> None:
    some = open_data(str(shards / "train-{000000..000002}.tar"))
    assert len(some.train) == 6 and some.val is not None and len(some.val) == 3
    assert len(open_data(shards / "train-000005.tar").train) == 1
    with pytest.raises(DataError, match=r"1 of 2 shards are missing, first .*train-000006\.tar"):
        open_data(str(shards / "train-{000005..000006}.tar"))


def test_shards_by_other_hands_need_only_classes(shards: Path) -> None:
    """No counts, and no annotations beside the boxes."""
    tree = json.loads((shards / "classes.json").read_text())
    (shards / "classes.json").write_text(json.dumps({"categories": tree["categories"]}))
    data = open_data(shards).train
    assert len(data) == PICTURES
    rewrite(shards / "train-000000.tar", "000000001.json", lambda text: drop(text, "annotations"))
    first = open_data(shards).train.to_coco()["annotations"][0]
    assert (first["bbox"], first["area"], first["category_id"]) == ([1.0, 2.25, 20.5, 20.0], 410.0, 7)


def rewrite(shard: Path, name: str, change: Callable[[bytes], bytes | None]) -> None:
    """Change one member of a shard; None takes it out."""
    with tarfile.open(shard) as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]
    with tarfile.open(shard, "w") as tar:
        for key, value in members:
            new = change(value) if key == name else value
            if new is not None:
                info = tarfile.TarInfo(key)
                info.size = len(new)
                tar.addfile(info, io.BytesIO(new))


def drop(text: bytes, key: str) -> bytes:
    return json.dumps({name: value for name, value in json.loads(text).items() if name != key}).encode()


def put(text: bytes, **values: Any) -> bytes:
    return json.dumps(json.loads(text) | values).encode()


FAULTS = {
    "picture cut short": ("000000001.jpg", lambda whole: whole[:300], r"000000001\.jpg: the picture is cut short"),
    "no picture": ("000000001.jpg", lambda whole: None, "000000001: needs a picture .* and a json, has json"),
    "no json": ("000000001.json", lambda whole: None, "000000001: needs a picture .* and a json, has jpg"),
    "not json": ("000000001.json", lambda whole: b"{", r"000000001\.json: not a record of a picture"),
    "a list": ("000000001.json", lambda whole: b"[]", r"000000001\.json: not a record of a picture"),
    "no boxes": ("000000001.json", lambda whole: drop(whole, "boxes"), r"000000001\.json: 'boxes' is missing"),
    "three numbers": ("000000001.json", lambda whole: put(whole, boxes=[[1, 2, 3]]), "not a record of a picture"),
    "labels": ("000000001.json", lambda whole: put(whole, labels=[2]), r"labels \[2\] do not all lie below 2"),
    "lengths": ("000000001.json", lambda whole: put(whole, labels=[0, 1]), "1 boxes, 2 labels"),
    "outside": ("000000001.json", lambda whole: put(whole, boxes=[[1, 2, 99, 9]]), "leaves the picture"),
    "nan": ("000000001.json", lambda whole: put(whole, boxes=[[1, 2, float("nan"), 9]]), "leaves the picture"),
    "size": ("000000001.json", lambda whole: put(whole, width=99), "the picture is 40x30, its record says 99x30"),
}  # fmt: skip


@pytest.mark.parametrize(("member", "change", "said"), FAULTS.values(), ids=FAULTS)
def test_a_damaged_sample_is_named_with_its_shard(shards: Path, member: str, change: Any, said: str) -> None:
    rewrite(shards / "train-000000.tar", member, change)
    with pytest.raises(DataError, match=rf"train-000000\.tar: .*{said}|train-000000\.tar: {said}"):
        list(loader(stream(shards)))
    with pytest.raises(DataError, match=said):  # and by index
        data = open_data(shards).train
        [data.sample(i) for i in range(len(data))]


def test_errors_come_clean_out_of_workers(shards: Path) -> None:
    rewrite(shards / "train-000000.tar", "000000001.jpg", lambda whole: b"")
    with pytest.raises(DataError, match=r"train-000000\.tar: 000000001\.jpg: the file is empty") as caught:
        list(loader(stream(shards), workers=2))
    assert "Traceback" not in str(caught.value)


def test_a_damaged_shard_is_named(shards: Path) -> None:
    path = shards / "train-000001.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[:600])
    with pytest.raises(DataError, match=r"train-000001\.tar: the shard is damaged after its beginning"):
        list(loader(stream(shards)))
    rewrite_count = whole[: whole.index(b"000000003")]  # whole members, one sample short
    path.write_bytes(rewrite_count)
    with pytest.raises(
        DataError, match=r"train-000001\.tar: (has 1 samples, classes.json says 2|the shard is damaged)"
    ):
        list(loader(stream(shards)))


def test_nothing_in_a_shard_is_run(shards: Path, tmp_path: Path) -> None:
    """webdataset decodes pickles and runs commands that a name holds; neither is reached."""
    path = shards / "train-000000.tar"
    mark = tmp_path / "ran"
    evil = b"cposix\nsystem\n(S'touch %s'\ntR." % str(mark).encode()
    with tarfile.open(path, "a") as tar:
        for name in ("000000001.pyd", "000000001.pickle", "000000001.cls"):
            info = tarfile.TarInfo(name)
            info.size = len(evil)
            tar.addfile(info, io.BytesIO(evil))
    assert sorted(ids(loader(stream(shards), batch=1))) == list(range(PICTURES))
    with pytest.raises(DataError, match="shards are missing"):
        open_data(f"pipe:touch {mark} #.tar")
    assert not mark.exists()


def test_what_a_stream_cannot_do_is_said(shards: Path) -> None:
    data = stream(shards)
    with pytest.raises(ConfigError, match="mosaic: needs pictures by index"):
        loader(data, augment=Augment(mosaic=0.5))
    with pytest.raises(ConfigError, match="group_by_ratio: needs pictures by index"):
        loader(data, group_by_ratio=True)
    with pytest.raises(ConfigError, match="6 shards and batch=8 for 7 processes: each needs at least one shard"):
        loader(data, batch=8, world=7)


def test_a_tar_file_beside_a_coco_json_changes_nothing(folder: Path) -> None:
    """People leave the archive that they have unpacked."""
    (folder / "images.tar").write_bytes(b"")
    assert open_data(folder).kind == "coco"


def test_classes_are_needed_beside_the_shards(shards: Path) -> None:
    (shards / "classes.json").write_text("[]")
    with pytest.raises(DataError, match=r"classes\.json: expected"):
        open_data(shards)
    (shards / "classes.json").unlink()
    with pytest.raises(DataError, match=r"classes\.json: missing beside the shards"):
        open_data(shards)
    with pytest.raises(DataError, match="no shards to train on"):
        for path in shards.glob("train*"):
            path.unlink()
        open_data(shards)
