"""A cache changes no batch, notices changed files and damaged bytes, and says beforehand what it takes."""

import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dsla.data import Augment, Batch, DetectionData, Resize, open_data, train_loader
from dsla.data import cache as module
from dsla.data.cache import CachedData, cached, plan_cache
from dsla.data.free_memory import free_memory
from dsla.data.scenes import Scenes
from dsla.errors import ConfigError

KINDS = ("memory", "disk")


@pytest.fixture
def data(write_coco: Callable[..., Path]) -> DetectionData:
    """Nine noisy pictures of three sizes, some without boxes."""
    sizes = [(40, 30), (33, 51), (64, 20)]
    content: dict[str, Any] = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": sizes[i % 3][0], "height": sizes[i % 3][1]} for i in range(9)
        ],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": [i, 2, 15, 12]} for i in range(9) if i % 4],
        "categories": [{"id": 1, "name": "thing"}],
    }
    train = open_data(write_coco(train=content)).train
    for index in range(9):
        paint(train, index, index)
    return train


def paint(data: DetectionData, index: int, seed: int) -> None:
    height, width = data.record(index).size
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(data.record(index).name)


def epoch(data: DetectionData, number: int, workers: int = 0) -> list[Batch]:
    augment = Augment(mosaic=0.3)
    loader = train_loader(data, batch=3, workers=workers, augment=augment, resize=Resize(48), seed=1)
    loader.batch_sampler.sampler.set_epoch(number)
    return list(loader)


def same(one: list[Batch], two: list[Batch]) -> bool:
    return len(one) == len(two) and all(
        a.image_ids == b.image_ids and torch.equal(a.images, b.images) and torch.equal(a.truth.boxes, b.truth.boxes)
        for a, b in zip(one, two, strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_to_the_bit_and_pictures_are_decoded_once(
    data: DetectionData, kind: module.CacheKind, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = cached(data, kind, tmp_path / "kept")
    plain = [epoch(data, number) for number in range(2)]
    assert same(epoch(kept, 0, workers), plain[0])
    monkeypatch.setattr("dsla.data.coco.decode_image", lambda *_: pytest.fail("decoded again"))
    assert isinstance(kept, CachedData)
    assert all(kept.pixels.get(index, module._stamp(kept.record(index).name)) is not None for index in range(9))
    assert same(epoch(kept, 1, workers), plain[1])
    assert len(kept) == 9 and kept.class_names == data.class_names and kept.to_coco() == data.to_coco()


def test_a_disk_cache_serves_the_next_run_and_follows_changed_files(data: DetectionData, tmp_path: Path) -> None:
    first = cached(data, "disk", tmp_path)
    before = [first.sample(index).image.clone() for index in range(9)]
    assert len(list(tmp_path.glob("*.pixels"))) == 1
    paint(data, 4, 99)
    os.utime(data.record(4).name, ns=(1, 1))
    second = cached(data, "disk", tmp_path)
    assert len(list(tmp_path.glob("*.pixels"))) == 1
    for index in range(9):
        assert torch.equal(second.sample(index).image, data.sample(index).image)
        assert torch.equal(second.sample(index).image, before[index]) == (index != 4)


def test_damaged_bytes_are_decoded_anew(data: DetectionData, tmp_path: Path) -> None:
    first = cached(data, "disk", tmp_path)
    for index in range(9):
        first.sample(index)
    (file,) = tmp_path.glob("*.pixels")
    with file.open("r+b") as opened:  # as after a power cut: entries are there, pixels are not
        opened.seek(4096)
        opened.write(bytes(file.stat().st_size - 4096))
    again = cached(data, "disk", tmp_path)
    assert all(torch.equal(again.sample(index).image, data.sample(index).image) for index in range(9))


def _fill(data: DetectionData, folder: Path) -> list[int]:
    kept = cached(data, "disk", folder)
    return [int(kept.sample(index).image.sum()) for _ in range(3) for index in range(9)]


def test_two_may_fill_one_cache_at_the_same_time(data: DetectionData, tmp_path: Path) -> None:
    """Each has a map of its own, as two processes have."""
    expected = [int(data.sample(index).image.sum()) for index in range(9)] * 3
    with ThreadPoolExecutor(2) as pool:
        assert all(sums == expected for sums in pool.map(_fill, [data, data], [tmp_path, tmp_path]))
    assert _fill(data, tmp_path) == expected and len(list(tmp_path.glob("*.pixels"))) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_it_travels_by_its_path_not_by_its_bytes(data: DetectionData, kind: module.CacheKind, tmp_path: Path) -> None:
    kept = cached(data, kind, tmp_path)
    image = kept.sample(2).image
    again = pickle.loads(pickle.dumps(kept))
    assert len(pickle.dumps(again.pixels)) < 2000
    assert torch.equal(again.pixels.get(2, module._stamp(data.record(2).name)), image)


def test_its_size_is_told_before_and_refused_where_it_does_not_fit(
    data: DetectionData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = 3 * 3 * (40 * 30 + 33 * 51 + 64 * 20)
    plan = plan_cache("memory", [data], tmp_path, processes=2)
    assert plan.size == 2 * (pixels + 4096) and plan.pictures == 9
    assert plan.told().startswith("memory cache: 9 pictures, 0 MB of ")
    assert str(tmp_path) in plan_cache("disk", [data], tmp_path).told()
    monkeypatch.setattr(module, "free_memory", lambda: pixels)
    with pytest.raises(ConfigError, match=r"does not fit; memory cache: 9 pictures.*--cache disk"):
        plan_cache("memory", [data], tmp_path)


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    scenes = Scenes(count=2, seed=0)
    with pytest.raises(ConfigError, match="is no file; such pictures can be kept with --cache memory"):
        cached(scenes, "disk", tmp_path)
    assert cached(scenes, "none") is scenes


def test_a_folder_that_cannot_be_is_told(data: DetectionData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"data\.cache_folder"):
        cached(data, "disk", tmp_path / "file")


def test_free_memory_is_the_containers_where_that_is_less(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable:   4000 kB\n")
    assert free_memory(meminfo, tmp_path) == 4000 * 1024
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert free_memory(meminfo, tmp_path) == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(meminfo, tmp_path) == 4000 * 1024
    assert free_memory(tmp_path / "none", tmp_path / "none") is None
