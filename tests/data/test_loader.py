"""Batches are a pure function of seed, epoch and index, whoever loads them; errors come through clean."""

import json
import pickle
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from dsla.data.augment import Augment
from dsla.data.coco import CocoData
from dsla.data.dataset import open_data
from dsla.data.epoch import EpochBatches
from dsla.data.loader import TrainView, train_loader, val_loader
from dsla.data.resize import Resize
from dsla.data.sample import Batch
from dsla.errors import ConfigError, DataError

RESIZE = Resize(32)


@pytest.fixture
def data(write_coco: Callable[..., Path]) -> CocoData:
    """Eleven pictures of 40x30, every third without boxes."""
    content: dict[str, Any] = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30} for i in range(11)],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": [i, 2, 20, 20]} for i in range(11) if i % 3],
        "categories": [{"id": 1, "name": "thing"}],
    }
    train = open_data(write_coco(train=content)).train
    assert isinstance(train, CocoData)
    return train


def same(one: Batch, two: Batch) -> bool:
    return (
        one.image_ids == two.image_ids
        and torch.equal(one.images, two.images)
        and torch.equal(one.truth.boxes, two.truth.boxes)
    )


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[list[tuple[int, int]]]:
        batches = EpochBatches(20, 4, seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(1, 3)
    indices = [[index for _, index in chain(*order(0, epoch))] for epoch in (3, 4)]
    assert indices[0] != indices[1]
    assert sorted(indices[0]) == sorted(indices[1]) == list(range(20))
    assert {epoch for epoch, _ in chain(*order(0, 3))} == {3}


@pytest.mark.parametrize(
    ("length", "batch", "world", "drop_last", "sizes"),
    [
        (10, 4, 1, True, [4, 4]),
        (10, 4, 1, False, [4, 4, 2]),
        (3, 8, 1, True, [3]),  # less than one batch is still trained on
        (9, 4, 2, False, [4, 4]),  # one picture is too few for two processes
        (10, 5, 2, False, [5, 5]),
        (8, 8, 2, True, [8]),
    ],
)
def test_processes_share_the_global_batches(
    length: int, batch: int, world: int, drop_last: bool, sizes: list[int]
) -> None:
    ranks = [EpochBatches(length, batch, 7, drop_last=drop_last, rank=r, world=world) for r in range(world)]
    shares = [list(rank) for rank in ranks]
    assert all(len(rank) == len(share) == len(sizes) for rank, share in zip(ranks, shares, strict=True))
    for step, size in enumerate(sizes):
        parts = [share[step] for share in shares]
        assert all(parts)
        assert len(set(chain(*parts))) == sum(map(len, parts)) == size
        for rank, part in enumerate(parts):
            alone = list(EpochBatches(length, batch, 7, drop_last=drop_last))[step]
            assert part == alone[rank::world]


def test_too_few_pictures_for_the_processes() -> None:
    for length, batch in ((1, 4), (10, 1)):
        with pytest.raises(ConfigError, match="each process needs at least one picture"):
            EpochBatches(length, batch, 0, world=2)


def test_workers_change_nothing_and_hear_of_the_epoch(data: CocoData) -> None:
    augment = Augment(iou_crop=0.5, mosaic=0.5, hue=0.05)
    loaders = [
        train_loader(data, batch=4, workers=workers, augment=augment, resize=RESIZE, seed=5) for workers in (0, 2)
    ]
    epochs: list[list[Batch]] = []
    for epoch in (0, 1, 0):
        for loader in loaders:
            loader.batch_sampler.sampler.set_epoch(epoch)  # where Lightning looks
        alone, workers = (list(loader) for loader in loaders)
        assert len(alone) == len(workers) == len(loaders[0]) == 2
        assert all(same(a, b) for a, b in zip(alone, workers, strict=True))
        epochs.append(alone)
    assert not same(epochs[0][0], epochs[1][0])
    assert all(same(a, b) for a, b in zip(epochs[0], epochs[2], strict=True))


def test_one_picture_varies_over_epochs(data: CocoData) -> None:
    view = TrainView(data, Augment(), RESIZE, seed=0)
    assert torch.equal(view[0, 4].image, view[0, 4].image)
    assert not torch.equal(view[0, 4].image, view[1, 4].image)


def test_mosaic_stops_for_the_last_epochs(data: CocoData) -> None:
    augment = Augment(mosaic=1.0, mosaic_off_epochs=2)
    view = TrainView(data, augment, RESIZE, seed=0, epochs=5)
    plain = Augment(mosaic=0.0)
    ids = [len(view[epoch, 1].boxes) for epoch in range(5)]
    without = TrainView(data, plain, RESIZE, seed=0)
    assert ids[3:] == [len(without[epoch, 1].boxes) for epoch in (3, 4)]
    for epoch in (3, 4):
        assert torch.equal(view[epoch, 1].image, without[epoch, 1].image)
    for epoch in (0, 1, 2):
        assert not torch.equal(view[epoch, 1].image, without[epoch, 1].image)


def test_the_shorter_side_is_drawn_for_each_picture_and_epoch(data: CocoData) -> None:
    plain = Augment(scale=(1.0, 1.0))
    sizes = {48: (48, 64), 60: (60, 80), 32: (32, 43)}  # of pictures of 30 x 40
    view = TrainView(data, plain, Resize(96, 90), seed=0, shorter_choices=tuple(sizes))
    seen = [[view[epoch, index].size for index in range(11)] for epoch in range(4)]
    assert {size for epoch in seen for size in epoch} == set(sizes.values())
    assert seen[0] != seen[1]
    again = TrainView(data, plain, Resize(96, 90), seed=0, shorter_choices=tuple(sizes))
    assert [again[3, index].size for index in range(11)] == seen[3]
    other = TrainView(data, plain, Resize(96, 90), seed=1, shorter_choices=tuple(sizes))
    assert [other[3, index].size for index in range(11)] != seen[3]


def test_one_choice_changes_nothing_else(data: CocoData) -> None:
    alone, chosen = (
        TrainView(data, Augment(), Resize(64, 40), 0),
        TrainView(data, Augment(), Resize(64), 0, shorter_choices=(40,)),
    )
    assert torch.equal(alone[2, 3].image, chosen[2, 3].image)


def test_a_choice_that_cannot_be_is_refused_before_training(data: CocoData) -> None:
    with pytest.raises(ConfigError, match="long=64, short=80"):
        train_loader(data, batch=2, workers=0, augment=None, resize=Resize(64), seed=0, shorter_choices=(40, 80))


def test_without_augmentation_pictures_are_only_resized(data: CocoData) -> None:
    view = TrainView(data, None, RESIZE, seed=0)
    assert torch.equal(view[3, 4].image, RESIZE(data.sample(4)).image)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_validation_deals_the_batches_of_one_process(data: CocoData, world: int) -> None:
    seen = [
        [batch.image_ids for batch in val_loader(data, batch=4, workers=0, resize=RESIZE, rank=r, world=world)]
        for r in range(world)
    ]
    batches = [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10)]
    assert seen == [batches[rank::world] for rank in range(world)]


