"""Tensors in memory from malloc instead of PyTorch's allocator, so that the heap of a worker stays small.

PyTorch asks for memory that starts at a multiple of 64 bytes. To be sure of one glibc looks for more room than that, so
that a piece that was given back never serves the next tensor of its size: picture after picture is laid elsewhere, and
every page that was once touched stays the worker's own. NumPy asks for no such start, which none of torch's functions
needs, and gets the piece that fits.
"""

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor


def empty(*shape: int, dtype: type[np.generic] = np.uint8) -> Shaped[Tensor, "..."]:
    """A tensor of whatever values lay there."""
    return torch.from_numpy(np.empty(shape, dtype))
