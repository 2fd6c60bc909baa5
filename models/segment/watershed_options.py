"""How a watershed finds particles.

Out of scope: finding them (`watershed`). Nothing here imports compiled functions.
"""

import math
from dataclasses import dataclass
from typing import Literal

from models.measure.arrays import InvalidVolumeError

CODE_VERSION = "1"
"""Raised whenever the same options would find other particles."""

Threshold = Literal["otsu", "multi-otsu", "adaptive"] | float
Polarity = Literal["auto", "bright", "dark"]


@dataclass(frozen=True, slots=True)
class WatershedOptions:
    """How particles are told from the background and from each other.

    Lengths are in pixels; of an anisotropic volume, in units of the geometric mean spacing.

    Attributes:
        min_diameter_px: of the smallest particle sought; what is smaller is left out. It sets the
            scale of everything else: grey levels are smoothed with a Gaussian of 1/6 of it, and
            necks and specks thinner than half of it are removed from a thresholded foreground.
        threshold: "otsu", "multi-otsu" (the extreme one of three classes), "adaptive" (the mean
            around each pixel) or a grey level.
        polarity: whether particles are "bright" or "dark"; "auto" decides by which class touches
            the edge of the image less and is less smooth; better stated where it is known.
        markers: "distance", one per bulge of the foreground, or "intensity", one per bright (dark)
            hill of the grey levels: for grains that touch along dark (bright) lines.
        neck: for "distance": particles are parted where the neck between them is thinner than this
            share of the thinner one, 0 … 1.
        contrast: for "intensity": depth of the valley that parts grains, in standard deviations of
            the grey levels.
        fill_holes: whether pores inside of particles belong to them; of an image, gaps that several
            particles enclose do not (`holes.inner_holes`), of a volume everything enclosed does.
        closing_px: radius with which cracks are closed before distances are taken, so that they do
            not part a particle; closed voxels of a phase volume stay unlabelled.
        window_px: of "adaptive"; None takes ten times the smallest diameter.
        phase_values: values of a phase volume that are particle: no threshold. None: grey levels.
    """

    min_diameter_px: float = 12.0
    threshold: Threshold = "otsu"
    polarity: Polarity = "auto"
    markers: Literal["distance", "intensity"] = "distance"
    neck: float = 0.7
    contrast: float = 0.5
    fill_holes: bool = True
    closing_px: float = 0.0
    window_px: float | None = None
    phase_values: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not (math.isfinite(self.min_diameter_px) and self.min_diameter_px >= 1):
            raise InvalidVolumeError(f"min_diameter_px {self.min_diameter_px}: take 1 or more")
        if not 0 < self.neck <= 1:
            raise InvalidVolumeError(f"neck {self.neck}: take a share above 0 and up to 1")
        if not (self.contrast >= 0 and self.closing_px >= 0):
            raise InvalidVolumeError("contrast and closing_px must not be negative")
        if self.markers == "intensity" and self.phase_values is not None:
            raise InvalidVolumeError("a phase volume has no hills: take markers='distance'")

    def smallest_size(self, ndim: int) -> float:
        """Pixels of a disc, or voxels of a ball, of the smallest diameter."""
        share = math.pi / 4 if ndim == 2 else math.pi / 6
        return share * self.min_diameter_px**ndim
