"""From predictions to particles: candidates, non-maximum suppression, labels with confidences.

Out of scope: the network's maps of an image (`tiles`), the outline by grey levels (`refinement`).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter
from stardist.geometry import dist_to_coord, polygons_to_label_coord
from stardist.nms import non_maximum_suppression_inds
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

_PEAK = 5  # grid points; two particles whose middles are nearer are not told apart anyway
_LEAST_PX = 1e-3  # of a distance: a polygon does not run through its own centre


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """N star-convex polygons.

    Attributes:
        points: (N, 2) float32 (y, x) of the centres in pixels; 0 is the middle of the first pixel.
        distances: (N, rays) float32 pixels to the outline.
        probability: (N,) float32.
    """

    points: Floats
    distances: Floats
    probability: Floats

    def __len__(self) -> int:
        """Number of polygons."""
        return len(self.probability)

    def take(self, chosen: npt.NDArray[Any]) -> "Shapes":
        """The polygons that a mask or indices choose."""
        return Shapes(self.points[chosen], self.distances[chosen], self.probability[chosen])

    def resized(self, factor: float) -> "Shapes":
        """The polygons in an image that is `factor` times as large."""
        points = (self.points + np.float32(0.5)) * np.float32(factor) - np.float32(0.5)
        return Shapes(points, self.distances * np.float32(factor), self.probability)

    @property
    def area_px2(self) -> npt.NDArray[np.float64]:
        """(N,) areas of the polygons: triangles between neighbouring rays."""
        distances = self.distances.astype(np.float64)
        rays = max(distances.shape[1], 1)
        products = (distances * np.roll(distances, 1, axis=1)).sum(axis=1)
        return np.asarray(0.5 * np.sin(2 * np.pi / rays) * products, dtype=np.float64)

    @property
    def diameter_px(self) -> npt.NDArray[np.float64]:
        """(N,) diameters of discs of the same areas."""
        return np.asarray(np.sqrt(4 / np.pi * self.area_px2), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Particles of an image.

    Attributes:
        labels: (Y, X) int32, 0 = background, particles 1…N.
        confidence: (N,) float32, of particle `label` at `label - 1`: the probability at its centre.
        diameter_px: typical diameter that the image was scaled by; None where nothing was found.
    """

    labels: Labels
    confidence: Floats
    diameter_px: float | None


def no_shapes(rays: int) -> Shapes:
    """Zero polygons, typed."""
    return Shapes(
        np.zeros((0, 2), np.float32), np.zeros((0, rays), np.float32), np.zeros(0, np.float32)
    )


def joined(parts: list[Shapes], rays: int) -> Shapes:
    """Polygons of several parts of an image."""
    parts = [no_shapes(rays), *parts]
    return Shapes(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.distances for part in parts]),
        np.concatenate([part.probability for part in parts]),
    )


def candidates(probability: Floats, distances: Floats, grid: int, least: float) -> Shapes:
    """A polygon at every grid point that is the most probable of the 5 × 5 around it.

    The polygons of neighbours overlap nearly whole, so that suppression would leave one of them;
    leaving them out before, of a thousand particles takes a tenth of the time.

    Args:
        probability: (Y / grid, X / grid).
        distances: (rays, Y / grid, X / grid) pixels.
        grid: pixels per prediction.
        least: probability that a candidate must pass.
    """
    peak = probability >= maximum_filter(probability, size=_PEAK, mode="nearest")
    rows, columns = np.nonzero(peak & (probability > least))
    points = np.stack([rows, columns], axis=1).astype(np.float32) * np.float32(grid)
    rays = np.ascontiguousarray(distances[:, rows, columns].T, dtype=np.float32)
    return Shapes(points, np.maximum(rays, _LEAST_PX), probability[rows, columns])


def suppress(shapes: Shapes, overlap: float) -> Shapes:
    """Keep the polygons that no kept one of higher probability overlaps.

    Args:
        shapes: candidates in any order; equal probabilities go by place.
        overlap: area of the intersection over the smaller of two areas above which the less
            probable one goes.

    Returns:
        The kept ones, the most probable first.
    """
    if not len(shapes):
        return shapes
    order = np.lexsort((shapes.points[:, 1], shapes.points[:, 0], -shapes.probability))
    ranked = shapes.take(order)
    # its threads meet once for every kept polygon: seconds where another process has the cores
    with _openmp().limit(limits=1):
        kept = non_maximum_suppression_inds(
            ranked.distances, ranked.points, ranked.probability, thresh=overlap, verbose=0
        )
    return ranked.take(np.asarray(kept, dtype=np.bool_))


@cache
def _openmp() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="openmp")


def render(shapes: Shapes, shape_px: tuple[int, int]) -> tuple[Labels, Floats]:
    """Draw polygons; where two overlap, the more probable one is on top.

    Args:
        shapes: what to draw.
        shape_px: (Y, X) of the image.

    Returns:
        Labels (Y, X) int32 and confidences (N,) float32; particles are numbered from the most
        probable, those of which nothing is seen are left out.
    """
    if not len(shapes):
        return np.zeros(shape_px, np.int32), np.zeros(0, np.float32)
    order = np.argsort(shapes.probability, kind="stable")  # the last drawn is on top
    ranked = shapes.take(order)
    corners = dist_to_coord(ranked.distances, ranked.points)
    numbers = np.arange(len(ranked))[::-1]
    labels = polygons_to_label_coord(corners, shape_px, labels=numbers)
    return renumbered(labels, ranked.probability[::-1])


def renumbered(labels: Labels, confidence: Floats) -> tuple[Labels, Floats]:
    """Number the labels that have pixels from 1 without gaps, in their order.

    Args:
        labels: (Y, X) int32, 0…N.
        confidence: (N,) of labels 1…N.
    """
    present = np.bincount(labels.ravel(), minlength=len(confidence) + 1)[1:] > 0
    table = np.concatenate([[0], np.where(present, np.cumsum(present), 0)]).astype(np.int32)
    return table[labels], np.asarray(confidence[present], dtype=np.float32)
