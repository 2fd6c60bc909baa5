"""What a Mask R-CNN is: its backbone, its size, the scale it sees particles at.

Out of scope: building it (`network`). Nothing here imports torch.
"""

from dataclasses import dataclass

from models.encode.config import PACKAGED_BACKBONE
from models.segment.star_convex.config import StarConvexError

TRAINING_CODE_VERSION = "5"
"""Raised whenever the same images and options would train another network."""


class MaskRcnnError(StarConvexError):
    """An image, a training set or a file that Mask R-CNN cannot use; one line.

    Patches, scaling and checkpoints are shared with the star-convex network and raise its error,
    so that whoever catches that catches both.
    """


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A Mask R-CNN, completely described.

    Attributes:
        backbone: name of a timm backbone with feature maps at strides 4, 8, 16 and 32.
        pyramid_filters: channels of the feature pyramid.
        box_features: of the two layers before the box of a region.
        mask_filters: of the four convolutions before the mask of a region.
        mask_px: side of the predicted mask, twice a whole number.
        anchors_px: sides of the boxes that proposals start from, one for each level of the pyramid:
            strides 4, 8, 16, 32 and 64.
        proposals: most regions that are looked at in a tile.
        diameter_px: typical diameter of the particles as the network sees them.
    """

    backbone: str = PACKAGED_BACKBONE
    pyramid_filters: int = 64
    box_features: int = 160
    mask_filters: int = 64
    mask_px: int = 28
    anchors_px: tuple[int, ...] = (16, 32, 64, 128, 256)
    proposals: int = 1000
    diameter_px: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        sizes = (self.pyramid_filters, self.box_features, self.mask_filters, self.proposals)
        if min(sizes) < 1:
            raise MaskRcnnError(f"filters, features and proposals are {sizes}: take at least 1")
        if self.mask_px < 2 or self.mask_px % 2:
            raise MaskRcnnError(f"mask_px is {self.mask_px}: take an even number")
        if len(self.anchors_px) != LEVELS or min(self.anchors_px) < 1:
            raise MaskRcnnError(f"anchors_px are {self.anchors_px}: take {LEVELS} of at least 1")
        if not self.diameter_px > 0:
            raise MaskRcnnError(f"diameter_px is {self.diameter_px}: take more than 0")

    @property
    def name(self) -> str:
        """Short and unique for what is fixed by the architecture."""
        sizes = f"p{self.pyramid_filters}-b{self.box_features}-m{self.mask_filters}"
        return f"{self.backbone}-mask-rcnn-{sizes}-{self.mask_px}px"


LEVELS = 5
"""Of the feature pyramid, the last one subsampled from the fourth."""

STRIDE = 32
"""Images have sides that are multiples of this."""

PUBLISHED = NetworkConfig(
    backbone="resnet50",
    pyramid_filters=256,
    box_features=1024,
    mask_filters=256,
    anchors_px=(32, 64, 128, 256, 512),
)
"""ResNet with a feature pyramid, heads as in He et al. (2017): Jiang et al., Nat. Commun. 11, 2310
(2020), supplement, Fig. S4, who do not say how deep their ResNet is."""
