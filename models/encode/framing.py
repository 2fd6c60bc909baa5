"""Views of a micrograph that a network sees: equalised, in parts, at one input area, mirrored.

Out of scope: cropping the databar (the caller) and scaling grey levels (the network).
"""

import functools
import itertools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from models.encode.config import EncoderConfig

Grey = NDArray[np.uint8]

STRIDE = 32
"""Sides are multiples of it: no backbone then pads or drops a part of a cell of its feature map."""

_CLAHE_CLIP, _CLAHE_TILES = 2.0, (8, 8)

MAX_ASPECT = 8.0
"""Slivers beyond it are squeezed to it: their short side would fall below a few cells."""


@functools.lru_cache(maxsize=4096)
def input_shape(height: int, width: int, pixels: int) -> tuple[int, int]:
    """Network input for an image: close to `pixels` in area and to the image in aspect.

    A fixed area keeps time and memory an image constant; a fixed longer side would give a square
    image 1.3 times the pixels of a 4:3 one. Steps of 32 leave a choice, in which an aspect error
    weighs twice an area error: at the default area the aspect is off by less than 6 % between 1:3
    and 3:1. The area is never more than a quarter above the wanted one.

    Args:
        height: of the image, pixels.
        width: of the image, pixels.
        pixels: wanted area of the input, at least 32 × 32.

    Returns:
        (height, width) of the input, multiples of 32.
    """
    aspect = min(max(width / height, 1 / MAX_ASPECT), MAX_ASPECT)
    cells = pixels / STRIDE**2
    most = max(1, int(1.25 * cells))

    def misfit(shape: tuple[int, int]) -> float:
        rows, columns = shape
        aspect_error = abs(math.log(columns / rows / aspect))
        return aspect_error + 0.5 * abs(math.log(rows * columns / cells))

    candidates = (
        (rows, min(max(columns, 1), most // rows))
        for rows in range(1, most + 1)
        for columns in (int(rows * aspect), int(rows * aspect) + 1)
    )
    rows, columns = min(candidates, key=misfit)
    return rows * STRIDE, columns * STRIDE


def views(grey: Grey, config: EncoderConfig) -> list[Grey]:
    """What the network sees of a micrograph.

    Args:
        grey: (Y, X) uint8, without databar.
        config: says whether it is equalised, in how many parts it is seen, and whether mirrored.

    Returns:
        Views (Y', X') uint8, sides multiples of 32: `crops`² parts row by row, each followed by its
        mirror images if asked for.

    Raises:
        ValueError: not a 2D uint8 image, or with fewer pixels along a side than parts.
    """
    _check(grey)
    if min(grey.shape) < config.crops:
        raise ValueError(f"an image of {grey.shape} pixels has no {config.crops} parts a side")
    whole = clahe(grey) if config.equalise == "clahe" else grey
    framed = (frame(part, config.pixels) for part in parts(whole, config.crops))
    return [view for each in framed for view in (mirrored(each) if config.mirrored else (each,))]


def parts(image: Grey, count: int) -> list[Grey]:
    """`count`² parts of an image (Y, X), row by row, as equal as whole pixels allow."""
    rows, columns = (np.linspace(0, side, count + 1).round().astype(int) for side in image.shape)
    return [
        image[top:bottom, left:right]
        for top, bottom in itertools.pairwise(rows.tolist())
        for left, right in itertools.pairwise(columns.tolist())
    ]


def clahe(image: Grey) -> Grey:
    """An image (Y, X) uint8 whose contrast is evened out in 8 × 8 parts, clip limit 2.

    Zuiderveld, Graphics Gems IV (1994) 474.
    """
    return np.asarray(cv2.createCLAHE(_CLAHE_CLIP, _CLAHE_TILES).apply(image), np.uint8)


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
    _check(grey)
    height, width = input_shape(*grey.shape, pixels)
    resized = cv2.resize(np.ascontiguousarray(grey), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def mirrored(image: Grey) -> tuple[Grey, ...]:
    """An image (Y, X), and the same left to right, upside down, and both."""
    views = (image, image[:, ::-1], image[::-1], image[::-1, ::-1])
    return tuple(np.ascontiguousarray(view) for view in views)


def _check(grey: Grey) -> None:
    if grey.ndim != 2 or grey.dtype != np.uint8 or grey.size == 0:
        raise ValueError(
            f"an encoder takes a grey uint8 image (Y, X), not {grey.dtype} of shape {grey.shape}"
        )
