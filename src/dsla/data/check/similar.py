"""Pictures that show nearly the same: copies saved again, scaled, a little brighter, or the next frame of a film.

A perceptual hash finds candidates: the signs of the 64 lowest frequencies of a 32x32 thumbnail (pHash, Zauner 2010,
"Implementation and benchmarking of perceptual image hash functions", section 3.2.1). Whether a candidate is one is told by
the correlation of the thumbnails, since hashes of pictures of one kind, such as micrographs, lie close together.

Letters: K pictures, P pairs.
"""

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from scipy.fft import dctn

# Chosen on real pictures, see docs/checks.md: what lies within them is shown there.
MOST_BITS = 10
LEAST_CORRELATION = 0.98
_LOW = 8
_BLOCK = 2048  # rows of the table of distances that are alive at a time


def near_pairs(thumbnails: UInt8[np.ndarray, "K 32 32"]) -> tuple[Int64[np.ndarray, "P 2"], Float32[np.ndarray, " P"]]:
    """Pairs of pictures that show nearly the same, the smaller index first.

    Args:
        thumbnails: shades of grey; one of a single shade is like no other.

    Returns:
        Indices, and the correlation of each pair.
    """
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    plain = length[:, 0] < flat.shape[1] ** 0.5  # less than one shade of deviation
    flat /= np.maximum(length, 1)
    pairs = _close(signs(thumbnails), plain)
    correlation = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), 65536):
        part = pairs[start : start + 65536]
        correlation[start : start + 65536] = np.einsum("pk,pk->p", flat[part[:, 0]], flat[part[:, 1]])
    near = correlation >= LEAST_CORRELATION
    return pairs[near], correlation[near]


def signs(thumbnails: UInt8[np.ndarray, "K 32 32"]) -> Float32[np.ndarray, "K 64"]:
    """The hash of each picture, 1 where a frequency is above the picture's median and -1 elsewhere."""
    low = dctn(thumbnails.astype(np.float32), axes=(1, 2), norm="ortho")[:, :_LOW, :_LOW].reshape(-1, _LOW * _LOW)
    low = low.copy()
    low[:, 0] = 0  # the mean shade says nothing of what is shown
    above = low > np.median(low, axis=1, keepdims=True)
    return np.where(above, 1, -1).astype(np.float32)


def _close(signs: Float32[np.ndarray, "K 64"], plain: np.ndarray) -> Int64[np.ndarray, "P 2"]:
    """Pairs whose hashes differ in few bits. A product of signs counts them: 64 - 2 * distance."""
    count = len(signs)
    least = signs.shape[1] - 2 * MOST_BITS
    found: list[np.ndarray] = []
    for start in range(0, count, _BLOCK):
        block = signs[start : start + _BLOCK]
        rows, columns = np.nonzero(block @ signs[start:].T >= least)
        later = columns > rows
        found.append(np.stack([rows[later], columns[later]], axis=1) + start)
    pairs = np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)
    return pairs[~plain[pairs].any(axis=1)]
