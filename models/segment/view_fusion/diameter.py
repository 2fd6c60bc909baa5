"""Typical diameter of the particles in a volume's sections.

Out of scope: diameters of particles as bodies.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from models.measure.arrays import Sliceable
from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.finding import PredictionOptions
from models.segment.star_convex.prediction import find_shapes
from models.segment.star_convex.tiles import Forward
from models.segment.view_fusion.frame import Floats, GreyRange
from models.segment.view_fusion.options import FusionOptions
from models.segment.watershed import check_finite

_PLACES = (0.35, 0.65)  # of the sections that are looked at, in shares of the volume's side
_WIDEST_PX = 1024  # of what is looked at of a section


def estimate_diameter_px(
    forward: Forward,
    config: NetworkConfig,
    volume: Sliceable,
    spacing: Sequence[float],
    grey: GreyRange,
    options: FusionOptions,
) -> float | None:
    """Median, over some sections, of the diameter that each of them is best scaled by.

    Args:
        forward: runs the network.
        config: of the network.
        volume: (Z, Y, X).
        spacing: of its voxels in units of the geometric mean; the unit of the outcome.
        grey: range of the grey levels.
        options: directions and thresholds.

    Returns:
        None where no particle is found.
    """
    chosen = PredictionOptions(probability=options.probability, overlap=options.overlap)
    found = []
    for section in _sections(volume, spacing, grey, options.axes):
        _, diameter = find_shapes(forward, config, section, chosen)
        if diameter is not None:
            found.append(diameter)
    return float(np.median(found)) if found else None


def _sections(
    volume: Sliceable, spacing: Sequence[float], grey: GreyRange, axes: Sequence[int]
) -> Iterator[Floats]:
    """Middles of sections, with square pixels of the mean spacing."""
    for axis in axes:
        rows, columns = (other for other in range(3) if other != axis)
        for place in _PLACES:
            index = [slice(None)] * 3
            for other in (rows, columns):
                side = volume.shape[other]
                start = max((side - _WIDEST_PX) // 2, 0)
                index[other] = slice(start, min(start + _WIDEST_PX, side))
            where = int(place * volume.shape[axis])
            index[axis] = slice(where, where + 1)
            read = np.asarray(volume[tuple(index)]).squeeze(axis)
            check_finite(read)
            image = grey.normalised(read)
            sides = [
                max(round(side * spacing[other]), 1)
                for side, other in zip(image.shape, (rows, columns), strict=True)
            ]
            if sides != list(image.shape):
                image = np.asarray(cv2.resize(image, (sides[1], sides[0])), dtype=np.float32)
            yield image
