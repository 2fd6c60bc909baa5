"""Grey levels of a micrograph made comparable before a network sees them.

Brightness and contrast of a micrograph come from the operator and the detector as much as from
the material, so that by default each image is brought to mean 0 and standard deviation 1. That
ties the level of every pixel to the rest of its image, so that a network may find in the background
what the particles decide: with planted blobs whose area was the target, maps of which regions count
(`models.explain`) were upside down in 2 of 10 networks, and in none of 10 with "none" (2026-11).
Out of scope: which part of the image is seen (`augment`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from models.encode.framing import clahe
from models.learn.image_networks.config import ImageNetworkError

Equalise = Literal["none", "standard", "clahe"]


def parse_equalise(name: str) -> Equalise:
    """The name of a way to equalise.

    Raises:
        ImageNetworkError: there is none of this name.
    """
    if name not in get_args(Equalise):
        raise ImageNetworkError(
            f"equalise is {name!r}: choose one of {', '.join(get_args(Equalise))}"
        )
    return cast(Equalise, name)


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Pixels with the mean and the standard deviation of their grey levels.

    Attributes:
        pixels: (Y, X).
        mean: over the whole image.
        deviation: likewise.
    """

    pixels: npt.NDArray[Any]
    mean: float
    deviation: float

    def affine(self, equalise: Equalise, common: tuple[float, float]) -> tuple[float, float]:
        """What to subtract from the pixels and then to divide them by.

        Args:
            equalise: "none" brings all images to a common mean and deviation, so that a brighter
                image stays brighter; the others bring each to its own.
            common: mean and deviation of the training images (`common_levels`).
        """
        mean, deviation = common if equalise == "none" else (self.mean, self.deviation)
        return mean, deviation or 1.0


def levels_of(grey: npt.NDArray[Any], equalise: Equalise) -> Levels:
    """Pixels of an image, equalised in parts if asked for.

    Args:
        grey: (Y, X) of any real dtype, finite, not empty.
        equalise: "clahe" evens out the contrast of parts of the image (`models.encode.framing`),
            on 256 levels from the darkest to the brightest pixel; the others leave the pixels as
            they are.
    """
    pixels = grey.astype(np.uint8) if grey.dtype == np.bool_ else grey
    if equalise == "clahe":
        pixels = clahe(_eight_bits(pixels))
    return Levels(pixels, float(pixels.mean(dtype=float)), float(pixels.std(dtype=float)))


def common_levels(images: Sequence[Levels]) -> tuple[float, float]:
    """Mean and standard deviation of the pixels of images that count alike, whatever their size."""
    means = np.array([image.mean for image in images])
    variances = np.array([image.deviation for image in images]) ** 2
    return float(means.mean()), float(np.sqrt(variances.mean() + means.var()))


def _eight_bits(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    low, high = float(pixels.min()), float(pixels.max())
    share = (pixels.astype(float) - low) / ((high - low) or 1.0)
    return np.rint(255 * share).astype(np.uint8)
