"""The typical diameter of an image's particles, by looking at it in several sizes.

Out of scope: looking (each network does so), scaling (`star_convex.scaling`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from models.segment.star_convex.scaling import LEAST_SIDE_PX

_CLOSE = 0.1  # relative change of the typical diameter below which it counts as found
_OCTAVE = 0.5
_ENLARGED = 2.0  # at most: four times the pixels, and the time
_EVIDENCE_POWER = 4
_KEPT_EVIDENCE = 0.2  # share of it that a corrected scale must keep

Found = TypeVar("Found")
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Look(Generic[Found]):
    """What is seen at one scale.

    Attributes:
        diameter_px: typical diameter that the image was scaled by.
        found: the particles that are sure enough.
        diameters_px: (N,) of them, in pixels of the image.
        evidence: how much speaks for the scale (`evidence`).
    """

    diameter_px: float
    found: Found
    diameters_px: Floats
    evidence: float


def search_scale(
    look: Callable[[float], Look[Found]], wanted_px: float, shape_px: tuple[int, ...], passes: int
) -> Look[Found]:
    """Look at an image in full, half, quarter, … size, and then at the size of what is found.

    The scale starts from the size with the most evidence and follows the median diameter found,
    until that changes by less than a tenth or most of the evidence is gone; an image is enlarged
    twice at most.

    Args:
        look: finds particles where the image is scaled by a typical diameter.
        wanted_px: typical diameter that the network wants.
        shape_px: (Y, X) of the image.
        passes: how often the diameter is corrected, at most.
    """
    best = max(
        (look(diameter) for diameter in _octaves(wanted_px, shape_px)), key=lambda at: at.evidence
    )
    least = wanted_px / _ENLARGED
    for _ in range(passes if len(best.diameters_px) else 0):
        found = max(float(np.median(best.diameters_px)), least)
        if abs(found / best.diameter_px - 1) < _CLOSE:
            break
        corrected = look(found)
        if not len(corrected.diameters_px) or corrected.evidence < _KEPT_EVIDENCE * best.evidence:
            break
        best = corrected
    return best


def evidence(
    area_px2: Floats, diameters_px: Floats, probability: Floats, diameter_px: float
) -> float:
    """How much speaks for a scale: the area of all particles, weighted by their probability.

    By its fourth power, since texture that is seen too large makes many particles, hardly any of
    them sure; and less the farther one is from the size that the network is trained for, as a
    Gaussian of one octave.

    Args:
        area_px2: (N,) of particles found at the scale, the improbable ones too.
        diameters_px: (N,) of them.
        probability: (N,) of them.
        diameter_px: that the image was scaled by.
    """
    octaves = np.log2(np.maximum(diameters_px, 1e-3) / diameter_px)
    weight = probability.astype(np.float64) ** _EVIDENCE_POWER
    return float((area_px2 * weight) @ np.exp(-0.5 * octaves**2))


def _octaves(wanted_px: float, shape_px: tuple[int, ...]) -> Iterator[float]:
    """Typical diameters for which the image is taken in full, half, quarter, … size."""
    factor = 1.0
    while factor == 1.0 or factor * max(shape_px) >= LEAST_SIDE_PX:
        yield wanted_px / factor
        factor *= _OCTAVE
