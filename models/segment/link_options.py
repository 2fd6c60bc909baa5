"""How profiles in slices are put together into particles.

Out of scope: putting them together (`slice_linking`).
"""

from dataclasses import dataclass
from math import pi
from typing import Literal

from models.measure.arrays import InvalidVolumeError

Overlap = Literal["iou", "smaller"]

CODE_VERSION = "2"
"""Raised whenever the same slices and options would give other particles."""


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """How profiles in slices are put together.

    Attributes:
        measure: what the least overlap is of: "iou", shared pixels over those of either profile, or
            "smaller", over those of the smaller one, which the caps of a particle pass as well.
        least: overlap from which two profiles may be of one particle, above 0 up to 1.
        gap: slices in which a particle may be missing before it ends; they are filled with what the
            profiles before and after share.
        neck: a particle is parted at the slice where its area is smallest if that is less than this
            share of the largest area on either side, 0 … 1; 0 parts nothing. Particles that touch
            one above the other are linked by their overlap, but have a neck between them.
        smallest: voxels of the smallest particle; what is smaller is left out.
        confidence: of the least confident particle, 0 … 1: mean over its voxels of that of its
            profiles, 0 where a slice was filled. What has none is kept.
        flattest: depth of a particle per diameter of its largest profile, at least: what is seen in
            a few slices alone is mostly a mistake of theirs. Particles that the first or the last
            slice cuts may be flatter.
        slice_px: distance of two slices in pixels.
    """

    measure: Overlap = "smaller"
    least: float = 0.5
    gap: int = 2
    neck: float = 0.4
    smallest: int = 1
    confidence: float = 0.0
    flattest: float = 0.35
    slice_px: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.measure not in ("iou", "smaller"):
            raise InvalidVolumeError(f"measure is {self.measure!r}: choose iou or smaller")
        if not 0 < self.least <= 1:
            raise InvalidVolumeError(f"least is {self.least}: take a share above 0 and up to 1")
        for name in ("neck", "confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidVolumeError(f"{name} is {getattr(self, name)}: take a share, 0…1")
        if not (self.flattest >= 0 and self.slice_px > 0):
            raise InvalidVolumeError(
                f"flattest {self.flattest} and slice_px {self.slice_px}: take 0 or more, and more "
                "than 0"
            )
        if self.gap < 0 or self.smallest < 0:
            raise InvalidVolumeError(f"gap {self.gap} and smallest {self.smallest}: take 0 or more")


def ball_voxels(diameter_px: float) -> int:
    """Voxels of a ball: what `smallest` may be derived from."""
    return round(pi / 6 * diameter_px**3)
