"""Annotated shapes, and which pixels of an image each covers.

Coordinates are those of COCO and VIA: x to the right and y downwards, in pixels from the outer
corner of the first pixel. A pixel belongs to a shape if its centre does.

Out of scope: files (`annotations_coco`, `annotations_via`) and several shapes in one image
(`annotations_drawing`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.draw import polygon2mask as _polygon2mask

from graindex.errors import AnnotationError

Mask = npt.NDArray[np.bool_]
Point = tuple[float, float]

OUTSIDE_PX = 2.0
"""How far a shape may reach over the edge of its image: what a hand misses it by."""

_CORNERS, _PLANE = 3, 2

# Without annotations in scikit-image; (Y, X) of a shape, (N, 2) corners (y, x) to (Y, X) booleans.
polygon2mask: Callable[[tuple[int, int], npt.NDArray[np.float64]], Mask] = _polygon2mask


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pixels of one shape.

    Attributes:
        y0: first row of the window that holds them.
        x0: its first column.
        inside: (Y, X) of the window, true where the shape is.
    """

    y0: int
    x0: int
    inside: Mask


@dataclass(frozen=True, slots=True)
class Polygons:
    """One or several outlines, taken together.

    Attributes:
        rings: corners (x, y) of each outline, in order.
    """

    rings: tuple[tuple[Point, ...], ...]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1."""
        x, y = zip(*(corner for ring in self.rings for corner in ring), strict=True)
        return min(x), min(y), max(x), max(y)

    def covers(self, window: "_Window") -> Mask:
        """(Y, X) of a window, true inside any outline."""
        inside = np.zeros(window.shape, np.bool_)
        for ring in self.rings:
            corners = [(y - window.y0 - 0.5, x - window.x0 - 0.5) for x, y in ring]
            points = np.array(corners, np.float64)
            if np.linalg.matrix_rank(points - points[0]) == _PLANE:  # else all lie on one line
                inside |= polygon2mask(window.shape, points)
        return inside


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse or a circle.

    Attributes:
        x: centre.
        y: centre.
        radius_x: half axis along x before it is turned.
        radius_y: half axis along y before it is turned.
        angle_rad: turn from x towards y.
    """

    x: float
    y: float
    radius_x: float
    radius_y: float
    angle_rad: float = 0.0

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1."""
        cosine, sine = math.cos(self.angle_rad), math.sin(self.angle_rad)
        half_x = math.hypot(self.radius_x * cosine, self.radius_y * sine)
        half_y = math.hypot(self.radius_x * sine, self.radius_y * cosine)
        return self.x - half_x, self.y - half_y, self.x + half_x, self.y + half_y

    def covers(self, window: "_Window") -> Mask:
        """(Y, X) of a window, true inside the ellipse."""
        if min(self.radius_x, self.radius_y) <= 0:
            return np.zeros(window.shape, np.bool_)
        rows, columns = np.indices(window.shape, sparse=True)
        x, y = columns + (window.x0 + 0.5 - self.x), rows + (window.y0 + 0.5 - self.y)
        cosine, sine = math.cos(self.angle_rad), math.sin(self.angle_rad)
        along, across = x * cosine + y * sine, y * cosine - x * sine
        inside: Mask = (along / self.radius_x) ** 2 + (across / self.radius_y) ** 2 <= 1
        return inside


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as lengths of runs of background and particle in turn, down each column.

    Attributes:
        counts: pixels of each run; the first is background and may be 0.
        size: (Y, X) of the image that it was drawn on.
    """

    counts: tuple[int, ...]
    size: tuple[int, int]


Outline = Polygons | Ellipse
Shape = Outline | RunLengths


@dataclass(frozen=True, slots=True)
class Region:
    """One annotated particle.

    Attributes:
        name: what messages call it, such as ``annotation 7``.
        shape: where it is.
        class_name: its class; "" where none is stated.
    """

    name: str
    shape: Shape
    class_name: str = ""


@dataclass(frozen=True, slots=True)
class ImageAnnotation:
    """What an annotation file says of one image.

    Attributes:
        name: the image as the file calls it.
        digest: hash of all that the file says of it.
        regions: its particles, in the order of the file.
        size: (Y, X) as the file states it.
        fault: why it cannot be used; "" if it can.
    """

    name: str
    digest: str
    regions: tuple[Region, ...] = ()
    size: tuple[int, int] | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Window:
    """Part of an image: its first row and column, and its (Y, X)."""

    y0: int
    x0: int
    shape: tuple[int, int]


def ring_of(numbers: Sequence[float], name: str) -> tuple[Point, ...]:
    """Corners of an outline from its x, y, x, y and so on.

    Raises:
        AnnotationError: they are no pairs, or fewer than three.
    """
    if len(numbers) % 2 or len(numbers) < 2 * _CORNERS:
        message = f"{name} has an outline of {len(numbers)} numbers: at least three x, y are needed"
        raise AnnotationError(message)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def draw(region: Region, frame_shape: tuple[int, int]) -> Drawn:
    """The pixels of a region.

    Args:
        region: what was annotated.
        frame_shape: (Y, X) of the image.

    Raises:
        AnnotationError: it reaches over the edge, is of another image size, or covers no pixel.
    """
    if isinstance(region.shape, RunLengths):
        drawn = _unpacked(region.shape, region.name, frame_shape)
    else:
        drawn = _outlined(region.shape, region.name, frame_shape)
    if not drawn.inside.any():
        message = (
            f"{region.name} has no area, it covers the centre of no pixel: redraw or delete it"
        )
        raise AnnotationError(message)
    return drawn


def _outlined(shape: Outline, name: str, frame_shape: tuple[int, int]) -> Drawn:
    height, width = frame_shape
    x0, y0, x1, y1 = shape.bounds
    if min(x0, y0) < -OUTSIDE_PX or x1 > width + OUTSIDE_PX or y1 > height + OUTSIDE_PX:
        message = (
            f"{name} spans x {x0:.6g} to {x1:.6g} and y {y0:.6g} to {y1:.6g}, outside the image of "
            f"{width} x {height} pixels: it was drawn on an image of another size"
        )
        raise AnnotationError(message)
    top, left = max(math.floor(y0), 0), max(math.floor(x0), 0)
    bottom, right = min(math.ceil(y1), height), min(math.ceil(x1), width)
    window = _Window(top, left, (max(bottom - top, 0), max(right - left, 0)))
    return Drawn(top, left, shape.covers(window))


def _unpacked(runs: RunLengths, name: str, frame_shape: tuple[int, int]) -> Drawn:
    if runs.size != frame_shape:
        (rows, columns), (height, width) = runs.size, frame_shape
        message = f"{name} is a mask of {columns} x {rows} pixels, the image of {width} x {height}"
        raise AnnotationError(message)
    pixels = frame_shape[0] * frame_shape[1]
    if min(runs.counts, default=0) < 0 or sum(runs.counts) != pixels:
        message = f"{name} has runs of {sum(runs.counts)} pixels, the image has {pixels}"
        raise AnnotationError(message)
    values = np.arange(len(runs.counts)) % 2 == 1
    whole = np.repeat(values, runs.counts).reshape(frame_shape[::-1]).T
    across, down = np.flatnonzero(whole.any(axis=0)), np.flatnonzero(whole.any(axis=1))
    if not len(down):
        return Drawn(0, 0, np.zeros((0, 0), np.bool_))
    window = whole[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    return Drawn(int(down[0]), int(across[0]), np.ascontiguousarray(window))
