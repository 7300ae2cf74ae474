"""Batches: padding, true sizes, and the way back to the picture's own pixels."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from dsla.data.resize import Resize
from dsla.data.sample import Batch, Sample


def sample(height: int, width: int, boxes: list[list[float]], image_id: int = 1) -> Sample:
    return Sample(
        image=torch.randint(1, 256, (3, height, width), dtype=torch.uint8),
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.arange(len(boxes)),
        ignore=torch.zeros(len(boxes), dtype=torch.bool),
        image_id=image_id,
        name=f"{image_id}.jpg",
        original_size=(height, width),
    )


def test_a_worker_makes_its_batches_in_shared_memory() -> None:
    class Told(Dataset[int]):
        def __getitem__(self, index: int) -> int:
            return index

    loader = DataLoader(Told(), sampler=[0, 1], num_workers=1, collate_fn=_made)
    told = list(loader)
    assert [shared for shared, _ in told] == [True, True]
    samples = [sample(30, 70, [[1, 2, 3, 4]]), sample(8, 8, [])]
    assert not Batch.collate(samples).images.is_shared()
    assert all(not images[0, :, 30:].any() and not images[1, :, :, 8:].any() for _, images in told)
    assert all(images[0, :, :30, :70].all() and images.shape == (2, 3, 32, 96) for _, images in told)


def _made(_: list[int]) -> tuple[bool, torch.Tensor]:
    images = Batch.collate([sample(30, 70, [[1, 2, 3, 4]]), sample(8, 8, [])]).images
    return images.is_shared(), images


def test_collate_pads_bottom_and_right_with_zeros() -> None:
    samples = [sample(30, 70, [[1, 2, 3, 4]], 4), sample(65, 20, [], 9), sample(8, 8, [[0, 0, 8, 8]] * 2, 2)]
    batch = Batch.collate(samples)
    assert batch.images.shape == (3, 3, 96, 96)
    assert batch.sizes.tolist() == [[30, 70], [65, 20], [8, 8]]
    assert batch.truth.image.tolist() == [0, 2, 2] and batch.truth.num_images == 3
    assert batch.image_ids == (4, 9, 2) and batch.names[1] == "9.jpg" and len(batch) == 3
    for i, one in enumerate(samples):
        h, w = one.size
        assert torch.equal(batch.images[i, :, :h, :w], one.image)
        assert int(batch.images[i].sum()) == int(one.image.sum())
    assert Batch.collate(samples, divisor=1).images.shape == (3, 3, 65, 70)


def test_collate_without_samples() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Batch.collate([])


def test_boxes_find_their_way_back_and_are_clipped() -> None:
    original = sample(48, 100, [[10, 5, 60, 40]])
    batch = Batch.collate([Resize(long=64)(original)])
    assert torch.allclose(batch.boxes_to_picture(0, batch.truth.boxes), original.boxes, atol=1e-4)
    beyond = torch.tensor([[-5.0, -5.0, 90.0, 90.0]])
    assert batch.boxes_to_picture(0, beyond).tolist() == [[0, 0, 100, 48]]
    assert batch.boxes_to_picture(0, beyond[:0]).shape == (0, 4)


def test_to_and_pickle_keep_everything() -> None:
    batch = Batch.collate([sample(10, 12, [[1, 2, 3, 4]])])
    for other in (batch.to("cpu"), pickle.loads(pickle.dumps(batch))):
        assert torch.equal(other.images, batch.images) and torch.equal(other.truth.boxes, batch.truth.boxes)
        assert other.names == batch.names and torch.equal(other.scales, batch.scales)
