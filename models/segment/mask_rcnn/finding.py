"""How a Mask R-CNN finds particles.

Out of scope: finding them (`prediction`, `tiles`). Nothing here imports torch.
"""

from dataclasses import dataclass, field

from models.segment.mask_rcnn.config import MaskRcnnError
from models.segment.star_convex.finding import Tiling

CODE_VERSION = "6"
"""Raised whenever the same network and options would find other particles."""


@dataclass(frozen=True, slots=True)
class PredictionOptions:
    """How particles are found.

    Attributes:
        diameter_px: typical diameter in the image; None: it is estimated.
        probability: of the least probable particle, 0…1.
        overlap: share of a particle's pixels that more probable ones may have taken.
        passes: how often an estimated diameter is corrected, at most.
        tiling: of large images.
    """

    diameter_px: float | None = None
    probability: float = 0.5
    overlap: float = 0.4
    passes: int = 3
    tiling: Tiling = field(default_factory=lambda: Tiling(1024, 96))

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.diameter_px is not None and not self.diameter_px > 0:
            raise MaskRcnnError(f"diameter_px is {self.diameter_px}: take more than 0")
        if not (0 < self.probability < 1 and 0 <= self.overlap <= 1):
            raise MaskRcnnError(
                f"probability {self.probability} and overlap {self.overlap}: take shares, 0…1"
            )
        if self.passes < 0:
            raise MaskRcnnError(f"passes is {self.passes}: take 0 or more")
