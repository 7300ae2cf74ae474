"""The best pairs of boxes with numbers of pairs of their own, against plain loops."""

import pytest
import torch

from dsla.assign import best_of_box as module
from dsla.assign.best_of_box import best_of_box, sum_of_best


def loop(values, counts, wanted):
    chosen, start = [], 0
    for count, k in zip(counts, wanted, strict=True):
        ranked = sorted(range(start, start + count), key=lambda i: (-values[i], i))
        chosen += ranked[:k]
        start += count
    return sorted(chosen)


@pytest.mark.parametrize("cells", [1, 64, 1 << 20])
@pytest.mark.parametrize("ties", [False, True])
def test_as_sorting_each_box(monkeypatch, cells, ties):
    monkeypatch.setattr(module, "CELLS", cells)
    rng = torch.Generator().manual_seed(3)
    counts = torch.tensor([0, 1, 3, 16, 17, 0, 40, 200, 5])
    values = torch.rand(int(counts.sum()), generator=rng)
    if ties:
        values = (values * 4).round()
    wanted = torch.tensor([3, 1, 0, 4, 17, 1, 7, 13, 50])
    got = best_of_box(values, counts, wanted)
    assert torch.nonzero(got).flatten().tolist() == loop(values.tolist(), counts.tolist(), wanted.tolist())
    same = best_of_box(values, counts, 4)
    assert torch.nonzero(same).flatten().tolist() == loop(values.tolist(), counts.tolist(), [4] * len(counts))
    parts = values.split(counts.tolist())
    expected = [sum(sorted(part.tolist(), reverse=True)[:10]) for part in parts]
    torch.testing.assert_close(sum_of_best(values, counts, 10), torch.tensor(expected))


def test_no_boxes_and_no_pairs():
    none = torch.zeros(0, dtype=torch.int64)
    assert best_of_box(torch.zeros(0), none, 3).shape == (0,)
    assert sum_of_best(torch.zeros(0), torch.tensor([0, 0]), 3).tolist() == [0, 0]
