"""One point a box, so that the sum of qualities over all boxes is greatest: bipartite matching.

The solver is SciPy's for sparse graphs (Jonker and Volgenant's method), so its work follows the number of
candidate pairs. Pictures are solved one by one on the CPU.

Letters: M pairs.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from torch import Tensor

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
    for picture in np.unique(pictures):
        here = np.flatnonzero(pictures == picture)
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