def test_no_process_is_without_a_validation_batch(data: CocoData) -> None:
    """Lightning refuses a loader that is empty in some processes only."""
    (batch,) = val_loader(data, batch=4, workers=0, resize=RESIZE, rank=3, world=4)
    assert batch.image_ids == (0, 1, 2, 3)


@pytest.mark.parametrize("wide", [0, 1, 5, 11, 20, 21])
def test_groups_fill_batches_and_leave_no_picture_behind(wide: int) -> None:
    """Whatever the numbers: as many batches as without groups, no picture twice, and few batches mixed."""
    length, batch = 21, 4
    groups = [int(index < wide) for index in range(length)]
    trained: set[int] = set()
    for epoch in range(40):
        plain, alike = EpochBatches(length, batch, 3), EpochBatches(length, batch, 3, groups=groups)
        plain.set_epoch(epoch)
        alike.set_epoch(epoch)
        batches = [[index for _, index in part] for part in alike]
        assert len(batches) == len(alike) == len(plain) == 5
        assert sorted(chain(*batches)) == sorted(index for part in plain for _, index in part)
        mixed = sum(len({groups[index] for index in part}) > 1 for part in batches)
        assert mixed <= 1
        assert batches == [[index for _, index in part] for part in alike], "the same when asked again"
        trained |= set(chain(*batches))
    assert trained == set(range(length)), "over some epochs every picture has its turn"


