"""Nearest vectors by cosine, in blocks, for collections of a hundred thousand images.

Out of scope: whether images with similar vectors show the same (`models.measure.image_overlap`).
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]

BLOCK = 512
"""Rows at a time: 200 MB of similarities to 100,000 vectors."""


def nearest(
    queries: Floats, references: Floats, count: int, least: float = -np.inf
) -> tuple[Places, Places, Floats]:
    """The most similar references of each query.

    Args:
        queries: (Q, D) float32, rows of length 1.
        references: (R, D) float32, rows of length 1.
        count: how many for each query, at most; a query that is among the references finds itself.
        least: smallest cosine similarity.

    Returns:
        Place of the query, place of the reference and their similarity, three arrays of equal
        length, queries in order and their references in no order.
    """
    count = min(count, len(references))
    found: list[tuple[Places, Places, Floats]] = []
    for start in range(0, len(queries) if count > 0 else 0, BLOCK):
        likeness = queries[start : start + BLOCK] @ references.T
        columns = np.argpartition(likeness, -count, axis=1)[:, -count:]
        values = np.take_along_axis(likeness, columns, axis=1)
        rows, kept = np.nonzero(values >= least)
        found.append((rows + start, columns[rows, kept], values[rows, kept]))
    if not found:
        nowhere = np.zeros(0, np.intp)
        return nowhere, nowhere, np.zeros(0, np.float32)
    rows, places, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, places, values
