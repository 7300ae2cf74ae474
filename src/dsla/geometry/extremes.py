"""Least and greatest value between two positions of a list, answered at once for many pairs of positions.

A sparse table: for every position the extremes of the next 1, 2, 4, 8, ... values. Any stretch is the union of two of
them, which may overlap. Made in a few passes over the values, it answers in two look-ups a question.

Letters: S values, K powers of two, R questions.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Extremes:
    """Extremes of stretches of a list of values.

    Args:
        values: (S,) the list.
        longest: length of the longest stretch that will be asked for.
    """

    def __init__(self, values: Float[Tensor, " S"], longest: int) -> None:
        low, high = [values], [values]
        while 2 << (len(low) - 1) <= longest:
            reach = 1 << (len(low) - 1)
            low.append(torch.minimum(low[-1], _ahead(low[-1], reach)))
            high.append(torch.maximum(high[-1], _ahead(high[-1], reach)))
        self._size = len(values)
        # How many doublings fit into each length, and how far they reach.
        doublings = [max(length, 1).bit_length() - 1 for length in range(longest + 1)]
        self._power = torch.tensor(doublings, device=values.device)
        self._reach = 1 << self._power
        self._low, self._high = torch.cat(low), torch.cat(high)

    def between(
        self, first: Int[Tensor, " R"], count: Int[Tensor, " R"]
    ) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"]]:
        """Least and greatest of `count` values (at least one) from each position on."""
        one = self._power.index_select(0, count).mul_(self._size).add_(first)
        other = (count - self._reach.index_select(0, count)).add_(one)
        low = torch.minimum(self._low.index_select(0, one), self._low.index_select(0, other))
        high = torch.maximum(self._high.index_select(0, one), self._high.index_select(0, other))
        return low, high


def _ahead(values: Float[Tensor, " S"], steps: int) -> Float[Tensor, " S"]:
    """The value some steps ahead of each; at the end, the value itself, which changes no extreme asked for."""
    return torch.cat([values[steps:], values[max(len(values) - steps, 0) :]])
