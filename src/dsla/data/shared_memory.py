"""Memory for a batch where the process that asked for it can read it."""

import math
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import get_worker_info


def zeros_to_send(*shape: int) -> UInt8[Tensor, "..."]:
    """Bytes of zero; in a worker of a DataLoader, in memory shared with its receiver.

    A tensor of a worker's own is copied to such memory when it is sent. Besides the copy, the batches that come and go
    between pictures leave a worker's heap with holes that none of them fits into again, and it grows. PyTorch's
    `default_collate` does the same.
    """
    if get_worker_info() is None:
        return torch.zeros(shape, dtype=torch.uint8)
    storages: Any = torch.UntypedStorage  # whose shared memory has no public name
    batch = torch.empty(0, dtype=torch.uint8)
    # The system clears what it hands out, so that nothing needs to be written here.
    batch.set_(storages._new_shared(math.prod(shape), device="cpu"), 0, shape)  # pyright: ignore  # not in torch's stub
    return batch
