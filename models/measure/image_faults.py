"""Figures that faults of a micrograph show in: blur, want of structure, streaks along scan lines.

Out of scope: brightness, noise and saturation (`models.measure.image_quality`), and what figure is
too much, which depends on what else was taken (`graindex.image_checks`).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.fft import rfft2
from scipy.ndimage import median_filter

FAULTS_CODE_VERSION = "1"

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

TILE_PX = 256
TILES_PER_SIDE = 4
FINE_PER_PX = (10 / 64, 18 / 64)
COARSE_PER_PX = (4 / 64, 8 / 64)
"""Bands in cycles per pixel. Finer ones hold noise rather than the specimen in scanned images."""

STRUCTURE_PX = (2.0, 8.0)
STREAK_SHARE = 1 / 8
"""Shortest streak, as a share of the image's width."""

STREAK_ROWS_PX = 31
STREAK_GREY = 8.0
STREAK_SPREADS = 6.0


@dataclass(frozen=True, slots=True)
class ImageFaults:
    """The names are columns of the asset `image_faults`.

    Attributes:
        fine_detail_ratio: power of fine over that of coarse detail; blur lowers it.
        structure_std: standard deviation of grey values between 2 and 8 pixels, grey levels.
        streak_fraction_rows: share of the image in streaks along rows, 0…1.
        streak_fraction_columns: the same along columns, where scanning makes none.
    """

    fine_detail_ratio: float
    structure_std: float
    streak_fraction_rows: float
    streak_fraction_columns: float


def image_faults(grey: Grey) -> ImageFaults:
    """Measure what blur, want of structure and charging show in.

    Args:
        grey: (Y, X) uint8, databar cropped.

    Raises:
        TypeError: the dtype is not uint8.
        ValueError: not two-dimensional, or a side is below 3 pixels.
    """
    if grey.dtype != np.uint8:
        raise TypeError(f"expected uint8 grey levels, got {grey.dtype}")
    if grey.ndim != 2 or min(grey.shape) < 3:
        raise ValueError(f"expected a (Y, X) image of at least 3 × 3, got shape {grey.shape}")
    return ImageFaults(
        fine_detail_ratio=fine_detail_ratio(grey),
        structure_std=structure_std(grey),
        streak_fraction_rows=streak_fraction(grey),
        streak_fraction_columns=streak_fraction(np.ascontiguousarray(grey.T)),
    )


def fine_detail_ratio(grey: Grey) -> float:
    """Mean spectral power at 0.16–0.28 over that at 0.06–0.13 cycles per pixel; 0 if flat.

    Gain and brightness do not change it; a Gaussian blur of σ pixels lowers it, by a factor of
    about 10 at σ = 1.5. The spectrum is the mean over up to 16 Hann-windowed tiles (Welch 1967).
    """
    height, width = (min(TILE_PX, side) for side in grey.shape)
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    tiles = np.stack(
        [
            grey[top : top + height, left : left + width].astype(np.float32)
            for top in _starts(grey.shape[0], height)
            for left in _starts(grey.shape[1], width)
        ]
    )
    tiles -= tiles.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(rfft2(tiles * window.astype(np.float32))) ** 2).mean(axis=0, dtype=np.float64)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(rows, columns)
    fine, coarse = (
        _mean(power[(frequency >= low) & (frequency < high)])
        for low, high in (FINE_PER_PX, COARSE_PER_PX)
    )
    return fine / coarse if coarse > 0 else 0.0


def structure_std(grey: Grey) -> float:
    """Standard deviation of the difference of Gaussians of 2 and 8 pixels, in grey levels.

    White noise of standard deviation s adds 0.14 s, so that an empty image stays near 0.
    """
    image = grey.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(image, (0, 0), sigma) for sigma in STRUCTURE_PX)
    return float((fine - coarse).std())


def streak_fraction(grey: Grey) -> float:
    """Share of the image in streaks along rows that stand out from the rows above and below.

    Grey values are averaged along an eighth of the width; what then differs from the median of 31
    rows by more than 8 grey levels and 6 robust standard deviations is a streak. Charging leaves
    them where the beam meets a spot that holds charge and until it recovers.
    """
    height, width = grey.shape
    along = max(3, round(width * STREAK_SHARE))
    step = max(1, along // 4)
    averaged = cv2.blur(grey.astype(np.float32), (along, 1))[:, along // 2 :: step]
    rows = min(STREAK_ROWS_PX, height // 2 * 2 - 1)
    differs: Floats = averaged - median_filter(averaged, size=(rows, 1), mode="reflect")
    spread = 1.4826 * float(np.median(np.abs(differs - np.median(differs))))
    return float((np.abs(differs) > max(STREAK_GREY, STREAK_SPREADS * spread)).mean())


def _mean(values: npt.NDArray[np.float64]) -> float:
    """The mean; 0 of nothing, as in an image of a few pixels."""
    return float(values.mean()) if values.size else 0.0


def _starts(side: int, tile: int) -> list[int]:
    """Where tiles of a side begin, evenly spread."""
    count = min(TILES_PER_SIDE, -(-side // tile))
    return sorted({round(start) for start in np.linspace(0, side - tile, count)})