def test_processes_share_grouped_batches() -> None:
    groups = [index % 3 == 0 for index in range(20)]
    whole = list(EpochBatches(20, 4, 7, groups=groups))
    for rank in range(4):
        assert list(EpochBatches(20, 4, 7, groups=groups, rank=rank, world=4)) == [part[rank::4] for part in whole]


def test_batches_of_like_pictures_need_less_padding(write_coco: Callable[..., Path], coco: dict[str, Any]) -> None:
    images = [
        {"id": i, "file_name": f"{i}.png", "width": 64 - 32 * (i % 2), "height": 32 + 32 * (i % 2)} for i in range(8)
    ]
    data = open_data(write_coco(train={**coco, "images": images, "annotations": []})).train

    def pixels(group: bool) -> int:
        batches = train_loader(data, batch=4, workers=0, augment=None, resize=Resize(64), seed=0, group_by_ratio=group)
        return sum(batch.images[:, 0].numel() for batch in batches)

    assert pixels(True) == 8 * 64 * 32
    assert pixels(False) == 8 * 64 * 64


def test_validation_batches_hold_one_padded_size(write_coco: Callable[..., Path], coco: dict[str, Any]) -> None:
    images = [
        {"id": i, "file_name": f"{i}.png", "width": w, "height": h}
        for i, (w, h) in enumerate([(40, 20), (20, 40), (40, 19), (40, 20), (20, 40)])
    ]
    data = open_data(write_coco(train={**coco, "images": images, "annotations": []})).train
    loader = val_loader(data, batch=8, workers=0, resize=Resize(64))
    assert [batch.image_ids for batch in loader] == [(0, 2, 3), (1, 4)]


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_come_through_clean(data: CocoData, workers: int) -> None:
    Path(data.record(6).name).write_bytes(b"")
    loader = val_loader(data, batch=4, workers=workers, resize=RESIZE)
    batches = iter(loader)
    next(batches)
    with pytest.raises(DataError) as caught:
        next(batches)
    message = str(caught.value)
    assert message.endswith("6.png: the file is empty (0 bytes). Replace the file, or take it out of the data set.")
    assert "Traceback" not in message
    loader = train_loader(data, batch=11, workers=workers, augment=Augment(), resize=RESIZE, seed=0)
    with pytest.raises(DataError, match=r"6\.png: the file is empty"):
        next(iter(loader))


def test_data_travels_to_workers_that_are_not_forked(data: CocoData) -> None:
    again = pickle.loads(pickle.dumps(TrainView(data, Augment(), RESIZE, 0)))
    assert torch.equal(again[0, 4].image, TrainView(data, Augment(), RESIZE, 0)[0, 4].image)


def test_a_set_without_any_box_loads(write_coco: Callable[..., Path], coco: dict[str, Any]) -> None:
    empty = open_data(write_coco(train={**coco, "annotations": []})).train
    (batch,) = train_loader(empty, batch=8, workers=0, augment=Augment(iou_crop=1.0), resize=RESIZE, seed=0)
    assert len(batch) == 3 and len(batch.truth) == 0 and batch.truth.num_images == 3
    assert json.dumps(empty.to_coco()["annotations"]) == "[]"
