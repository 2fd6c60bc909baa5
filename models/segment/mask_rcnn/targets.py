"""What Mask R-CNN is to find, from labels: a box and a mask of each particle.

Out of scope: labels from what is found (`instances`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.segment.star_convex.patches import View

Floats = npt.NDArray[np.float32]

_LEAST_PX = 9  # of a particle that the border of a patch cuts: less is not recognised by anybody


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Particles of a patch.

    Attributes:
        boxes: (P, 4) float32 (x0, y0, x1, y1) around the pixels, 0 the middle of the first pixel.
        masks: (P, Y, X) uint8.
    """

    boxes: Floats
    masks: npt.NDArray[np.uint8]


def boxes_of(labels: npt.NDArray[np.int32]) -> Boxes:
    """Boxes and masks of a label image (Y, X); what is smaller than nine pixels is left out."""
    boxes, masks = [], []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is None:
            continue
        mask = np.zeros(labels.shape, dtype=np.uint8)
        mask[place] = labels[place] == number
        if mask[place].sum() >= _LEAST_PX:
            rows, columns = place
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            masks.append(mask)
    if not boxes:
        return Boxes(np.zeros((0, 4), np.float32), np.zeros((0, *labels.shape), np.uint8))
    return Boxes(np.array(boxes, dtype=np.float32) - np.float32(0.5), np.stack(masks))


def known_grey(view: View) -> Floats:
    """A view's image (Y, X), grey where nothing is known.

    Elsewhere a view is mirrored beyond the border of its image; particles there have no labels,
    and would teach that they are none.
    """
    if view.valid.all() or not view.valid.any():
        return view.image
    return np.where(view.valid, view.image, np.median(view.image[view.valid])).astype(np.float32)
