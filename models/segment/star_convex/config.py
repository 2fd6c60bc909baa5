"""What a star-convex network is: its kind, its size, the scale it sees particles at.

Out of scope: building it (`network`). Nothing here imports torch.
"""

from dataclasses import dataclass
from typing import Literal

from models.encode.config import PACKAGED_BACKBONE

Kind = Literal["unet", "encoder"]

TRAINING_CODE_VERSION = "4"
"""Raised whenever the same images and options would train another network."""


class StarConvexError(ValueError):
    """An image, a training set or a file that the star-convex network cannot use; one line."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A star-convex network, completely described.

    Attributes:
        kind: "unet" is the published network (Li et al., Science 376, 517 (2022), after Schmidt et
            al., MICCAI 2018), "encoder" a U-Net on a pretrained backbone.
        rays: directions in which the distance to the outline is predicted.
        grid: pixels per prediction in Y and X; "encoder" allows 2 alone.
        depth: poolings of "unet".
        base_filters: of the first level of "unet"; each pooling doubles them.
        backbone: name of the timm backbone of "encoder".
        decoder_filters: of "encoder", from the level above the deepest up to the grid: one level
            for each stage of the backbone but the last. Fewer use fewer stages.
        head_filters: of the convolution before the predictions.
        diameter_px: typical diameter of the particles as the network sees them.
    """

    kind: Kind = "encoder"
    rays: int = 32
    grid: int = 2
    depth: int = 3
    base_filters: int = 32
    backbone: str = PACKAGED_BACKBONE
    decoder_filters: tuple[int, ...] = (128, 64, 48, 32)
    head_filters: int = 64
    diameter_px: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.kind not in ("unet", "encoder"):
            raise StarConvexError(f"kind is {self.kind!r}: choose unet or encoder")
        if self.rays < 3:
            raise StarConvexError(f"rays is {self.rays}: a polygon has at least 3")
        if self.grid not in ((2,) if self.kind == "encoder" else (1, 2, 4)):
            raise StarConvexError(f"grid is {self.grid}: take 2 (1 or 4 only with kind unet)")
        sizes = (self.depth, self.base_filters, self.head_filters, *self.decoder_filters)
        if min(sizes) < 1 or not self.decoder_filters:
            raise StarConvexError(f"depth and filters must be at least 1, got {sizes}")
        if not self.diameter_px > 0:
            raise StarConvexError(f"diameter_px is {self.diameter_px}: take more than 0")

    @property
    def name(self) -> str:
        """Short and unique for what is fixed by the architecture."""
        if self.kind == "unet":
            return f"unet-d{self.depth}-f{self.base_filters}-g{self.grid}-r{self.rays}"
        filters = "-".join(map(str, self.decoder_filters))
        return f"{self.backbone}-unet-{filters}-r{self.rays}"

    @property
    def stride(self) -> int:
        """Images have sides that are multiples of this."""
        if self.kind == "unet":
            return int(self.grid * 2**self.depth)
        return int(2 ** (len(self.decoder_filters) + 1))


PUBLISHED = NetworkConfig(kind="unet", head_filters=128)
"""32 rays, grid 2 × 2, depth 3, 32 base filters: Li et al. 2022, supplement, Fig. S3."""
