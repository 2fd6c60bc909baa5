"""Fits a micrograph to the network: one input area for all, at nearly each image's own aspect.

Out of scope: cropping the databar (the caller) and scaling grey levels (the network).
"""

import functools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

STRIDE = 32
"""Sides are multiples of it: no backbone then pads or drops a part of a cell of its feature map."""

MAX_ASPECT = 8.0
"""Slivers beyond it are squeezed to it: their short side would fall below a few cells."""


@functools.lru_cache(maxsize=4096)
def input_shape(height: int, width: int, pixels: int) -> tuple[int, int]:
    """Network input for an image: close to `pixels` in area and to the image in aspect.

    A fixed area keeps time and memory an image constant; a fixed longer side would give a square
    image 1.3 times the pixels of a 4:3 one. Steps of 32 leave a choice, in which an aspect error
    weighs twice an area error: the aspect is off by less than 6 % between 1:3 and 3:1 at the
    default area.

    Args:
        height: of the image, pixels.
        width: of the image, pixels.
        pixels: wanted area of the input.

    Returns:
        (height, width) of the input, multiples of 32.
    """
    aspect = min(max(width / height, 1 / MAX_ASPECT), MAX_ASPECT)
    tallest = math.sqrt(pixels / aspect)
    candidates = []
    for rows in range(max(1, int(0.8 * tallest) // STRIDE), int(1.25 * tallest) // STRIDE + 2):
        columns = max(1, int(rows * aspect))
        candidates += [(rows * STRIDE, columns * STRIDE), (rows * STRIDE, (columns + 1) * STRIDE)]

    def misfit(shape: tuple[int, int]) -> float:
        rows, columns = shape
        aspect_error = abs(math.log(columns / rows / aspect))
        return aspect_error + 0.5 * abs(math.log(rows * columns / pixels))

    return min(candidates, key=misfit)


def frame(grey: Grey, pixels: int) -> Grey:
    """Scale a micrograph to its network input by area averaging.

    Args:
        grey: (Y, X) uint8, without databar.
        pixels: wanted area of the input.

    Returns:
        (Y', X') uint8, both sides multiples of 32. Smaller images are enlarged: the same field of
        view gives nearly the same vector at any file resolution.

    Raises:
        ValueError: not a 2D uint8 image, or empty.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or grey.size == 0:
        raise ValueError(
            f"an encoder takes a grey uint8 image (Y, X), not {grey.dtype} of shape {grey.shape}"
        )
    height, width = input_shape(*grey.shape, pixels)
    resized = cv2.resize(np.ascontiguousarray(grey), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)
