"""Whether two images show the same place: matched points, one similarity, grey values that agree.

Out of scope: which pairs are worth looking at (`models.measure.similar_vectors`).
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

OVERLAP_CODE_VERSION = "1"

Kind = Literal["exact", "near", "overlapping"]
Floats = npt.NDArray[np.float32]

POINTS = 1000
POINT_SIDE_PX = 576
"""Most points of an image, and its longer side when they are found. On real pairs of one place up
to five times apart in magnification, this found 14 points or more; 640 px and 800 points 6."""

GREY_SIDE_PX = 320
MIN_POINTS = 7
"""Matched points on one similarity. Of 10,000 pairs of different places on steel, ceramics and
electrodes none had more than 4."""

MIN_CORRELATION = 0.6
"""Of the grey values where both images show the place: 0.84 or more on real pairs of one place,
at most 0.4 on others."""

MAX_ZOOM = 8.0
NEAR_UNION = 0.95
"""Share of the two fields together that both show, from which on they are one field."""

_RATIO = 0.8  # Lowe, Int. J. Comput. Vision 60, 91 (2004)
_TOLERANCE_PX = 3.0
_MIN_COMMON_PX = 400
_SMOOTHING_PX = 1.0
_ROOT_SCALE = 512.0  # descriptors as bytes, as OpenCV scales SIFT's


@dataclass(frozen=True, eq=False)
class Sketch:
    """What is kept of an image for comparisons: a fifth of a megabyte at most.

    Attributes:
        digest: SHA-256 of its shape and pixels.
        shape: (Y, X) of the image.
        grey: (Y', X') uint8, the image with its longer side at most 320 px.
        points: (N, 2) float32, x and y of SIFT points in pixels of the image.
        descriptors: (N, 128) uint8, square roots of SIFT descriptors (Arandjelović and Zisserman,
            CVPR 2012).
    """

    digest: str
    shape: tuple[int, int]
    grey: npt.NDArray[np.uint8]
    points: Floats
    descriptors: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Overlap:
    """That two images show the same place.

    Attributes:
        kind: exact: the same pixels; near: the same field, perhaps re-encoded, brightened or
            resized; overlapping: a part of the field.
        fraction: share of the smaller field that the other image shows too.
        points: matched points that one similarity explains; 0 where pixels are the same.
        correlation: of the grey values where both show the place.
    """

    kind: Kind
    fraction: float
    points: int
    correlation: float


def sketch(grey: npt.NDArray[np.uint8]) -> Sketch:
    """Prepare an image for comparisons.

    Args:
        grey: (Y, X) uint8, databar cropped.
    """
    digest = hashlib.sha256(repr(grey.shape).encode())
    digest.update(np.ascontiguousarray(grey).data)
    middle = _shrunk(grey, POINT_SIDE_PX)
    points, descriptors = cv2.SIFT.create(nfeatures=POINTS).detectAndCompute(middle, None)
    found = np.zeros((0, 128), np.float32) if not points else np.asarray(descriptors, np.float32)
    share = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
    places = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
    return Sketch(
        digest.hexdigest(),
        (int(grey.shape[0]), int(grey.shape[1])),
        _shrunk(middle, GREY_SIDE_PX),
        places / np.float32(middle.shape[1] / grey.shape[1]),
        np.minimum(np.rint(_ROOT_SCALE * np.sqrt(share)), 255).astype(np.uint8),
    )


def compare(one: Sketch, other: Sketch) -> Overlap | None:
    """How much of the same place two images show; None where nothing says that they do.

    The order of the two does not matter. Mirrored images are not recognised.
    """
    if one.digest == other.digest:
        return Overlap("exact", 1.0, 0, 1.0)
    first, second = sorted((one, other), key=lambda image: image.digest)
    here, there = _matched(first, second)
    if len(here) < MIN_POINTS:
        return None
    # The tolerance is that of the scale at which the points were found.
    tolerance = _TOLERANCE_PX * max(1.0, max(first.shape) / POINT_SIDE_PX)
    moved, kept = cv2.estimateAffinePartial2D(
        there, here, method=cv2.RANSAC, ransacReprojThreshold=tolerance, confidence=0.999
    )
    count = 0 if kept is None else int(kept.sum())
    if count < MIN_POINTS:
        return None
    similarity = np.asarray(moved, np.float64)
    zoom = float(np.hypot(similarity[0, 0], similarity[1, 0]))
    if not 1 / MAX_ZOOM <= zoom <= MAX_ZOOM:
        return None
    correlation = _correlation(first, second, similarity, zoom)
    if correlation < MIN_CORRELATION:
        return None
    fraction, union = _shared(first.shape, second.shape, similarity)
    return Overlap("near" if union >= NEAR_UNION else "overlapping", fraction, count, correlation)


def _shrunk(grey: npt.NDArray[np.uint8], side_px: int) -> npt.NDArray[np.uint8]:
    longer = max(grey.shape)
    if longer <= side_px:
        return np.ascontiguousarray(grey)
    height, width = (max(1, round(side * side_px / longer)) for side in grey.shape)
    shrunk = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8)


def _matched(first: Sketch, second: Sketch) -> tuple[Floats, Floats]:
    """Points that are each other's nearest, and clearly nearer than the second nearest."""
    if min(len(first.points), len(second.points)) < MIN_POINTS:
        return first.points[:0], second.points[:0]
    likeness = first.descriptors.astype(np.float32) @ second.descriptors.astype(np.float32).T
    rows = np.arange(len(likeness))
    best = likeness.argmax(axis=1)
    mutual = likeness.argmax(axis=0)[best] == rows
    nearest = likeness[rows, best].copy()
    likeness[rows, best] = -1
    following = likeness.max(axis=1)
    square = 2 * _ROOT_SCALE**2  # squared length of both, for each has the length _ROOT_SCALE
    clear = square - 2 * nearest < _RATIO**2 * np.maximum(square - 2 * following, 0)
    chosen = mutual & clear
    return first.points[chosen], second.points[best[chosen]]


