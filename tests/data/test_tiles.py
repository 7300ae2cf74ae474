import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsla.data import Resize, train_loader, val_loader
from dsla.data.dataset import DataSplits, DetectionData, Record
from dsla.data.epoch import EpochBatches
from dsla.data.sample import Batch, Sample
from dsla.data.tiled_picture import TiledPicture
from dsla.data.tiles import TiledData, splits_as_tiles, wants_whole
from dsla.data.tiling import Tiling
from dsla.errors import ConfigError


class Photographs:
    """Pictures whose pixels tell their place, with boxes; counts what is decoded."""

    class_names, notes = ("tree",), ()

    def __init__(self, *pictures: tuple[tuple[int, int], list[list[float]]], ignore: tuple[int, ...] = ()) -> None:
        self.pictures, self.ignore, self.decoded = pictures, ignore, 0

    def __len__(self) -> int:
        return len(self.pictures)

    def record(self, index: int) -> Record:
        size, boxes = self.pictures[index]
        flags = torch.tensor([place in self.ignore for place in range(len(boxes))], dtype=torch.bool)
        labels = torch.zeros(len(boxes), dtype=torch.int64)
        return Record(
            torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), labels, flags, size, 70 + index, f"{index}.png"
        )

    def sample(self, index: int) -> Sample:
        self.decoded += 1
        record = self.record(index)
        rows, columns = torch.meshgrid(*map(torch.arange, record.size), indexing="ij")
        image = torch.stack([rows % 256, columns % 256, rows // 256 * 16 + columns // 256]).to(torch.uint8)
        fields = (record.boxes, record.labels, record.ignore, record.image_id, record.name, record.size)
        return Sample(image, *fields)

    def to_coco(self):
        return {"images": [], "annotations": [], "categories": [{"id": 5, "name": "tree"}]}


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(32, 900), st.floats(0, 0.75))
@settings(max_examples=150, deadline=None)
def test_tiles_cover_a_picture_with_one_size_and_the_overlap_asked_for(height, width, side, overlap):
    tiling = Tiling(side, overlap)
    windows = tiling.windows((height, width))
    assert {(w.height, w.width) for w in windows} == {(min(height, side), min(width, side))}
    assert tiling.cuts((height, width)) == (len(windows) > 1)
    for size, starts in ((height, sorted({w.top for w in windows})), (width, sorted({w.left for w in windows}))):
        assert starts[0] == 0 and starts[-1] + min(size, side) == size
        common = [first + side - second for first, second in pairwise(starts)]
        assert all(shared >= round(overlap * side) for shared in common)
        assert max(common, default=0) - min(common, default=0) <= 1  # evenly spread: no sliver, no near-copy


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_box_is_shown_whole_where_some_tile_contains_it(data):
    size = data.draw(st.tuples(st.integers(40, 400), st.integers(40, 400)))
    tiling = Tiling(data.draw(st.integers(32, 200)), data.draw(st.sampled_from([0.0, 0.2, 0.5])))
    x, y = (sorted(data.draw(st.lists(st.integers(0, side), min_size=2, max_size=2))) for side in size[::-1])
    box = torch.tensor([[x[0], y[0], x[1], y[1]]], dtype=torch.float32)
    expected = any(
        w.left <= x[0] and w.top <= y[0] and x[1] <= w.left + w.width and y[1] <= w.top + w.height
        for w in tiling.windows(size)
    )
    assert bool(tiling.shown_whole(box, size)) == expected
    if max(x[1] - x[0], y[1] - y[0]) <= round(tiling.overlap * tiling.side):
        assert expected


def test_a_tile_is_its_window_with_its_boxes():
    photo = Photographs(
        ((150, 100), [[10, 10, 30, 30], [70, 60, 100, 110], [40, 95, 60, 125]]), ((64, 64), [[1, 2, 3, 4]])
    )
    tiles = TiledData(photo, Tiling(100, 0.2, whole=False))
    assert isinstance(tiles, DetectionData)
    assert len(tiles) == 3  # two of the first, the other as it is
    first, second, third = (tiles.sample(index) for index in range(3))
    assert first.size == second.size == (100, 100) and third.size == (64, 64)
    assert torch.equal(second.image, photo.sample(0).image[:, 50:150])
    assert second.boxes.tolist() == [[70, 10, 100, 60], [40, 45, 60, 75]]
    # Of the last box a sixth lies in the first tile: too little to be learned.
    assert first.boxes.tolist() == [[10, 10, 30, 30], [70, 60, 100, 100], [40, 95, 60, 100]]
    assert first.ignore.tolist() == [False, False, True]
    assert [s.image_id for s in (first, second, third)] == [1, 2, 3]
    assert [s.name for s in (first, second, third)] == ["0.png@0,0", "0.png@0,50", "1.png"]
    for index, sample in enumerate((first, second, third)):
        record = tiles.record(index)
        assert torch.equal(record.boxes, sample.boxes) and torch.equal(record.ignore, sample.ignore)
        assert (record.name, record.image_id, record.size) == (sample.name, sample.image_id, sample.size)


def test_truth_of_tiles_has_the_sources_categories_and_ignores_what_is_cut_away():
    photo = Photographs(((150, 100), [[10, 10, 30, 30], [40, 95, 60, 125]]))
    truth = TiledData(photo, Tiling(100, 0.2)).to_coco()
    assert truth["categories"] == [{"id": 5, "name": "tree"}]
    assert [(a["image_id"], a["bbox"], a["iscrowd"], a["category_id"]) for a in truth["annotations"]] == [
        (1, [10, 10, 20, 20], 0, 5),
        (1, [40, 95, 20, 5], 1, 5),
        (2, [40, 45, 20, 30], 0, 5),
    ]
    assert [(i["id"], i["height"], i["width"]) for i in truth["images"]] == [(1, 100, 100), (2, 100, 100)]


def test_whole_pictures_are_learned_from_for_what_no_tile_shows_whole():
    large, small = [20.0, 20.0, 280.0, 150.0], [5.0, 5.0, 25.0, 25.0]
    photo = Photographs(((200, 300), [large, small]), ((200, 300), [small]), ((90, 90), [small]))
    tiles = TiledData(photo, Tiling(100, 0.2, whole=True))
    whole = [index for index in range(len(tiles)) if tiles.record(index).size == (200, 300)]
    assert len(whole) == 1  # not of the second picture, whose tiles show everything
    record = tiles.record(whole[0])
    assert record.boxes.tolist() == [large, small]
    assert record.ignore.tolist() == [False, True]
    assert tiles.sample(whole[0]).image.shape == (3, 200, 300)
    assert wants_whole(photo, Tiling(100)) and not wants_whole(photo, Tiling(260))
    assert any("1 of 4 boxes are whole in no tile" in note for note in tiles.notes)


def test_empty_tiles_are_no_more_than_others_in_training():
    photo = Photographs(((64, 64 * 20), [[1, 1, 20, 20], [1270, 1, 1279, 9]]), ((64, 64), []))
    assert len(TiledData(photo, Tiling(64, 0.0))) == 21
    thinned = TiledData(photo, Tiling(64, 0.0), thin_out=True)
    empty = sum(len(thinned.record(index).boxes) == 0 for index in range(len(thinned)))
    # An empty picture that is no larger than a tile was given on purpose, and stays.
    assert (len(thinned) - empty, empty) == (2, 3 + 1)
    assert "18 show no box, of which 15 are left out" in thinned.notes[0]


def test_a_picture_is_decoded_once_for_all_its_tiles_in_training():
    photo = Photographs(*[((256, 256), [[8.0 * k, 8, 8 * k + 30, 40]]) for k in range(12)])
    tiles = TiledData(photo, Tiling(64, 0.0, whole=False))
    loader = train_loader(tiles, batch=8, workers=0, augment=None, resize=Resize(64), seed=0)
    names = [name for batch in loader for name in batch.names]
    assert sorted(names) == sorted(tiles.record(index).name for index in range(len(tiles)))
    assert photo.decoded == 12
    assert len(pickle.dumps(tiles)) < 100_000  # decoded pictures stay in their process


def test_few_pictures_are_in_use_at_a_time_and_the_order_is_the_epochs():
    owners = np.repeat(np.arange(30), 10)
    order = EpochBatches(300, 10, seed=3, owners=owners, at_a_time=3)
    epochs = []
    for epoch in (0, 1):
        order.set_epoch(epoch)
        epochs.append([index for batch in order for _, index in batch])
        assert sorted(epochs[-1]) == list(range(300))
        for start in range(0, 300, 30):
            assert len(set(owners[epochs[-1][start : start + 30]])) == 3
        assert len(set(owners[epochs[-1][:10]])) > 1  # tiles of several pictures make a batch
    assert epochs[0] != epochs[1]
    order.set_epoch(0)
    assert [index for batch in order for _, index in batch] == epochs[0]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_validation_deals_out_whole_pictures(world):
    sizes = [(64, 64), (150, 150), (64, 64), (80, 300), (64, 64)]
    photo = Photographs(*[(size, []) for size in sizes])
    seen = []
    for rank in range(world):
        loader = val_loader(
            photo, batch=2, workers=0, resize=Resize(64), rank=rank, world=world, tiling=Tiling(100, 0.2, whole=True)
        )
        for batch in loader:
            if isinstance(batch, TiledPicture):
                assert len(batch) == 1
                seen.append(batch.sample.image_id)
                parts = list(batch.batches(3))
                assert max(len(part) for part, _ in parts) <= 3
                assert sum(len(part) for part, _ in parts) == len(batch.tiling.windows(batch.sample.size)) + 1
            else:
                assert isinstance(batch, Batch)
                seen += batch.image_ids
    assert sorted(seen) == [70, 71, 72, 73, 74]


def test_streams_cannot_be_cut():
    class Streamed(Photographs):
        counts = (1,)

        def stream(self, shards, buffer, seed):
            yield self.sample(0)

    splits = DataSplits(Streamed(((64, 64), [])), None, "shards", None)
    with pytest.raises(ConfigError, match="dsla shards DATA OUT --tile 100"):
        splits_as_tiles(splits, Tiling(100))


def test_tiles_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="at least 32 pixels"):
        Tiling(20)
    with pytest.raises(ConfigError, match=r"0 to 0\.75"):
        Tiling(100, 0.9)
