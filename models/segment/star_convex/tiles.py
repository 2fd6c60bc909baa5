"""Candidates of an image of any size: the network runs on tiles that overlap.

Out of scope: the scale of the image (`prediction`), choosing among candidates (`shapes`).
"""

from collections.abc import Callable

import numpy as np

from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.finding import Tiling, corners
from models.segment.star_convex.shapes import Floats, Shapes, candidates, joined

Forward = Callable[[Floats], tuple[Floats, Floats]]
"""(Y, X) in whole strides → probability (Y / grid, X / grid), distances (rays, …, …) in pixels."""


def image_candidates(
    forward: Forward, image: Floats, config: NetworkConfig, least: float, tiling: Tiling
) -> Shapes:
    """Candidates of a whole image, each from the tile in whose core its centre lies.

    Args:
        forward: runs the network.
        image: (Y, X) float32, normalised and scaled.
        config: of the network.
        least: probability.
        tiling: cores and overlaps are rounded up to whole strides, so that the grid stays in step.
    """
    stride = config.stride
    core, overlap = (-(-side // stride) * stride for side in (tiling.core_px, tiling.overlap_px))
    rows, columns = image.shape
    padded = np.pad(image, ((0, -rows % stride), (0, -columns % stride)), mode="edge")
    parts = []
    for top, left in corners(padded.shape, core):
        y0, x0 = max(top - overlap, 0), max(left - overlap, 0)
        tile = padded[y0 : top + core + overlap, x0 : left + core + overlap]
        shapes = candidates(*forward(np.ascontiguousarray(tile)), config.grid, least)
        points = shapes.points + np.array([y0, x0], dtype=np.float32)
        end = np.minimum([top + core, left + core], image.shape)
        own = np.all((points >= [top, left]) & (points < end), axis=1)
        parts.append(Shapes(points, shapes.distances, shapes.probability).take(np.asarray(own)))
    return joined(parts, config.rays)
