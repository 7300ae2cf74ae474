"""One point a box, so that the sum of qualities over all boxes is greatest: bipartite matching.

The solver is SciPy's for sparse graphs (Jonker and Volgenant's method). Pictures are solved one by one on the CPU.
Before, pairs that no best matching needs are left out: a point that only one box may have is that box's for the asking,
so all its worse points are of no use to it, and without them other boxes' points become theirs alone.

Letters: M pairs.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from torch import Tensor

_Numbers = NDArray[Any]
_UNMATCHED = 1e4  # costs more than all that better pairs elsewhere could win back


def one_to_one(
    image: Int[Tensor, " M"], box: Int[Tensor, " M"], point: Int[Tensor, " M"], quality: Float[Tensor, " M"]
) -> Bool[Tensor, " M"]:
    """Mark the pairs of the best matching of each picture.

    As many boxes as possible get a point; among such matchings the sum of qualities is greatest.

    Args:
        image: (M,) picture of each pair, ascending.
        box: (M,) its box.
        point: (M,) its point.
        quality: (M,) in [0, 1].
    """
    chosen = np.zeros(len(box), dtype=bool)
    pictures, boxes, places, values = (each.cpu().numpy() for each in (image, box, point, quality.double()))
    useful = _useful(boxes, pictures * (int(places.max(initial=0)) + 1) + places, values)
    for picture in np.unique(pictures):
        here = useful[pictures[useful] == picture]
        _, row = np.unique(boxes[here], return_inverse=True)
        _, column = np.unique(places[here], return_inverse=True)
        count, width = int(row.max()) + 1, int(column.max()) + 1
        # Each box may also stay alone, in a column of its own; no cost may be 0, which would mean no edge.
        cost = np.concatenate([2 - values[here], np.full(count, _UNMATCHED)])
        rows = np.concatenate([row, np.arange(count)])
        columns = np.concatenate([column, width + np.arange(count)])
        graph = csr_array((cost, (rows, columns)), shape=(count, width + count))
        of_row, of_column = min_weight_full_bipartite_matching(graph)
        taken = np.full(count, -1)
        taken[of_row] = of_column
        chosen[here] = taken[row] == column
    return torch.from_numpy(chosen).to(box.device)


def _useful(box: _Numbers, place: _Numbers, quality: _Numbers) -> _Numbers:
    """Indices of the pairs that are no worse than the best point which their box has for itself."""
    left = np.arange(len(box))
    while True:
        alone = np.bincount(place[left])[place[left]] == 1
        sure = np.full(int(box.max(initial=0)) + 1, -1.0)
        np.maximum.at(sure, box[left[alone]], quality[left[alone]])
        mine = sure[box[left]]
        keep = (quality[left] > mine) | (alone & (quality[left] == mine))
        if keep.all():
            return left
        left = left[keep]
