"""Views of a micrograph that a network is shown: flipped and cut at random, or the middle.

As published: flips along both axes with probability ½ each, then a random crop in training; the
middle in tests (Murakami et al. 2025). A side that is shorter than the crop is first continued by
its mirror image, evenly on both ends, so that nothing is drawn from it.
Out of scope: grey levels (`levels`).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[Any]


def random_view(image: Image, crop_px: int, rng: np.random.Generator) -> Image:
    """A flipped and cut view of an image.

    Args:
        image: (Y, X), at least one pixel.
        crop_px: side of the view.
        rng: flips along Y and X and then the first row and column are drawn from it.

    Returns:
        (crop_px, crop_px), of the image's dtype.
    """
    upside_down, mirrored = rng.random(2) < 0.5
    flipped = image[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
    whole = reflected(flipped, crop_px)
    top, left = (int(rng.integers(side - crop_px + 1)) for side in whole.shape)
    return whole[top : top + crop_px, left : left + crop_px]


def centre_view(image: Image, crop_px: int) -> Image:
    """The middle (crop_px, crop_px) of an image (Y, X), half a pixel up and left of it if odd."""
    whole = reflected(image, crop_px)
    top, left = ((side - crop_px) // 2 for side in whole.shape)
    return whole[top : top + crop_px, left : left + crop_px]


def reflected(image: Image, least_px: int) -> Image:
    """An image (Y, X) whose sides have a least length, continued by its mirror image."""
    missing = [max(0, least_px - side) for side in image.shape]
    if not any(missing):
        return image
    return np.pad(image, [(lack // 2, lack - lack // 2) for lack in missing], mode="reflect")
