"""Averaged weights: a moving average over the steps detects better than the weights of any one step."""

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class AveragedWeights(WeightAveraging):
    """Exponential moving average of the weights; evaluation and the kept model use it.

    The decay rises with the steps, 1 - 1 / (1 + n / 10) at most `decay`, so that a short run does not drag its
    beginning along.

    Args:
        decay: share of the average that is kept a step, once the run is long.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
            keep = min(decay, 1 - 1 / (1 + int(count) / 10))
            torch._foreach_lerp_(averaged, current, 1 - keep)  # pyright: ignore[reportPrivateUsage]

        super().__init__(use_buffers=False, multi_avg_fn=average)
