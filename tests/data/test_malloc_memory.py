"""Pictures are made in memory from malloc: PyTorch's allocator is asked for none of it."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.profiler import ProfilerActivity, profile

from dsla.data.augment import Augment
from dsla.data.image import decode_image
from dsla.data.malloc_memory import empty
from dsla.data.resize import Resize
from dsla.data.sample import Sample


def test_it_is_a_tensor_that_can_be_written() -> None:
    whole, real = empty(3, 4, 5), empty(2, 6, dtype=np.float32)
    assert (whole.shape, whole.dtype, real.shape, real.dtype) == ((3, 4, 5), torch.uint8, (2, 6), torch.float32)
    assert real.fill_(0.5).sum() == 6 and whole.is_contiguous()


@pytest.mark.skipif(not hasattr(Image.Image, "__arrow_c_array__"), reason="Pillow before 11.2 lends no memory")
@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
def test_a_picture_is_augmented_without_memory_of_torch(factor: float) -> None:
    file = io.BytesIO()
    Image.new("RGB", (640, 480), "teal").save(file, "png")
    sample = Sample.unlabelled(decode_image(file.getvalue()))
    augment = Augment(scale=(factor, factor), flip=0.0)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as told:
        augment(sample, Resize(320), np.random.default_rng(0))
    most = max(event.self_cpu_memory_usage for event in told.events() or ())
    assert 0 < most < 240 * 320  # boxes and weights of the resampling, but no plane of pixels
