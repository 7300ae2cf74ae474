"""Pictures that show nearly the same: copies saved again, scaled, a little brighter, or the next frame of a film.

A perceptual hash finds candidates: the signs of the 64 lowest frequencies of a 32x32 thumbnail (pHash, Zauner 2010,
"Implementation and benchmarking of perceptual image hash functions", section 3.2.1). The correlation of
the thumbnails decides, since hashes of pictures of one kind, such as micrographs, lie close together.

Letters: K pictures, P pairs.
"""

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8
from scipy.fft import dctn

# Chosen on real pictures, see docs/checks.md: what lies within them is shown there.
MOST_BITS = 10
LEAST_CORRELATION = 0.9
_LOW = 8
_BLOCK = 2048  # rows of the table of distances that are alive at a time
_PORTION = 65536


def near_pairs(
    thumbnails: UInt8[np.ndarray, "K 32 32"],
) -> tuple[Int64[np.ndarray, "P 2"], Float32[np.ndarray, " P"], Bool[np.ndarray, " P"]]:
    """Pairs of pictures that show nearly the same, the smaller index first.

    Args:
        thumbnails: shades of grey; one of a single shade is like no other.

    Returns:
        Indices, the correlation of each pair, and whether one has to be mirrored (left to right) for it.
    """
    ours, plain = _normalised(thumbnails)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for flip, others in ((False, thumbnails), (True, thumbnails[:, :, ::-1])):
        theirs = _normalised(others)[0] if flip else ours
        pairs = _close(signs(thumbnails), signs(others))
        pairs = pairs[~plain[pairs].any(axis=1)]
        correlation = np.empty(len(pairs), dtype=np.float32)
        for start in range(0, len(pairs), _PORTION):
            part = slice(start, start + _PORTION)
            correlation[part] = np.einsum("pk,pk->p", ours[pairs[part, 0]], theirs[pairs[part, 1]])
        near = correlation >= LEAST_CORRELATION
        found.append((pairs[near], correlation[near], np.full(near.sum(), flip)))
    pairs, correlation, flipped = (np.concatenate(part) for part in zip(*found, strict=True))
    # A picture that is its own mirror image is like another in both ways; it is told once, as it stands.
    _, first = np.unique(pairs, axis=0, return_index=True)
    return pairs[first], correlation[first], flipped[first]


def _normalised(
    thumbnails: UInt8[np.ndarray, "K 32 32"],
) -> tuple[Float32[np.ndarray, "K 1024"], Bool[np.ndarray, " K"]]:
    """Thumbnails with mean 0 and length 1, so that products are correlations; and which have but one shade."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.maximum(length, 1), length[:, 0] < flat.shape[1] ** 0.5


def signs(thumbnails: UInt8[np.ndarray, "K 32 32"]) -> Float32[np.ndarray, "K 64"]:
    """The hash of each picture, 1 where a frequency is above the picture's median and -1 elsewhere."""
    low = dctn(thumbnails.astype(np.float32), axes=(1, 2), norm="ortho")[:, :_LOW, :_LOW].reshape(-1, _LOW * _LOW)
    low = np.concatenate([np.zeros_like(low[:, :1]), low[:, 1:]], axis=1)  # the mean shade shows nothing
    return np.where(low > np.median(low, axis=1, keepdims=True), 1, -1).astype(np.float32)


def _close(ours: Float32[np.ndarray, "K 64"], theirs: Float32[np.ndarray, "K 64"]) -> Int64[np.ndarray, "P 2"]:
    """Pairs whose hashes differ in few bits. A product of signs counts them: 64 - 2 * distance."""
    least = ours.shape[1] - 2 * MOST_BITS
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(ours), _BLOCK):
        rows, columns = np.nonzero(ours[start : start + _BLOCK] @ theirs[start:].T >= least)
        later = columns > rows
        found.append(np.stack([rows[later], columns[later]], axis=1) + start)
    return np.concatenate(found)
