"""How the sections of a volume are brought together, of three directions or of one.

Out of scope: bringing them together. Nothing here imports torch.
"""

from dataclasses import dataclass, replace
from typing import Literal

from models.segment.link_options import CODE_VERSION as LINKS_CODE_VERSION
from models.segment.link_options import LinkOptions
from models.segment.star_convex.config import StarConvexError

Sections = Literal["xy", "yz", "xz", "all"]

CODE_VERSION = "2"
"""Raised whenever the same network and options would find other particles."""

SLICES_CODE_VERSION = f"1+links.{LINKS_CODE_VERSION}"
"""Likewise, of slices that are linked."""

AXIS_OF: dict[str, int] = {"xy": 0, "xz": 1, "yz": 2}
"""Axis of (Z, Y, X) that is across the sections of each direction."""


@dataclass(frozen=True, slots=True)
class FusionOptions:
    """How particles of a volume are found.

    Lengths in pixels of an anisotropic volume are in units of the geometric mean spacing.

    Attributes:
        diameter_px: typical (median) diameter of particles in sections of the volume; None: it is
            estimated from two sections of each direction.
        detail: how much larger particles are made than the network is trained to see them: small
            ones among them are then found, and outlines are finer. Time grows with its cube.
        sections: directions that are looked at; one alone for comparison.
        probability: of the least probable shape in a section, 0…1; lower than for an image, since
            what is doubtful in one direction is decided by the others.
        overlap: area of the intersection over the smaller area that two shapes of a section share.
        coverage: share of the directions in whose sections a voxel of a particle lies in a shape.
        depth: valley of the averaged probability that parts two particles, 0…1.
        peak: least averaged probability in the middle of a particle, 0…1.
        confidence: of the least confident particle, 0…1 (`VolumeSegmentation`).
        smallest: diameter of the smallest particle per `diameter_px`.
        block_px: side of a block's core, in pixels as the network sees them.
        overlap_px: seen beyond the core on each side, likewise; at least the largest diameter, if
            labels are not to depend on the blocks.
        largest_block: voxels of the volume along a side of a block's core, at most.
    """

    diameter_px: float | None = None
    detail: float = 1.25
    sections: Sections = "all"
    probability: float = 0.3
    overlap: float = 0.4
    coverage: float = 0.5
    depth: float = 0.12
    peak: float = 0.4
    confidence: float = 0.4
    smallest: float = 0.25
    block_px: int = 448
    overlap_px: int = 56
    largest_block: int = 384

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.diameter_px is not None and not self.diameter_px > 0:
            raise StarConvexError(f"diameter_px is {self.diameter_px}: take more than 0")
        if self.sections not in (*AXIS_OF, "all"):
            raise StarConvexError(f"sections are {self.sections!r}: choose xy, yz, xz or all")
        for name in ("probability", "coverage"):
            if not 0 < getattr(self, name) < 1:
                raise StarConvexError(f"{name} is {getattr(self, name)}: take a share, 0…1")
        for name in ("overlap", "depth", "peak", "confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise StarConvexError(f"{name} is {getattr(self, name)}: take a share, 0…1")
        if not self.detail > 0:
            raise StarConvexError(f"detail is {self.detail}: take more than 0")
        if not self.smallest >= 0:
            raise StarConvexError(f"smallest is {self.smallest}: take 0 or more")
        for name in ("block_px", "overlap_px", "largest_block"):
            if getattr(self, name) < 1:
                raise StarConvexError(f"{name} is {getattr(self, name)}: take at least 1")

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes across the sections that are looked at."""
        return (0, 1, 2) if self.sections == "all" else (AXIS_OF[self.sections],)


_LINKS = LinkOptions(neck=0.55, flattest=0.6, confidence=0.6)


@dataclass(frozen=True, slots=True)
class SliceOptions:
    """How particles of a volume are found in its slices, and linked from slice to slice.

    Attributes:
        diameter_px: typical (median) diameter of particles in slices; None: it is estimated.
        detail: as of `FusionOptions`.
        probability: of the least probable shape, 0…1; what is doubtful in a slice is decided by no
            other direction.
        overlap: area of the intersection over the smaller area that two shapes of a slice share.
        smallest: diameter of the smallest particle per `diameter_px`.
        links: how slices are linked; its `smallest` and `slice_px` follow from the volume.
    """

    diameter_px: float | None = None
    detail: float = 1.25
    probability: float = 0.5
    overlap: float = 0.4
    smallest: float = 0.4
    links: LinkOptions = _LINKS

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        replace(self.sections, smallest=self.smallest)

    @property
    def sections(self) -> FusionOptions:
        """What of it sections in one direction are looked at with.

        Raises:
            StarConvexError: a value has no meaning.
        """
        return FusionOptions(
            diameter_px=self.diameter_px,
            detail=self.detail,
            sections="xy",
            probability=self.probability,
            overlap=self.overlap,
        )
