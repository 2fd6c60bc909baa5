"""From boxes with masks to particles: each pixel to the most probable one.

Out of scope: boxes and masks of an image (`tiles`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.segment.star_convex.scaling import Floats

Labels = npt.NDArray[np.int32]

_INSIDE = 0.5  # probability of a pixel in the mask
_LEAST_PX = 4  # of a particle in the image


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """N particles as a network says them.

    Attributes:
        boxes: (N, 4) float32 (x0, y0, x1, y1) pixels, 0 the middle of the first pixel.
        masks: (N, M, M) float32, probability in each of M × M parts of the box.
        probability: (N,) float32.
    """

    boxes: Floats
    masks: Floats
    probability: Floats

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.probability)

    def take(self, chosen: npt.NDArray[Any]) -> "Instances":
        """The particles that a mask or indices choose."""
        return Instances(self.boxes[chosen], self.masks[chosen], self.probability[chosen])

    def moved(self, y: float, x: float) -> "Instances":
        """The particles in an image that begins so many pixels earlier."""
        return Instances(
            self.boxes + np.array([x, y, x, y], np.float32), self.masks, self.probability
        )

    def resized(self, factor: float) -> "Instances":
        """The particles in an image that is `factor` times as large."""
        boxes = (self.boxes + np.float32(0.5)) * np.float32(factor) - np.float32(0.5)
        return Instances(boxes, self.masks, self.probability)

    @property
    def area_px2(self) -> npt.NDArray[np.float64]:
        """(N,) areas of the masks."""
        sides = np.maximum(self.boxes[:, 2:] - self.boxes[:, :2], 0).astype(np.float64)
        share = (self.masks > _INSIDE).reshape(len(self), -1).mean(axis=1) if len(self) else 0.0
        return np.asarray(sides.prod(axis=1) * share, dtype=np.float64)

    @property
    def diameter_px(self) -> npt.NDArray[np.float64]:
        """(N,) diameters of discs of the same areas."""
        return np.asarray(np.sqrt(4 / np.pi * self.area_px2), dtype=np.float64)


def no_instances(mask_px: int) -> Instances:
    """Zero particles, typed."""
    return Instances(
        np.zeros((0, 4), np.float32),
        np.zeros((0, mask_px, mask_px), np.float32),
        np.zeros(0, np.float32),
    )


def joined(parts: list[Instances], mask_px: int) -> Instances:
    """Particles of several parts of an image."""
    parts = [no_instances(mask_px), *parts]
    return Instances(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.masks for part in parts]),
        np.concatenate([part.probability for part in parts]),
    )


def render(
    instances: Instances, shape_px: tuple[int, int], overlap: float
) -> tuple[Labels, Floats]:
    """Draw particles, the most probable first; pixels that are taken stay taken.

    Args:
        instances: what to draw, in any order; equal probabilities go by place.
        shape_px: (Y, X) of the image.
        overlap: share of a particle's pixels that more probable ones may have taken; a particle of
            which less is left is the same seen again, and left out.

    Returns:
        Labels (Y, X) int32 and confidences (N,) float32; particles are numbered from the most
        probable, and each has pixels.
    """
    labels = np.zeros(shape_px, np.int32)
    confidences: list[np.float32] = []
    boxes = instances.boxes
    for index in np.lexsort((boxes[:, 0], boxes[:, 1], -instances.probability)):
        window, mask = _drawn(boxes[index], instances.masks[index], shape_px)
        size = int(mask.sum())
        mask &= labels[window] == 0
        left = int(mask.sum())
        if left >= _LEAST_PX and left >= (1 - overlap) * size:
            confidences.append(instances.probability[index])
            labels[window][mask] = len(confidences)
    return labels, np.array(confidences, dtype=np.float32)


def _drawn(
    box: Floats, mask: Floats, shape_px: tuple[int, int]
) -> tuple[tuple[slice, slice], npt.NDArray[np.bool_]]:
    """The window of an image that a box covers, and the mask at its pixels."""
    x0, y0, x1, y1 = (float(side) for side in box)
    rows = slice(max(int(np.ceil(y0)), 0), min(int(np.floor(y1)) + 1, shape_px[0]))
    columns = slice(max(int(np.ceil(x0)), 0), min(int(np.floor(x1)) + 1, shape_px[1]))
    if rows.stop <= rows.start or columns.stop <= columns.start or x1 <= x0 or y1 <= y0:
        return (slice(0), slice(0)), np.zeros((0, 0), np.bool_)
    down = _interpolation(rows, y0, y1, mask.shape[0])
    across = _interpolation(columns, x0, x1, mask.shape[1])
    drawn = down @ mask @ across.T
    return (rows, columns), np.asarray(drawn > _INSIDE, dtype=np.bool_)


def _interpolation(pixels: slice, start: float, stop: float, parts: int) -> Floats:
    """(N, parts) weights of linear interpolation at pixels of a side that has so many parts."""
    share = (np.arange(pixels.start, pixels.stop) - start) / (stop - start)
    place = np.clip(share * parts - 0.5, 0, parts - 1)
    weights = np.maximum(1 - np.abs(place[:, np.newaxis] - np.arange(parts)), 0)
    return np.asarray(weights, dtype=np.float32)
