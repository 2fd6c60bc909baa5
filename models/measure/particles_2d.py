"""Size, shape, brightness and surroundings of every particle of a (Y, X) label image.

Out of scope: making the labels (`models.segment`), volumes, statistics over the particles.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from models.measure.arrays import InvalidVolumeError, check_same_shape, parse_label_image
from models.measure.crofton import length_weights
from models.measure.hulls import feret_diameters, hull_areas
from models.measure.pixel_sums import PixelSums, grey_moments, pixel_sums

Columns = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]

CODE_VERSION = "1"

NEIGHBOURS = 6
ROUND_WITHIN = 0.02
"""Axes nearer to each other than this share have no orientation."""

_ROUNDING_DEG = 1e-9
_PIXEL_MOMENT = 1 / 12  # variance of a uniform unit interval: a pixel is a square, not a point


def measure_particles_2d(
    labels: npt.ArrayLike,
    *,
    pixel_size_um: float | None = None,
    image: npt.NDArray[Any] | None = None,
    confidence: npt.NDArray[Any] | Mapping[int, float] | None = None,
) -> Columns:
    """Measure every particle; labels need be neither consecutive nor connected.

    Pixels are unit squares with their centres at whole coordinates, row 0 on top. Definitions:

    - `perimeter`: Cauchy–Crofton over four directions (`crofton.length_weights`): discs within
      1–2 %; straight edges are off by −6 … +2 % with their direction, 0 on average. The edge of
      the image counts as outline, so outlines are closed.
    - `feret_max`, `feret_min`: largest and smallest distance of parallel tangents, see
      `hulls.feret_diameters`; an upright bar n pixels wide has a minimum of n.
    - `axis_major`, `axis_minor`: of the ellipse with the same second moments.
    - `orientation_deg`: of the major axis against the rows, counter-clockwise as displayed,
      0 ≤ angle < 180; NaN if the axes are within 2 % of each other.
    - `aspect_ratio`: major / minor axis, ≥ 1.
    - `circularity`: 4πA/P², 1 for a disc; not clipped, the estimator's noise may exceed 1.
    - `solidity`: area / area of the hull of the pixel corners, ≤ 1, and 1 for an upright rectangle.
      scikit-image takes the hull of the middles of the pixels' edges and counts its pixels: larger
      than ours by about 0.5 / radius for smooth outlines.
    - `brightness_mean`, `brightness_std`: over finite grey values, population standard deviation.
    - `distance_nearest`: mean distance of the centroid to the six nearest ones, or to as many as
      there are, which `neighbours` tells.

    Args:
        labels: (Y, X) integers, 0 is background.
        pixel_size_um: side of a square pixel; None leaves every column in µm NaN.
        image: (Y, X) grey levels for the brightness.
        confidence: (Y, X) confidence of every pixel, averaged over the particle, or the confidence
            of each label; labels left out get NaN.

    Returns:
        One column per attribute, one entry per label, labels ascending. Counts are int64,
        `touches_border` bool, the rest float64; unknown values are NaN.

    Raises:
        InvalidVolumeError: if the labels are not a (Y, X) image of integers from 0, an image has
            another shape, or the pixel size is not finite and above zero.
    """
    parsed = parse_label_image(labels)
    if pixel_size_um is not None and not (math.isfinite(pixel_size_um) and pixel_size_um > 0):
        raise InvalidVolumeError(
            f"pixel size {pixel_size_um} µm: give a finite value above zero, or None if unknown"
        )
    sums = pixel_sums(parsed)
    scale = math.nan if pixel_size_um is None else float(pixel_size_um)
    columns = _shape_columns(sums)
    columns |= _brightness(sums, image)
    columns |= _surroundings(columns["x_px"], columns["y_px"])
    columns["touches_border"] = sums.touches_border
    columns["segmentation_confidence"] = _confidence(sums, confidence)
    return with_micrometres(columns, scale)


def nearest_neighbours(
    points: Floats, neighbours: int = NEIGHBOURS
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Mean distance of each of N points to its nearest ones, and how many those are.

    Args:
        points: (N, D) positions.
        neighbours: how many to average over; fewer if there are fewer.

    Returns:
        (N,) distances, NaN for a single point, and (N,) counts.
    """
    count = len(points)
    found = max(min(neighbours, count - 1), 0)
    if found == 0:
        return np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    # the nearest of found + 1 is the point itself, or a twin at the same place: 0 either way
    distances, _ = cKDTree(points).query(points, k=found + 1)
    return distances[:, 1:].mean(axis=1), np.full(count, found, dtype=np.int64)


