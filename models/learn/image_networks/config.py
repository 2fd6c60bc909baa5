"""What a network on micrographs is: one of the four of a paper, its size, what it predicts.

After Murakami et al., Digital Discovery 2025, doi 10.1039/d5dd00232j, Tables 1 and 2.
Out of scope: building it (`networks`), training it (`options`). Nothing here imports torch.
"""

from dataclasses import dataclass
from typing import Literal

from models.encode.config import PACKAGED_BACKBONE

Architecture = Literal["baseline", "attention", "descriptors", "efficientnet-b3"]
ARCHITECTURES: tuple[Architecture, ...] = (
    "baseline",
    "attention",
    "descriptors",
    "efficientnet-b3",
)

TABLE_2 = (16, 32, 64)
"""Filters of the three blocks of the published baseline."""

LEAST_CROP_PX = 32
"""Side below which a backbone of stride 32 has no feature map left."""

TRAINING_CODE_VERSION = "1"
"""Raised whenever the same images and options would train another network."""


class ImageNetworkError(ValueError):
    """A configuration, an image or tensors that networks on images cannot use; one line."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A network from a grey image to a number or to classes, completely described.

    Attributes:
        architecture: "baseline" is Table 2: three blocks of two 3 × 3 convolutions, pooled by two
            between them, then the mean over positions and one fully connected layer. "attention"
            multiplies the features after each block by a mask of their own, "descriptors" appends
            numbers to the pooled features, "efficientnet-b3" is a pretrained backbone.
        descriptors: numbers that come with each image: at least 1 for "descriptors", else 0.
        filters: of the three blocks; the backbone has its own.
        backbone: timm name of the pretrained backbone of "efficientnet-b3"; the published one
            needs a local file of weights, `tf_efficientnet_lite0` comes with some and suits
            processors.
        classes: that are told apart; 0 where a number is predicted.
    """

    architecture: Architecture = "baseline"
    descriptors: int = 0
    filters: tuple[int, int, int] = TABLE_2
    backbone: str = "tf_efficientnet_b3"
    classes: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.architecture not in ARCHITECTURES:
            raise ImageNetworkError(
                f"architecture is {self.architecture!r}: choose one of {', '.join(ARCHITECTURES)}"
            )
        if (self.architecture == "descriptors") != (self.descriptors > 0) or self.descriptors < 0:
            raise ImageNetworkError(
                f"{self.descriptors} descriptors with architecture {self.architecture!r}: "
                "'descriptors' takes at least 1, the others take none"
            )
        if len(self.filters) != len(TABLE_2) or min(self.filters) < 1:
            raise ImageNetworkError(f"filters are {self.filters}: take three of at least 1")
        if self.classes < 0 or self.classes == 1:
            raise ImageNetworkError(f"{self.classes} classes: take 2 or more, or 0 for a number")
        if not self.backbone:
            raise ImageNetworkError(f"backbone is empty: take {PACKAGED_BACKBONE!r}, say")

    @property
    def transferred(self) -> bool:
        """Whether it starts from a pretrained backbone."""
        return self.architecture == "efficientnet-b3"
