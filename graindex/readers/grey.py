"""Decoded samples of any kind to one grey (Y, X) array, exactly where that is possible.

Out of scope: files, and scaling to 8 bits for display (`models.measure.grey`).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from graindex.readers.frame import ColourMode, EmptyFrameError, GreyPixels
from models.calibrate.readings import Finding

Samples = npt.NDArray[np.generic]

BIT_STEPS = (8, 10, 12, 14, 16)
"""Detector depths found in practice; a 16-bit file whose maximum is 4095 uses 12."""

LUMA_601 = (0.299, 0.587, 0.114)
"""Weights of red, green and blue: ITU-R BT.601-7, section 2.5.1."""


@dataclass(frozen=True, slots=True)
class Grey:
    """Grey pixels with what was noticed on the way; the fields are those of `Frame`."""

    pixels: GreyPixels
    bits_used: int
    nonfinite_pixels: int
    findings: tuple[Finding, ...]


def finish(samples: Samples, name: str, stated_bits: int | None = None) -> Grey:
    """Bring grey samples to a stored type, repair non-finite pixels and refuse what shows nothing.

    Args:
        samples: (Y, X), any real type.
        name: the file, for messages.
        stated_bits: bits in use as the file states them.

    Raises:
        EmptyFrameError: all pixels are equal, or none is finite.
    """
    pixels = _stored_type(samples)
    count = 0
    findings: tuple[Finding, ...] = ()
    if pixels.dtype.kind == "f":
        finite = np.isfinite(pixels)
        count = int(pixels.size - np.count_nonzero(finite))
        if count == pixels.size:
            raise EmptyFrameError(name, "no pixel has a finite value")
        if count:
            median = np.median(pixels[finite])
            pixels = np.where(finite, pixels, median).astype(np.float32)
            findings = (
                Finding(
                    "nonfinite_pixels",
                    f"{count} of {pixels.size} pixels are NaN or infinite and were set to the "
                    f"median of the others, {median:g}",
                ),
            )
    low, high = pixels.min(), pixels.max()
    if low == high:
        raise EmptyFrameError(name, f"constant image, every pixel is {low:g}")
    return Grey(pixels, _bits_used(pixels, stated_bits), count, findings)


def _stored_type(samples: Samples) -> GreyPixels:
    """Return real samples as uint8, uint16 or, where neither holds every value, float32."""
    if samples.dtype == np.bool_:
        return np.where(samples, 255, 0).astype(np.uint8)
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, order="C")
    if samples.dtype == np.uint16:
        return samples.astype(np.uint16, order="C")
    if samples.dtype.kind in "iu" and int(samples.min()) >= 0:
        if samples.dtype.itemsize == 1:
            return samples.astype(np.uint8)
        if int(samples.max()) <= np.iinfo(np.uint16).max:
            return samples.astype(np.uint16)
    with np.errstate(over="ignore", invalid="ignore"):
        return samples.astype(np.float32)


def _bits_used(pixels: GreyPixels, stated: int | None) -> int:
    if pixels.dtype == np.uint8:
        return 8
    if pixels.dtype == np.float32:
        return 32
    needed = int(pixels.max()).bit_length()
    if stated is not None and needed <= stated <= 16:
        return stated
    return next(bits for bits in BIT_STEPS if needed <= bits)


def spread_to_8_bits(samples: Samples, bits: int) -> npt.NDArray[np.uint8]:
    """Scale samples of 1…7 bits to 0…255 so that the largest value is white."""
    levels = np.rint(np.linspace(0, 255, 1 << bits)).astype(np.uint8)
    return levels[samples.astype(np.uint8, copy=False)]


def inverted(samples: Samples, bits: int) -> Samples:
    """Invert an image whose zero is white: against 2**bits - 1, or its own range if not unsigned.

    TIFF 6.0, PhotometricInterpretation 0.
    """
    if samples.dtype == np.bool_:
        return np.logical_not(samples)
    if samples.dtype.kind == "u":
        return np.asarray(np.subtract(samples.dtype.type((1 << bits) - 1), samples))
    values = samples.astype(np.float64)
    finite = values[np.isfinite(values)]
    return values if finite.size == 0 else finite.min() + finite.max() - values


def from_rgb(rgb: Samples, alpha: Samples | None = None) -> tuple[Samples, ColourMode]:
    """Return the grey of colour samples and how they were stored.

    Equal channels give that channel exactly, others BT.601 luma, rounded for integers. An alpha
    channel that varies composites the image over black; a constant one carries nothing.

    Args:
        rgb: (Y, X, 3).
        alpha: (Y, X) in the same type.
    """
    same = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all())
    if same:
        grey = rgb[..., 0]
    elif rgb.dtype in (np.uint8, np.uint16):
        grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    else:
        grey = _as_type(rgb.astype(np.float64) @ np.asarray(LUMA_601), rgb.dtype)
    if alpha is None:
        return grey, "rgb_grey" if same else "rgb"
    return over_black(grey, alpha), "rgba"


def over_black(grey: Samples, alpha: Samples) -> Samples:
    """Composite grey over black by an alpha channel that varies; leave it be otherwise."""
    if alpha.dtype.kind not in "ui" or bool((alpha == alpha.flat[0]).all()):
        return grey
    share = alpha.astype(np.float64) / np.iinfo(alpha.dtype).max  # type: ignore[type-var]
    return _as_type(grey.astype(np.float64) * share, grey.dtype)


def from_cmyk(cmyk: Samples) -> Samples:
    """Return the grey of (Y, X, 4) unsigned ink samples, 0 = no ink: (1 - ink)(1 - black), luma."""
    top = float(np.iinfo(cmyk.dtype).max)  # type: ignore[type-var]
    ink = cmyk.astype(np.float64) / top
    rgb = (1 - ink[..., :3]) * (1 - ink[..., 3:])
    return _as_type((rgb @ np.asarray(LUMA_601)) * top, cmyk.dtype)


def from_palette(index: Samples, palette: Samples) -> Samples:
    """Return the grey of palette indices.

    Args:
        index: (Y, X) unsigned.
        palette: (N, 3) uint8 colours.

    Raises:
        IndexError: an index lies past the end of the palette.
    """
    grey, _ = from_rgb(palette[np.newaxis])
    return np.asarray(grey[0][index])


def _as_type(values: npt.NDArray[np.float64], dtype: np.dtype[np.generic]) -> Samples:
    return (np.rint(values) if dtype.kind in "ui" else values).astype(dtype)
