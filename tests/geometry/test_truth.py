"""A batch of ground truth is flat, and images without boxes stay in their places."""

import pytest
import torch

from dsla.geometry import GroundTruth


def image(count, label=0):
    boxes = torch.arange(count * 4, dtype=torch.float32).reshape(count, 4)
    return boxes, torch.full((count,), label), torch.zeros(count, dtype=torch.bool)


def test_collate_keeps_images_without_boxes():
    truth = GroundTruth.collate([image(0), image(2, 1), image(0), image(1, 2), image(0)])
    assert truth.num_images == 5
    assert truth.image.tolist() == [1, 1, 3]
    assert truth.labels.tolist() == [1, 1, 2]
    assert len(truth) == 3


def test_collate_of_empty_images_only():
    truth = GroundTruth.collate([image(0), image(0)])
    assert len(truth) == 0
    assert truth.boxes.shape == (0, 4)
    assert truth.num_images == 2


def test_a_batch_has_images():
    with pytest.raises(ValueError, match="at least one image"):
        GroundTruth.collate([])
