"""The best pairs of each box, where every box has a number of pairs of its own.

Pairs of a box stand together. Boxes with about as many pairs are laid side by side as the rows of a matrix, so
that torch's `topk` does the work; little is padded, and equal values go to the pair that comes first.

Letters: G boxes, M pairs, K greatest number of pairs that a box may keep.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CELLS = 1 << 20  # of a matrix at a time


def best_of_box(
    value: Float[Tensor, " M"], counts: Int[Tensor, " G"], k: int | Int[Tensor, " G"]
) -> Bool[Tensor, " M"]:
    """Mark the k pairs of each box with the highest values; of equal ones the first.

    Args:
        value: (M,) of each pair, box after box.
        counts: (G,) pairs of each box.
        k: how many to keep, for all boxes or for each.
    """
    wanted = torch.minimum(torch.full_like(counts, k) if isinstance(k, int) else k, counts)
    least = value.new_full((len(counts),), torch.inf)
    for boxes, pairs, valid in _rows(counts):
        few = wanted[boxes]
        if most := int(few.max()):
            best = _values(value, pairs, valid).topk(most, dim=1).values
            kth = best.gather(1, (few - 1).clamp(min=0)[:, None])[:, 0]
            least[boxes] = torch.where(few > 0, kth, torch.inf)
    box = torch.repeat_interleave(counts)
    bar = least.index_select(0, box)
    chosen = value >= bar
    if int(chosen.sum()) == int(wanted.sum()):  # every box has at least what it wants, so it has no more
        return chosen
    above, level = value > bar, value == bar
    missing = wanted - _sums(above, counts)
    place = level.cumsum(0)  # among the box's equal ones, once those of the boxes before are taken off
    before = torch.cat([place.new_zeros(1), place])[counts.cumsum(0) - counts]
    return above | (level & (place <= (before + missing).index_select(0, box)))


def sum_of_best(value: Float[Tensor, " M"], counts: Int[Tensor, " G"], k: int) -> Float[Tensor, " G"]:
    """Sum of the k highest values of each box, none of which may be negative; 0 for a box without pairs."""
    total = value.new_zeros(len(counts))
    for boxes, pairs, valid in _rows(counts):
        rows = _values(value, pairs, valid).clamp_(min=0)
        total[boxes] = rows.topk(min(k, rows.shape[1]), dim=1).values.sum(dim=1)
    return total


def kth_best(value: Float[Tensor, " M"], counts: Int[Tensor, " G"], k: int) -> Float[Tensor, " G"]:
    """The k-th highest value of each box, minus infinity for a box with fewer pairs."""
    least = value.new_full((len(counts),), -torch.inf)
    for boxes, pairs, valid in _rows(counts):
        rows = _values(value, pairs, valid)
        if k <= rows.shape[1]:
            least[boxes] = rows.topk(k, dim=1).values[:, -1]
    return least


def _sums(mark: Bool[Tensor, " M"], counts: Int[Tensor, " G"]) -> Int[Tensor, " G"]:
    """Marked pairs of each box."""
    before = torch.cat([counts.new_zeros(1), mark.cumsum(0)])
    end = counts.cumsum(0)
    return before[end] - before[end - counts]


def _values(value: Float[Tensor, " M"], pairs: Int[Tensor, "R W"], valid: Bool[Tensor, "R W"]) -> Float[Tensor, "R W"]:
    return value.index_select(0, pairs.flatten()).view_as(pairs).masked_fill_(~valid, -torch.inf)


def _rows(counts: Int[Tensor, " G"]) -> Iterator[tuple[Int[Tensor, " R"], Int[Tensor, "R W"], Bool[Tensor, "R W"]]]:
    """Boxes, the indices of their pairs, and which of these are theirs; widths are powers of two."""
    if len(counts) == 0:
        return
    start = counts.cumsum(0) - counts
    last = int(counts.sum()) - 1
    width, most = 16, int(counts.max())
    low = 0
    while low < most:
        boxes = torch.nonzero((counts > low) & (counts <= width)).flatten()
        for some in boxes.split(max(CELLS // width, 1)) if len(boxes) else ():
            column = torch.arange(width, device=counts.device)
            yield some, (start[some, None] + column).clamp(max=last), column < counts[some, None]
        low, width = width, 2 * width
