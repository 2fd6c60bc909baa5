"""What a voxel sees of the body around it, and how far that is from the contact in its sight.

A voxel sees another by the share of the shortest walks between them, face by face, that stay in
the body: a walk leaves the voxel it stands on through an axis with the odds of that axis in the
step. No walk crosses a closed wall, however thin, yet a line that grazes the steps of a slanting
wall keeps some of them; lines that must miss every blocked voxel would run half a voxel off it.

Out of scope: what no straight line reaches (`models.measure.geodesic`).
"""

from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import jit

BLOCKED, FAR, SEEN, KNOWN = 0, 1, 2, 3
"""States of a voxel: not of the body, no final distance yet, one seen from the contact, final."""

CLEAR = 0.2
"""Share of walks from which on a voxel is in sight."""

_FAR_SIGHT, _NEAR_SIGHT = 3.5, 3  # longest lines of sight, in geometric means of the spacing
_OVERLAP = 0.4  # of a spacing: so far a piece of contact reaches from the centre of its face
_SAME = 1 + 1e-5  # squares of distances that differ by less are equal


class Grid(NamedTuple):
    """A flat array of voxels; like `Sights` a tuple, so that compiled loops take it whole."""

    strides: npt.NDArray[np.int64]  # (3,) of the flat array
    spacing: npt.NDArray[np.float64]  # (3,)
    faces: npt.NDArray[np.int64]  # (6,) moves through the faces: back and forth along each axis
    centres: npt.NDArray[np.float64]  # (6, 3) of the faces in µm, from the voxel's


class Sights(NamedTuple):
    """Where to look from a voxel: K steps, ascending in length, the first of them to itself."""

    near: int  # so many of the first steps lead to what is close
    offsets: npt.NDArray[np.float64]  # (K, 3) in µm
    lengths: npt.NDArray[np.float32]  # (K,)
    moves: npt.NDArray[np.int64]  # (K,) in the flat array
    before: npt.NDArray[np.int64]  # (K, 3) the step that is one voxel shorter along an axis
    odds: npt.NDArray[np.float32]  # (K, 3) of a walk to have come from there


def grid_of(shape: tuple[int, ...], spacing: npt.NDArray[np.float64]) -> Grid:
    """The grid of a padded (Z, Y, X) array; spacing (3,) in µm."""
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    steps = np.repeat(np.eye(3, dtype=np.int64), 2, axis=0) * np.tile([-1, 1], 3)[:, None]
    return Grid(strides, spacing, steps @ strides, steps * spacing / 2)


def longest_sight(spacing: npt.NDArray[np.float64], voxels: float = _FAR_SIGHT) -> float:
    """Length in µm up to which voxels look; a neighbour along the widest spacing is within."""
    return max(voxels * float(np.cbrt(spacing.prod())), float(spacing.max()))


def sights_of(grid: Grid) -> Sights:
    """All there is to look at up to `longest_sight`."""
    steps, before = _steps(tuple(grid.spacing.tolist()), longest_sight(grid.spacing))
    offsets = steps * grid.spacing
    lengths = np.linalg.norm(offsets, axis=1)
    sizes = np.abs(steps)
    return Sights(
        near=int(np.count_nonzero(lengths <= longest_sight(grid.spacing, _NEAR_SIGHT))),
        offsets=offsets,
        lengths=lengths.astype(np.float32),
        moves=steps @ grid.strides,
        before=before,
        odds=(sizes / np.maximum(sizes.sum(axis=1, keepdims=True), 1)).astype(np.float32),
    )


