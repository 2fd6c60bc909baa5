"""The typical diameter of an image's particles, by looking at it in several sizes.

Out of scope: looking (each network does so), scaling (`star_convex.scaling`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

_OCTAVE = 0.5
_ENLARGED = 2.0  # at most: four times the pixels, and the time
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


@dataclass(frozen=True, slots=True)
class Search:
    """How the scale of an image is looked for; each network has its own way.

    Attributes:
        least_side_px: the longer side of the image in the smallest size that is looked at.
        power: of probabilities in the evidence.
        close: relative difference of the median diameter below which a scale counts as right.
    """

    least_side_px: float
    power: float
    close: float


def search_scale(
    look: Callable[[float], Look[Found]],
    wanted_px: float,
    shape_px: tuple[int, ...],
    passes: int,
    search: Search,
) -> Look[Found]:
    """Look at an image in full, half, quarter, … size, and then at the size of what is found.

    The scale starts from the size with the most evidence and follows the median diameter found,
    until that is close to it or most of the evidence is gone; an image is enlarged twice at most.

    Args:
        look: finds particles where the image is scaled by a typical diameter.
        wanted_px: typical diameter that the network wants.
        shape_px: (Y, X) of the image.
        passes: how often the diameter is corrected, at most.
        search: see there.
    """
    best = max(
        (look(diameter) for diameter in _octaves(wanted_px, shape_px, search.least_side_px)),
        key=lambda at: at.evidence,
    )
    least = wanted_px / _ENLARGED
    for _ in range(passes if len(best.diameters_px) else 0):
        found = max(float(np.median(best.diameters_px)), least)
        if abs(found / best.diameter_px - 1) < search.close:
            break
        corrected = look(found)
        if not len(corrected.diameters_px) or corrected.evidence < _KEPT_EVIDENCE * best.evidence:
            break
        best = corrected
    return best


def evidence(
    area_px2: Floats, diameters_px: Floats, probability: Floats, diameter_px: float, power: float
) -> float:
    """How much speaks for a scale: the area of all particles, weighted by their probability.

    By a power of it, since texture that is seen too large makes many particles, hardly any of them
    sure; and less the farther one is from the size that the network is trained for, as a Gaussian
    of one octave.

    Args:
        area_px2: (N,) of particles found at the scale, the improbable ones too.
        diameters_px: (N,) of them.
        probability: (N,) of them.
        diameter_px: that the image was scaled by.
        power: of the probability.
    """
    octaves = np.log2(np.maximum(diameters_px, 1e-3) / diameter_px)
    weight = probability.astype(np.float64) ** power
    return float((area_px2 * weight) @ np.exp(-0.5 * octaves**2))


def _octaves(wanted_px: float, shape_px: tuple[int, ...], least_side_px: float) -> Iterator[float]:
    """Typical diameters for which the image is taken in full, half, quarter, … size."""
    factor = 1.0
    while factor == 1.0 or factor * max(shape_px) >= least_side_px:
        yield wanted_px / factor
        factor *= _OCTAVE
