"""Extremes of stretches of a list, against slices."""

import torch

from dsla.geometry import Extremes


def test_as_slices():
    rng = torch.Generator().manual_seed(1)
    values = torch.randn(70, generator=rng)
    table = Extremes(values, longest=33)
    asked = [(first, count) for count in range(1, 34) for first in range(70 - count + 1)]
    low, high = table.between(*torch.tensor(asked).T)
    assert low.tolist() == [float(values[first : first + count].min()) for first, count in asked]
    assert high.tolist() == [float(values[first : first + count].max()) for first, count in asked]


def test_a_list_shorter_than_the_longest_stretch():
    low, high = Extremes(torch.tensor([3.0, 1.0]), longest=9).between(torch.tensor([0]), torch.tensor([2]))
    assert (low.item(), high.item()) == (1, 3)
