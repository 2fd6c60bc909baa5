"""How a star-convex network finds particles.

Out of scope: finding them (`prediction`, `tiles`). Nothing here imports torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from models.segment.star_convex.config import StarConvexError

CODE_VERSION = "1"
"""Raised whenever the same network and options would find other particles."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """How an image is cut.

    Attributes:
        core_px: side of what a tile contributes.
        overlap_px: what it sees beyond on each side. The network hardly reaches farther than 128
            pixels, so that labels do not depend on the tiles but for a few pixels.
    """

    core_px: int = 768
    overlap_px: int = 128

    def __post_init__(self) -> None:
        """Refuse what cuts nothing."""
        if self.core_px < 1 or self.overlap_px < 0:
            raise StarConvexError(
                f"tiles of {self.core_px} px with {self.overlap_px} px of overlap: take at least "
                "1 and 0"
            )


@dataclass(frozen=True, slots=True)
class PredictionOptions:
    """How particles are found.

    Attributes:
        diameter_px: typical diameter in the image; None: it is estimated.
        probability: of the least probable particle, 0…1.
        overlap: area of the intersection over the smaller area that two particles may share.
        passes: how often an estimated diameter is corrected, at most.
        refine: whether outlines are corrected by grey levels.
        tiling: of large images.
    """

    diameter_px: float | None = None
    probability: float = 0.5
    overlap: float = 0.4
    passes: int = 3
    refine: bool = False
    tiling: Tiling = field(default_factory=Tiling)

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.diameter_px is not None and not self.diameter_px > 0:
            raise StarConvexError(f"diameter_px is {self.diameter_px}: take more than 0")
        if not (0 < self.probability < 1 and 0 <= self.overlap <= 1):
            raise StarConvexError(
                f"probability {self.probability} and overlap {self.overlap}: take shares, 0…1"
            )
        if self.passes < 0:
            raise StarConvexError(f"passes is {self.passes}: take 0 or more")


def corners(shape_px: tuple[int, ...], core: int) -> Iterator[tuple[int, int]]:
    """(Y, X) where the cores of tiles begin, which cover an image of a shape (Y, X)."""
    for top in range(0, shape_px[0], core):
        for left in range(0, shape_px[1], core):
            yield top, left
