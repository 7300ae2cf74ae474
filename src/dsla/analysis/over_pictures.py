"""A figure as a function of sums over pictures, so that it can be computed anew for any draw of pictures.

Most of what is measured here is a ratio of two sums, a mean over pictures, or a mean of such ratios over classes. Kept
as sums, a thousand draws of pictures cost one product of matrices, and two detectors can be compared on the same draws.

Letters: I pictures, M sums, W draws.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class OverPictures:
    """A figure of a data set.

    Attributes:
        sums: (M, I) what each picture adds to each sum, dense or sparse.
        of: the figure of sums (M, W), one a draw; nan where they say nothing.
    """

    sums: Float64[np.ndarray, "M I"] | csr_array
    of: Callable[[Float64[np.ndarray, "M W"]], Float64[np.ndarray, " W"]]

    @property
    def value(self) -> float | None:
        """On all pictures, once each; None where nothing is to be said."""
        value = float(self.of(np.asarray(self.sums.sum(axis=1), dtype=np.float64).reshape(-1, 1))[0])
        return value if np.isfinite(value) else None

    def on(self, weights: Int64[np.ndarray, "I W"]) -> Float64[np.ndarray, " W"]:
        """On draws that take each picture so many times."""
        return self.of(np.asarray(self.sums @ weights.astype(np.float64)))


def ratio(over: Shaped[np.ndarray, " I"], under: Shaped[np.ndarray, " I"]) -> OverPictures:
    """Sum over pictures of the one, by the sum of the other."""
    return OverPictures(np.stack([over, under]).astype(np.float64), lambda sums: divided(sums[0], sums[1]))


def mean_over_pictures(values: Float64[np.ndarray, " I"]) -> OverPictures:
    """Mean of the pictures that have a value; nan is none."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0), known)


def mean_over_classes(over: Float64[np.ndarray, "C I"], under: Float64[np.ndarray, "C I"]) -> OverPictures:
    """Mean of the classes' ratios, of those that have something under the line."""

    def of(sums: Float64[np.ndarray, "M W"]) -> Float64[np.ndarray, " W"]:
        each = divided(sums[: len(over)], sums[len(over) :])
        known = np.isfinite(each)
        return divided(np.where(known, each, 0).sum(axis=0), known.sum(axis=0))

    return OverPictures(np.concatenate([over, under]).astype(np.float64), of)


def divided(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Quotient, nan where there is nothing under the line."""
    under = np.asarray(under, dtype=np.float64)
    return np.divide(over, under, out=np.full(np.shape(under), np.nan), where=under != 0)
