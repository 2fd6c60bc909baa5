"""Paths of conduction through one particle as a map: how far each voxel is from the binder.

After Jiang et al., Nat. Commun. 11 (2020) 2310, supplementary figure 3: electrons leave a partly
detached particle through the faces that touch the carbon-binder, by the shortest way inside it.

Out of scope: the lengths themselves (`models.measure.geodesic`), drawing, which particle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.measure.arrays import InvalidVolumeError
from models.measure.geodesic import geodesic_distance
from models.measure.particle_boxes import Corner, ParticleBoxes
from models.measure.particle_faces import Box, Kind

_MARGIN = 4  # voxels of the surroundings that are kept
_GROWTH = 1.5

Floats = npt.NDArray[np.float32]
Segments = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ConductionMap:
    """A particle in its box.

    Attributes:
        kinds: (Z, Y, X) of `Kind`.
        distance_um: (Z, Y, X) shortest way inside the body to the binder; infinite outside the
            body, and throughout where it touches none.
        spacing_um: (dz, dy, dx).
        centre: voxel (z, y, x) of the body next to its centroid.
    """

    kinds: Box
    distance_um: Floats
    spacing_um: tuple[float, ...]
    centre: tuple[int, int, int]


def conduction_map(
    boxes: ParticleBoxes,
    label: int,
    *,
    near_um: Sequence[float],
    reach_um: float,
    spacing_um: Sequence[float],
) -> ConductionMap:
    """Map the paths through one particle.

    Args:
        boxes: the volumes, with phases.
        label: of the particle.
        near_um: (z, y, x) of its centroid, voxel (0, 0, 0) being at 0.
        reach_um: how far it goes from there; looked farther where it goes on.
        spacing_um: (dz, dy, dx).

    Raises:
        InvalidVolumeError: the label is not there.
    """
    spacing = tuple(float(step) for step in spacing_um)
    near = np.rint(np.divide(near_um, spacing)).astype(np.int64)
    kinds = _cut(_whole(boxes, label, near, np.divide(reach_um, spacing)))
    body = kinds == Kind.BODY
    distance = geodesic_distance(body, kinds == Kind.BINDER, spacing_um=spacing)
    voxels = np.argwhere(body)
    off = (voxels - voxels.mean(axis=0)) * spacing
    z, y, x = voxels[np.argmin((off**2).sum(axis=1))].tolist()
    return ConductionMap(kinds, distance, spacing, (z, y, x))


def contact_faces(inside: npt.NDArray[np.bool_], outside: npt.NDArray[np.bool_]) -> Segments:
    """Edges between pixels of a section where two masks (A, B) meet.

    Returns:
        (S, 2, 2): both ends of each edge as (a, b), pixel (i, j) reaching from i − ½ to i + ½.
    """
    found = []
    for axis in (0, 1):
        one, two = (np.moveaxis(mask, axis, 0) for mask in (inside, outside))
        meets = (one[:-1] & two[1:]) | (two[:-1] & one[1:])
        across, along = np.nonzero(meets)
        ends = np.stack(
            [np.stack([across + 0.5, along + side], axis=1) for side in (-0.5, 0.5)], axis=1
        )
        found.append(ends if axis == 0 else ends[..., ::-1])
    return np.concatenate(found)


def _whole(boxes: ParticleBoxes, label: int, near: Corner, reach: npt.NDArray[np.float64]) -> Box:
    """A box that the whole body lies in with the margin around it, grown until it does."""
    inner = (slice(_MARGIN, -_MARGIN),) * 3
    seen = -1
    while True:
        half = np.ceil(reach).astype(np.int64) + _MARGIN
        box = boxes.kinds(label, near - half, near + half + 1)
        body = box == Kind.BODY
        found = int(body.sum())
        if found and found == int(body[inner].sum()):
            return box
        if found == seen == 0:
            message = f"label {label} is not at voxel {tuple(near.tolist())}: label it again"
            raise InvalidVolumeError(message)
        seen, reach = found, reach * _GROWTH


def _cut(box: Box) -> Box:
    """The body's own box, with a margin."""
    body = box == Kind.BODY
    cut = []
    for axis in range(3):
        there = np.flatnonzero(body.any(axis=tuple(a for a in range(3) if a != axis)))
        cut.append(slice(there[0] - _MARGIN, there[-1] + 1 + _MARGIN))
    return box[cut[0], cut[1], cut[2]]
