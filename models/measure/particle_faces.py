"""What a particle borders on, voxel pair by voxel pair: body, cracks and surroundings.

Every voxel of a particle's box is one of seven kinds. Loops here count; what a crossing is worth
in µm² is `models.measure.surface_area`.

Out of scope: sorting voxels into kinds (`models.measure.particle_boxes`).
"""

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from models.compiled import jit
from models.measure.crofton import DIRECTIONS

Box = npt.NDArray[np.uint8]


class Kind(IntEnum):
    """What a voxel of a particle's box is."""

    OPEN = 0
    """Background that is not binder: pore, current collector."""
    BODY = 1
    CRACK = 2
    OTHER = 3
    """Another particle."""
    BINDER = 4
    OUTSIDE = 5
    """Beyond the edge of the volume."""


KINDS = len(Kind)
_BODY, _CRACK = np.uint8(Kind.BODY), np.uint8(Kind.CRACK)
_STEPS = np.array(DIRECTIONS)
_FACES = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1)])
_MAJORITY = 14  # of 27
_SHORT = 3  # voxels: longest run counted by its length


class Boundary(IntEnum):
    """What voxels on a boundary are counted as; a voxel may count as several."""

    OUTER = 0
    """Body or crack, with a face towards anything else."""
    INNER = 1
    """Body that is not outer, with a face towards a crack."""
    SEEN = 2
    """Outer, with a face towards anything within the volume."""
    AT_OTHER = 3
    """Outer, with a face towards another particle."""
    DETACHED = 4
    """Seen, without a face towards another particle or binder."""


def count_crossings(box: Box) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count voxel pairs between a particle and each kind around it, and runs of few voxels.

    Args:
        box: (Z, Y, X) of `Kind`, with neither body nor cracks in the outermost layer.

    Returns:
        (6, 13) pairs along each of the `DIRECTIONS`, by the kind at the far end: from body or
        crack to what is neither, and in row `Kind.CRACK` from body to crack.

        (2, 13, 3) how many of them are at an end of a run of 1, 2 or 3 voxels: pairs from body or
        crack to what is neither, by the run of body and crack; and from body to crack, by the run
        of crack.
    """
    counts, runs = _count_crossings(box, _STEPS, KINDS)
    return counts, runs


def count_boundary_voxels(box: Box) -> npt.NDArray[np.int64]:
    """Count boundary voxels, by their six faces, as the published analysis does.

    Args:
        box: (Z, Y, X) of `Kind`, with neither body nor cracks in the outermost layer.

    Returns:
        (5,) in the order of `Boundary`.
    """
    return np.asarray(_count_boundary(box, _FACES, len(Boundary)))


def smoothed(box: Box) -> Box:
    """Pass body, and body with cracks, through a 3 × 3 × 3 median.

    Args:
        box: (Z, Y, X) of `Kind`, with neither body nor cracks in the outermost layer.

    Returns:
        (Z, Y, X): body, crack (what the one kept and the other did not) and open.
    """
    return np.asarray(_smoothed(box))


@jit
def _count_crossings(box: Any, steps: Any, kinds: int) -> Any:
    depth, height, width = box.shape
    counts = np.zeros((kinds, len(steps)), dtype=np.int64)
    runs = np.zeros((2, len(steps), _SHORT + 1), dtype=np.int64)
    for z in range(1, depth - 1):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                here = box[z, y, x]
                if here not in (_BODY, _CRACK):
                    continue
                found = False
                for d in range(len(steps)):
                    dz, dy, dx = steps[d]
                    ahead = box[z + dz, y + dy, x + dx]
                    behind = box[z - dz, y - dy, x - dx]
                    if ahead not in (here, _BODY):
                        counts[ahead, d] += 1
                        found = True
                    if behind not in (here, _BODY):
                        counts[behind, d] += 1
                        found = True
                if found:
                    _add_runs(box, z, y, x, steps, runs)
    return counts, runs[:, :, :_SHORT]


@jit
def _add_runs(box: Any, z: int, y: int, x: int, steps: Any, runs: Any) -> None:
    """Count the run at each pair of a voxel of body or crack by its length."""
    here = box[z, y, x]
    for d in range(len(steps)):
        for sign in (-1, 1):
            dz, dy, dx = sign * steps[d, 0], sign * steps[d, 1], sign * steps[d, 2]
            there = box[z + dz, y + dy, x + dx]
            if there in (here, _BODY):
                continue
            crack = there == _CRACK
            # the run is ahead in a crack and behind in the particle: from its second voxel on
            at, side = (2, 1) if crack else (-1, -1)
            length = 0
            while length < _SHORT:
                kind = box[z + at * dz, y + at * dy, x + at * dx]
                if kind != _CRACK and (crack or kind != _BODY):
                    break
                length += 1
                at += side
            runs[int(crack), d, length] += 1


@jit
def _count_boundary(box: Any, faces: Any, columns: int) -> Any:
    depth, height, width = box.shape
    counts = np.zeros(columns, dtype=np.int64)
    met = np.zeros(KINDS, dtype=np.bool_)
    for z in range(1, depth - 1):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                here = box[z, y, x]
                if here not in (_BODY, _CRACK):
                    continue
                met[:] = False
                for a in range(3):
                    dz, dy, dx = faces[a]
                    met[box[z + dz, y + dy, x + dx]] = True
                    met[box[z - dz, y - dy, x - dx]] = True
                touching = met[Kind.OTHER] or met[Kind.BINDER]
                seen = touching or met[Kind.OPEN]
                if seen or met[Kind.OUTSIDE]:
                    counts[Boundary.OUTER] += 1
                    counts[Boundary.SEEN] += seen
                    counts[Boundary.AT_OTHER] += met[Kind.OTHER]
                    counts[Boundary.DETACHED] += seen and not touching
                elif here == _BODY and met[Kind.CRACK]:
                    counts[Boundary.INNER] += 1
    return counts


@jit
def _smoothed(box: Any) -> Any:
    depth, height, width = box.shape
    result = np.zeros_like(box)
    # body counts 33 and crack 32: of a sum over 27, body is the remainder and both the quotient
    worth = np.zeros(KINDS, dtype=np.int16)
    worth[_BODY], worth[_CRACK] = 33, 32
    along_x = np.zeros((height, width), dtype=np.int16)
    planes = np.zeros((3, height, width), dtype=np.int16)
    for z in range(depth):
        for y in range(height):
            for x in range(1, width - 1):
                along_x[y, x] = (
                    worth[box[z, y, x - 1]] + worth[box[z, y, x]] + worth[box[z, y, x + 1]]
                )
        latest = planes[z % 3]
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                latest[y, x] = along_x[y - 1, x] + along_x[y, x] + along_x[y + 1, x]
        if z < 2:
            continue
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                total = planes[0, y, x] + planes[1, y, x] + planes[2, y, x]
                if total & 31 >= _MAJORITY:
                    result[z - 1, y, x] = _BODY
                elif total >> 5 >= _MAJORITY:
                    result[z - 1, y, x] = _CRACK
    return result