@lru_cache(maxsize=4)
def _steps(
    spacing: tuple[float, ...], longest: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Steps (K, 3) up to `longest`, ascending in length, and which (K, 3) come just before."""
    reach = [int(longest // step) for step in spacing]
    steps = np.array(list(product(*(range(-n, n + 1) for n in reach))))
    lengths = np.linalg.norm(steps * spacing, axis=1)
    steps = steps[np.argsort(lengths, kind="stable")[: np.count_nonzero(lengths <= longest)]]
    place = {tuple(step): k for k, step in enumerate(steps.tolist())}
    before = np.zeros_like(steps)
    for k, axis in np.argwhere(steps):
        shorter = steps[k].copy()
        shorter[axis] -= np.sign(shorter[axis])
        before[k, axis] = place[tuple(shorter.tolist())]
    return steps, before


@jit
def view(state: Any, voxel: int, count: int, sights: Sights, clear: Any) -> None:
    """Write to `clear` the shares of walks from a voxel to the first `count` steps."""
    before, odds = sights.before, sights.odds
    clear[0] = 1
    for k in range(1, count):
        clear[k] = 0
        if state[voxel + sights.moves[k]] != BLOCKED:
            for a in range(3):
                clear[k] += odds[k, a] * clear[before[k, a]]


@jit
def look(state: Any, waiting: Any, contact: Any, grid: Grid, sights: Sights) -> None:
    """Straight distances from the contact to what is close and in sight of it.

    A voxel takes its distance from the piece of surface in place of the face whose centre is
    nearest, and the mean from faces that are just as near. The least of all distances would prefer
    those with errors to one side.
    """
    rim = np.zeros(len(state), dtype=np.uint8)  # bit f: the face f is contact
    for voxel in range(len(state)):
        if state[voxel] != BLOCKED:
            for face in range(6):
                rim[voxel] |= contact[voxel + grid.faces[face]] << face
    nearest = np.full(len(state), np.inf, dtype=np.float32)  # squares of distances
    ties = np.zeros(len(state), dtype=np.uint8)  # faces just as near
    clear = np.zeros(sights.near, dtype=np.float32)
    scratch = (np.zeros(3), np.zeros((6 * sights.near, 3)), np.zeros(6 * sights.near))
    for voxel in range(len(state)):
        if rim[voxel] == 0:
            continue
        view(state, voxel, sights.near, sights, clear)
        for face in range(6):
            if (rim[voxel] >> face) & 1:
                ahead = _ahead(rim, voxel, face, grid, sights, scratch)
                piece = (voxel, face, ahead, scratch[0])
                _measure(state, waiting, nearest, ties, piece, clear, grid, sights)


@jit
def _measure(
    state: Any,
    waiting: Any,
    nearest: Any,
    ties: Any,
    piece: Any,
    clear: Any,
    grid: Grid,
    sights: Sights,
) -> None:
    """Distances from a piece of surface, about as large as a face, to what is in sight of it."""
    voxel, face, ahead, normal = piece
    for k in range(sights.near):
        there = voxel + sights.moves[k]
        square, high = 0.0, 0.0
        for a in range(3):
            way = grid.centres[face, a] - sights.offsets[k, a]
            square += way * way
            high += normal[a] * way
        if clear[k] < CLEAR or square > nearest[there] * _SAME:
            continue
        if square * _SAME < nearest[there]:
            nearest[there] = square
            waiting[there] = ties[there] = 0
            state[there] = SEEN
        length = max(high + ahead, 0.0) ** 2
        for a in range(3):
            way = grid.centres[face, a] - sights.offsets[k, a]
            beside = max(abs(way - normal[a] * high) - _OVERLAP * grid.spacing[a], 0.0)
            length += beside * beside
        ties[there] += 1
        waiting[there] += (np.sqrt(length) - waiting[there]) / ties[there]


@jit
def _ahead(rim: Any, voxel: int, face: int, grid: Grid, sights: Sights, scratch: Any) -> float:
    """How far the surface through the faces around lies ahead of one of them, along its normal.

    The faces' heights are fitted by a + b ρ² with their distances ρ from the normal: the mean
    height would lie inside a curved body, by 0.1 voxels at a radius of 16.
    """
    normal, ways, areas = scratch
    normal[:] = 0
    count = 0
    for k in range(sights.near):
        found = rim[voxel + sights.moves[k]]
        if found == 0:
            continue
        for other in range(6):
            # faces that look the opposite way are those of another surface
            if not (found >> other) & 1 or other == face ^ 1:
                continue
            areas[count] = 1 / grid.spacing[other // 2]
            normal[other // 2] += areas[count] if other % 2 else -areas[count]
            for a in range(3):
                ways[count, a] = (
                    sights.offsets[k, a] + grid.centres[other, a] - grid.centres[face, a]
                )
            count += 1
    normal /= np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    return _height(normal, ways[:count], areas[:count])


@jit
def _height(normal: Any, ways: Any, areas: Any) -> float:
    """Height at ρ = 0 of the fit to points at `ways`, weighted by areas."""
    total, h, r, rr, hr = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(ways)):
        z, y, x = ways[i, 0], ways[i, 1], ways[i, 2]
        high = normal[0] * z + normal[1] * y + normal[2] * x
        square = z * z + y * y + x * x - high * high
        total += areas[i]
        h += areas[i] * high
        r += areas[i] * square
        rr += areas[i] * square * square
        hr += areas[i] * high * square
    spread = total * rr - r * r
    if spread <= 1e-6 * total * rr:  # all as far, or one alone
        return h / total
    return (h * rr - hr * r) / spread
