"""Cosine distance of vectors to the nearest among others, in blocks.

Out of scope: search in the store (`graindex.search`).
"""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BLOCK = 1024


def nearest_distance(
    vectors: Vectors, others: Vectors, k: int, itself: Ints | None = None
) -> Floats:
    """Mean cosine distance (N,) of each vector to the `k` nearest others.

    Args:
        vectors: (N, D) of length 1.
        others: (M, D) of length 1.
        k: how many; all where there are fewer.
        itself: (N,) place of each vector among the others, −1 where it is not there; it is no
            neighbour of its own.

    Returns:
        Distances from 0 to 2; infinite where there is no other.
    """
    found = np.full(len(vectors), np.inf)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        similarity = vectors[block] @ others.T
        if itself is not None:
            rows = np.flatnonzero(itself[block] >= 0)
            similarity[rows, itself[block][rows]] = -np.inf
        found[block] = _mean_of_largest(similarity, k)
    return found


def _mean_of_largest(similarity: Vectors, k: int) -> Floats:
    """1 − mean (N,) of the `k` largest of each row that are finite."""
    k = min(k, similarity.shape[1])
    if not k:
        return np.full(len(similarity), np.inf)
    largest = -np.partition(-similarity, k - 1, axis=1)[:, :k].astype(np.float64)
    known = np.isfinite(largest)
    count = known.sum(axis=1)
    total = np.where(known, largest, 0).sum(axis=1)
    distance: Floats = np.where(count > 0, 1 - total / np.maximum(count, 1), np.inf)
    return np.maximum(distance, 0.0)
