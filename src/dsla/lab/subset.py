"""Parts of a data set that the laboratory draws: evenly spread pictures, and two parts by share."""

import numpy as np

from dsla.data import DetectionData
from dsla.data.subset import Subset


def spread(data: DetectionData, most: int) -> DetectionData:
    """At most so many pictures, evenly spread over the data set's order."""
    if len(data) <= most:
        return data
    return Subset(data, [index * len(data) // most for index in range(most)])


def cut(data: DetectionData, share: float, seed: int) -> tuple[Subset, Subset]:
    """Two parts by pictures: the rest, and about `share` of them, drawn with a seed; at least one picture each."""
    order = np.random.default_rng(seed).permutation(len(data)).tolist()
    size = min(max(round(share * len(data)), 1), len(data) - 1)
    return Subset(data, sorted(order[size:])), Subset(data, sorted(order[:size]))
