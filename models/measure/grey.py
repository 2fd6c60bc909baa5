"""Pixels of any stored depth to the 8-bit grey levels that measurements and networks work on.

Out of scope: colour, palettes and non-finite pixels, which the readers resolve and count.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

GREY_MAX = 255


def to_uint8(pixels: npt.NDArray[Any], bits_used: int) -> npt.NDArray[np.uint8]:
    """Map pixels to grey levels 0…255 without changing their order.

    - uint8 is returned as it is (the same array), whatever `bits_used` says.
    - uint16 maps the full scale 0…2**bits_used − 1 to 0…255, rounded half up in integer arithmetic.
      The scale is the detector's, not the image's, so two images of one instrument stay comparable.
    - float32 has no full scale: the smallest finite value maps to 0 and the largest to 255. An
      infinity maps to the end it lies beyond; an image of one finite value maps to 0.

    Args:
        pixels: (Y, X) uint8, uint16 or float32.
        bits_used: bits in use of a uint16 sample, 1…16: 12 for a 12-bit detector.

    Returns:
        (Y, X) uint8.

    Raises:
        ValueError: if the array is not two-dimensional or empty, if a uint16 pixel does not fit
            `bits_used`, or if a float pixel is NaN or none is finite.
        TypeError: if the dtype is another one.
    """
    if pixels.ndim != 2 or pixels.size == 0:
        raise ValueError(f"expected a non-empty (Y, X) image, got shape {pixels.shape}")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return _scale_uint16(pixels, bits_used)
    if pixels.dtype == np.float32:
        return _scale_float32(pixels)
    raise TypeError(f"expected uint8, uint16 or float32 pixels, got {pixels.dtype}")


def _scale_uint16(pixels: npt.NDArray[np.uint16], bits_used: int) -> npt.NDArray[np.uint8]:
    if not 1 <= bits_used <= 16:
        raise ValueError(f"bits_used of a uint16 image must be 1…16, got {bits_used}")
    full_scale = 2**bits_used - 1
    brightest = int(pixels.max())
    if brightest > full_scale:
        raise ValueError(f"pixel value {brightest} does not fit {bits_used} bits (0…{full_scale})")
    levels = np.arange(full_scale + 1, dtype=np.int64)
    rounded = (2 * GREY_MAX * levels + full_scale) // (2 * full_scale)
    return np.take(rounded.astype(np.uint8), pixels)


def _scale_float32(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    if bool(np.isnan(pixels).any()):
        raise ValueError("NaN pixels have no grey level; replace them before the conversion")
    finite = pixels[np.isfinite(pixels)]
    if finite.size == 0:
        raise ValueError("no finite pixel to scale the image by")
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return np.where(pixels > high, GREY_MAX, 0).astype(np.uint8)
    # float64: the span of float32 extremes overflows float32
    scaled = (np.clip(pixels, low, high).astype(np.float64) - low) * (GREY_MAX / (high - low))
    return np.floor(scaled + 0.5).astype(np.uint8)
