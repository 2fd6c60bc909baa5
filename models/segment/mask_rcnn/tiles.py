"""Particles of an image of any size: the network runs on tiles that overlap.

Out of scope: the scale of the image (`prediction`), drawing particles (`instances`).
"""

import numpy as np

from models.segment.mask_rcnn.config import STRIDE, NetworkConfig
from models.segment.mask_rcnn.detection import Find
from models.segment.mask_rcnn.instances import Instances, joined
from models.segment.star_convex.finding import Tiling, corners
from models.segment.star_convex.scaling import Floats


def image_instances(
    find: Find, image: Floats, config: NetworkConfig, least: float, tiling: Tiling
) -> Instances:
    """Particles of a whole image, each from the tile in whose core the middle of its box lies.

    A particle that tiles see differently may come twice; drawing leaves the less probable one out.

    Args:
        find: runs the network.
        image: (Y, X) float32, normalised and scaled.
        config: of the network.
        least: probability.
        tiling: cores and overlaps are rounded up to whole strides, so that pyramids stay in step.
    """
    core, overlap = (-(-side // STRIDE) * STRIDE for side in (tiling.core_px, tiling.overlap_px))
    rows, columns = image.shape
    padded = np.pad(image, ((0, -rows % STRIDE), (0, -columns % STRIDE)), mode="edge")
    parts = []
    for top, left in corners(padded.shape, core):
        y0, x0 = max(top - overlap, 0), max(left - overlap, 0)
        tile = padded[y0 : top + core + overlap, x0 : left + core + overlap]
        found = find(np.ascontiguousarray(tile), least).moved(y0, x0)
        middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        end = np.minimum([left + core, top + core], image.shape[::-1])
        parts.append(found.take(np.all((middle >= [left, top]) & (middle < end), axis=1)))
    return joined(parts, config.mask_px)