def with_micrometres(columns: Columns, pixel_size_um: float | Floats) -> Columns:
    """The same columns with one in µm after each length and area in pixels.

    Args:
        columns: by name; those in pixels end in `_px`, the area in `_px2`. Positions have none.
        pixel_size_um: of all particles, or of each; NaN where it is unknown.
    """
    result: Columns = {}
    for name, values in columns.items():
        result[name] = values
        if name == "area_px2":
            result["area_um2"] = values * pixel_size_um**2
        elif name.endswith("_px") and name not in ("x_px", "y_px"):
            result[name.removesuffix("_px") + "_um"] = values * pixel_size_um
    return result


def _shape_columns(sums: PixelSums) -> Columns:
    pixels = sums.pixels.astype(np.float64)
    centre = sums.first / np.maximum(pixels, 1)[:, None]
    perimeter = sums.crossings @ length_weights((1.0, 1.0))
    feret_max, feret_min = feret_diameters(sums.index, sums.lower, sums.upper)
    hull_area = hull_areas(sums.index, sums.lower, sums.upper)
    major, minor, orientation = _axes(sums, centre)
    return {
        "label": sums.labels,
        "pixels": sums.pixels,
        "x_px": centre[:, 1],
        "y_px": centre[:, 0],
        "area_px2": pixels,
        "perimeter_px": perimeter,
        "equivalent_diameter_px": np.sqrt(4 * pixels / np.pi),
        "feret_max_px": feret_max,
        "feret_min_px": feret_min,
        "axis_major_px": major,
        "axis_minor_px": minor,
        "orientation_deg": orientation,
        "aspect_ratio": major / minor,
        "circularity": 4 * np.pi * pixels / perimeter**2,
        "solidity": pixels / hull_area,
    }


def _axes(sums: PixelSums, centre: Floats) -> tuple[Floats, Floats, Floats]:
    """Full axes of the ellipse of equal second moments in pixels, and its orientation in degrees.

    A homogeneous ellipse has variance (axis / 4)² along each axis.
    """
    shift = centre - sums.origin
    mean = sums.second / sums.pixels[:, None]
    yy = mean[:, 0] - shift[:, 0] ** 2 + _PIXEL_MOMENT
    yx = mean[:, 1] - shift[:, 0] * shift[:, 1]
    xx = mean[:, 2] - shift[:, 1] ** 2 + _PIXEL_MOMENT
    middle, radius = (xx + yy) / 2, np.hypot((xx - yy) / 2, yx)
    major, minor = 4 * np.sqrt(middle + radius), 4 * np.sqrt(middle - radius)
    angle = np.degrees(0.5 * np.arctan2(-2 * yx, xx - yy)) % 180
    angle[angle > 180 - _ROUNDING_DEG] = 0  # of a level axis, whichever side rounding puts it
    return major, minor, np.where(major <= (1 + ROUND_WITHIN) * minor, np.nan, angle)


def _brightness(sums: PixelSums, image: npt.NDArray[Any] | None) -> Columns:
    if image is None:
        unknown = np.full(len(sums.labels), np.nan)
        return {"brightness_mean": unknown, "brightness_std": unknown.copy()}
    check_same_shape(sums.index.shape, image.shape, "image")
    _, mean, std = grey_moments(sums.index, len(sums.labels), image)
    return {"brightness_mean": mean, "brightness_std": std}


def _surroundings(x: Floats, y: Floats) -> Columns:
    distance, neighbours = nearest_neighbours(np.stack([y, x], axis=1))
    return {"distance_nearest_px": distance, "neighbours": neighbours}


def _confidence(
    sums: PixelSums, confidence: npt.NDArray[Any] | Mapping[int, float] | None
) -> Floats:
    if confidence is None:
        return np.full(len(sums.labels), np.nan)
    if isinstance(confidence, Mapping):
        scores = [confidence.get(label, math.nan) for label in sums.labels.tolist()]
        return np.array(scores, dtype=np.float64)
    check_same_shape(sums.index.shape, confidence.shape, "confidence")
    return grey_moments(sums.index, len(sums.labels), confidence)[1]
