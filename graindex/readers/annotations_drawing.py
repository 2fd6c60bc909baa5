"""Annotated particles of one image as one label image; what overlaps is settled or refused.

Out of scope: files, and which pixels a single shape covers (`annotations_shapes`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, triu

from graindex.errors import AnnotationError
from graindex.readers.annotations_shapes import Drawn, Region, draw

Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedLabels:
    """Annotated particles of an image.

    Attributes:
        labels: (Y, X) int32, 0 is background.
        classes: labels of each class, both in rising order; every label is in one.
        overlap_px: pixels that several annotations claimed.
        largest_overlap: share of the smaller particle that the worst pair had in common.
    """

    labels: Labels
    classes: Mapping[str, tuple[int, ...]]
    overlap_px: int = 0
    largest_overlap: float = 0.0


def draw_regions(
    regions: Sequence[Region],
    classes: Sequence[str],
    frame_shape: tuple[int, int],
    *,
    max_overlap: float,
) -> AnnotatedLabels:
    """Draw particles as labels 1, 2, … in their order; shared pixels go to the smaller one.

    Args:
        regions: what was annotated.
        classes: the class of each.
        frame_shape: (Y, X) of the image.
        max_overlap: share of the smaller of two particles that they may have in common.

    Returns:
        The labels.

    Raises:
        AnnotationError: a region cannot be drawn, two overlap by more, or one is covered whole.
    """
    drawn = [draw(region, frame_shape) for region in regions]
    areas = np.array([np.count_nonzero(one.inside) for one in drawn], np.int64)
    claims = np.zeros(frame_shape, np.uint16)
    for one in drawn:
        claims[_window(one)] += one.inside
    shared = int(np.count_nonzero(claims > 1))
    worst = _worst_overlap(regions, drawn, areas, claims, max_overlap) if shared else 0.0
    labels: Labels = np.zeros(frame_shape, np.int32)
    for place in np.argsort(-areas, kind="stable"):
        labels[_window(drawn[place])][drawn[place].inside] = place + 1
    left = np.bincount(labels.ravel(), minlength=len(drawn) + 1)[1:]
    for region, pixels in zip(regions, left, strict=True):
        if not pixels:
            message = f"{region.name} is covered whole by others"
            raise AnnotationError(message)
    numbers = {
        name: tuple(n for n, one in enumerate(classes, start=1) if one == name)
        for name in sorted(set(classes))
    }
    return AnnotatedLabels(labels, numbers, shared, worst)


def _worst_overlap(
    regions: Sequence[Region],
    drawn: Sequence[Drawn],
    areas: npt.NDArray[np.int64],
    claims: npt.NDArray[np.uint16],
    max_overlap: float,
) -> float:
    """Largest share that a pair has in common, of the smaller; by pixels that several claim."""
    numbers, pixels = [], []
    for number, one in enumerate(drawn):
        y, x = np.nonzero(one.inside & (claims[_window(one)] > 1))
        pixels.append((y + one.y0) * claims.shape[1] + x + one.x0)
        numbers.append(np.full(len(y), number))
    rows, columns = np.concatenate(numbers), np.concatenate(pixels)
    claimed = csr_array(
        (np.ones(len(rows), np.int64), (rows, columns)), shape=(len(drawn), claims.size)
    )
    common = triu(claimed @ claimed.T, k=1).tocoo()
    shares = common.data / np.minimum(areas[common.row], areas[common.col])
    place = int(np.argmax(shares))
    worst = float(shares[place])
    if worst > max_overlap:
        first, second = (regions[int(pair[place])].name for pair in (common.row, common.col))
        message = (
            f"{first} and {second} overlap by {worst:.1%} of the smaller, more than "
            f"{max_overlap:.1%}: redraw them, or allow it by --max-overlap"
        )
        raise AnnotationError(message)
    return worst


def _window(one: Drawn) -> tuple[slice, slice]:
    rows, columns = one.inside.shape
    return slice(one.y0, one.y0 + rows), slice(one.x0, one.x0 + columns)