def _correlation(
    first: Sketch, second: Sketch, similarity: npt.NDArray[np.float64], zoom: float
) -> float:
    """Correlation of the smoothed grey values, the finer image laid over the coarser one."""
    coarse, fine, onto = first, second, similarity
    if zoom * first.grey.shape[1] / first.shape[1] > second.grey.shape[1] / second.shape[1]:
        coarse, fine = second, first
        onto = np.asarray(cv2.invertAffineTransform(similarity), np.float64)
    to_coarse = coarse.grey.shape[1] / coarse.shape[1]
    to_fine = fine.grey.shape[1] / fine.shape[1]
    onto = onto * to_coarse
    onto[:, :2] /= to_fine
    shrinks = float(np.hypot(onto[0, 0], onto[1, 0]))
    size = coarse.grey.shape[::-1]
    smooth = cv2.GaussianBlur(fine.grey.astype(np.float32), (0, 0), _SMOOTHING_PX / shrinks)
    laid = cv2.warpAffine(smooth, onto, size)
    covered = cv2.warpAffine(np.ones(fine.grey.shape, np.float32), onto, size) > 0.999
    if int(covered.sum()) < _MIN_COMMON_PX:
        return 0.0
    under = cv2.GaussianBlur(coarse.grey.astype(np.float32), (0, 0), _SMOOTHING_PX)
    one, other = laid[covered], under[covered]
    one, other = one - one.mean(), other - other.mean()
    lengths = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / lengths) if lengths > 0 else 0.0


def _shared(
    first: tuple[int, int], second: tuple[int, int], similarity: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Area that both show, over the smaller field and over both fields together."""
    field = _corners(first)
    moved = cv2.transform(_corners(second)[None], similarity)[0].astype(np.float32)
    common, _ = cv2.intersectConvexConvex(field, moved)
    areas = float(cv2.contourArea(field)), float(cv2.contourArea(moved))
    return min(1.0, common / min(areas)), min(1.0, common / (sum(areas) - common))


def _corners(shape: tuple[int, int]) -> Floats:
    height, width = shape
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
