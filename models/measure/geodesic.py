"""Shortest paths inside a body to where it touches something: around corners and cracks.

Solves |∇T| = 1 inside the body by fast marching with upwind differences of second order (Sethian
1999, SIAM Review 41, 199). Three things keep it accurate and quick. The contact is no staircase of
voxel faces but the planes through them, or paths to a slanting one would end on its innermost
steps, 0.3 voxels too soon. Around it, where the front is too curved for differences, distances are
straight lines of sight. And voxels wait in buckets of arrival time instead of a heap (Yatziv et al.
2006, J. Comput. Phys. 212, 393).

Out of scope: which voxels are the contact with the carbon-binder (`models.measure.morphology`).
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, groupby, product
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import jit
from models.measure.arrays import InvalidVolumeError, check_same_shape, parse_spacing

_SIGHT = 4  # longest line of sight, in geometric means of the spacing
_PLANE = 2.0  # radius in which faces make a plane, likewise
_BUCKETS_PER_STEP = 8  # of the shortest spacing

_BLOCKED, _FAR, _SEEN, _KNOWN = 0, 1, 2, 3


class _Sights(NamedTuple):
    """Where to look from a voxel: a tuple of arrays, so that compiled loops take it whole."""

    near: int  # so many of the first offsets are close enough to make a plane
    offsets: npt.NDArray[np.float64]  # (K, 3) in µm, ascending in length
    lengths: npt.NDArray[np.float32]  # (K, 6) from the centre of each face instead of the voxel's
    moves: npt.NDArray[np.int64]  # (K,) in the flat array
    lines: npt.NDArray[np.int64]  # (K, m) moves to the voxels on the way; the rest are 0


class _Grid(NamedTuple):
    strides: npt.NDArray[np.int64]  # (3,) of the flat array
    spacing: npt.NDArray[np.float64]  # (3,)
    faces: npt.NDArray[np.int64]  # (6,) moves through the faces: back and forth along each axis
    centres: npt.NDArray[np.float64]  # (6, 3) of the faces in µm, from the voxel's


def geodesic_distance(
    inside: npt.NDArray[np.bool_], source: npt.NDArray[np.bool_], *, spacing_um: Sequence[float]
) -> npt.NDArray[np.float32]:
    """Length of the shortest path inside a body from each voxel to its contact with a source.

    Paths run from voxel centres to the surface between `inside` and `source`, smoothed over some
    two voxels, and pass from voxel to voxel through faces only. Straight bars come out exactly,
    bars that bend once or twice within 0.6 and 1.2 %; the mean over a ball covered in part or whole
    within 0.9 % at a radius of 30 voxels, 2.4 % at 16. Where paths from all around meet, the
    largest is up to 0.7 voxels short.

    Args:
        inside: (Z, Y, X) the body.
        source: (Z, Y, X) what it is in contact with; voxels that are `inside` do not count.
        spacing_um: (dz, dy, dx) in µm.

    Returns:
        (Z, Y, X) µm; infinite outside the body and where no path leads.

    Raises:
        InvalidVolumeError: if the arrays differ in shape or are not three-dimensional, or the
            spacing is not three finite values above zero.
    """
    spacing = np.array(parse_spacing(spacing_um))
    if inside.ndim != 3:
        raise InvalidVolumeError(f"body of shape {inside.shape}: expected axes (Z, Y, X)")
    check_same_shape(inside.shape, source.shape, "source")
    longest = max(_SIGHT * float(np.cbrt(spacing.prod())), float(spacing.max()))
    pad = np.maximum((longest // spacing).astype(int), 2)  # no step leaves the array or wraps
    widths = [(n, n) for n in pad.tolist()]
    state = np.pad(inside.astype(bool, order="C").view(np.uint8), widths)
    contact = np.pad(source.astype(bool, order="C"), widths) & (state == _BLOCKED)
    strides = np.array([state.shape[1] * state.shape[2], state.shape[2], 1])
    steps = np.repeat(np.eye(3, dtype=np.int64), 2, axis=0) * np.tile([-1, 1], 3)[:, None]
    grid = _Grid(strides, spacing, steps @ strides, steps * spacing / 2)
    waiting = np.full(state.size, np.inf, dtype=np.float32)
    _look(state.ravel(), waiting, contact.ravel(), grid, _sights(grid, longest))
    del contact
    known = np.full(state.shape, np.inf, dtype=np.float32)
    queue = _queue(state.size, spacing, longest)
    _march(state.ravel(), waiting, known.ravel(), grid, queue)
    return known[tuple(slice(n, -n) for n in pad.tolist())]


def _sights(grid: _Grid, longest: float) -> _Sights:
    steps, lines = _steps(tuple(grid.spacing.tolist()), longest)
    offsets = steps * grid.spacing
    near = np.linalg.norm(offsets, axis=1) <= _PLANE * np.cbrt(grid.spacing.prod())
    return _Sights(
        near=int(np.count_nonzero(near)),
        offsets=offsets,
        lengths=np.linalg.norm(offsets[:, None] - grid.centres, axis=2).astype(np.float32),
        moves=steps @ grid.strides,
        lines=lines @ grid.strides,
    )


@lru_cache(maxsize=4)
def _steps(
    spacing: tuple[float, ...], longest: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Steps (K, 3) up to `longest`, ascending in length, and the voxels (K, m, 3) on the way."""
    reach = [int(longest // step) for step in spacing]
    steps = np.array(list(product(*(range(-n, n + 1) for n in reach))))
    lengths = np.linalg.norm(steps * spacing, axis=1)
    steps = steps[np.argsort(lengths, kind="stable")[: np.count_nonzero(lengths <= longest)]]
    passed = [_passed(step) for step in steps.tolist()]
    lines = np.zeros((len(steps), max(map(len, passed)), 3), dtype=np.int64)
    for line, voxels in zip(lines, passed, strict=True):
        line[: len(voxels)] = voxels
    return steps, lines


def _passed(step: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    """Voxels that a line to `step` passes, face by face; through an edge, those on all sides."""
    crossed = sorted(
        (Fraction(2 * i + 1, 2 * abs(count)), axis)
        for axis, count in enumerate(step)
        for i in range(abs(count))
    )
    place = np.zeros(3, dtype=np.int64)
    voxels = [place.copy()]
    for _, group in groupby(crossed, key=itemgetter(0)):
        moves = [np.eye(3, dtype=np.int64)[axis] * np.sign(step[axis]) for _, axis in group]
        for size in range(1, len(moves) + 1):
            voxels += [place + sum(some) for some in combinations(moves, size)]
        place += sum(moves)
    return voxels


def _queue(
    voxels: int, spacing: npt.NDArray[np.float64], longest: float
) -> tuple[npt.NDArray[Any], ...]:
    """First voxel of each bucket, −1 for none, and room for each voxel's followers and leaders.

    Buckets are used in a circle, a power of two of them so that a mask does for the remainder.
    """
    horizon = longest + 2 * spacing.max()  # the farthest that voxels wait ahead of the front
    buckets = 1 << int(np.ceil(_BUCKETS_PER_STEP * horizon / spacing.min()) + 2).bit_length()
    dtype = np.int32 if voxels < 2**31 - 1 else np.int64
    heads = np.full(buckets, -1, dtype=dtype)
    return heads, np.empty(voxels, dtype=dtype), np.empty(voxels, dtype=dtype)


@jit
def _look(state: Any, waiting: Any, contact: Any, grid: _Grid, sights: _Sights) -> None:
    """Straight distances from the contact to what is in sight of it."""
    rim = np.zeros(len(state), dtype=np.uint8)  # bit f: the face f is contact
    for voxel in range(len(state)):
        if state[voxel] != _BLOCKED:
            for face in range(6):
                rim[voxel] |= contact[voxel + grid.faces[face]] << face
    for voxel in range(len(state)):
        if rim[voxel] == 0:
            continue
        for face in range(6):
            if not (rim[voxel] >> face) & 1:
                continue
            ahead = _ahead(rim, voxel, face, grid, sights)
            for k in range(len(sights.moves)):
                there = voxel + sights.moves[k]
                length = max(sights.lengths[k, face] + ahead, np.float32(0))
                if state[there] == _BLOCKED or length >= waiting[there]:
                    continue
                if _in_sight(state, voxel, sights.lines[k]):
                    waiting[there] = length
                    state[there] = _SEEN


@jit
def _ahead(rim: Any, voxel: int, face: int, grid: _Grid, sights: _Sights) -> np.float32:
    """How far the plane through the faces around lies ahead of one of them, along its normal."""
    normal, place = np.zeros(3), np.zeros(3)
    total = 0.0
    for k in range(sights.near):
        found = rim[voxel + sights.moves[k]]
        if found == 0:
            continue
        for other in range(6):
            # faces that look the opposite way are those of another surface
            if not (found >> other) & 1 or other == face ^ 1:
                continue
            area = 1 / grid.spacing[other // 2]
            total += area
            normal[other // 2] += area if other % 2 else -area
            for a in range(3):
                moved = grid.centres[other, a] - grid.centres[face, a]
                place[a] += area * (sights.offsets[k, a] + moved)
    square, along = 0.0, 0.0
    for a in range(3):
        square += normal[a] * normal[a]
        along += normal[a] * place[a]
    return np.float32(along / (total * np.sqrt(square)))


@jit
def _in_sight(state: Any, voxel: int, line: Any) -> bool:
    clear = True
    for i in range(len(line)):
        clear &= state[voxel + line[i]] != _BLOCKED
    return clear


@jit
def _march(state: Any, waiting: Any, known: Any, grid: _Grid, queue: Any) -> None:
    """Let the front run from the distances that there are; `known` is infinite ahead of it."""
    heads = queue[0]
    mask = len(heads) - 1
    per_um = _BUCKETS_PER_STEP / grid.spacing.min()
    scratch = (np.empty(3), np.empty(3), np.empty(3), 1 / grid.spacing)
    left = 0
    for voxel in range(len(state)):
        if state[voxel] == _SEEN:
            _put(voxel, int(waiting[voxel] * per_um) & mask, queue)
            left += 1
    now = 0
    while left > 0:
        while heads[now & mask] < 0:
            now += 1
        voxel = heads[now & mask]
        _take_out(voxel, queue)
        left -= 1
        state[voxel] = _KNOWN
        known[voxel] = waiting[voxel]
        for face in range(6):
            there = voxel + grid.faces[face]
            if state[there] != _FAR:
                continue
            arrival = _arrival(known, there, grid.strides, scratch)
            if arrival < waiting[there]:
                if waiting[there] < np.inf:
                    _take_out(there, queue)
                else:
                    left += 1
                waiting[there] = arrival
                _put(there, max(int(arrival * per_um), now) & mask, queue)


@jit
def _put(voxel: int, bucket: int, queue: Any) -> None:
    """Let a voxel wait in a bucket, as the first of a list linked both ways."""
    heads, after, before = queue
    after[voxel], before[voxel] = heads[bucket], -1 - bucket
    if heads[bucket] >= 0:
        before[heads[bucket]] = voxel
    heads[bucket] = voxel


@jit
def _take_out(voxel: int, queue: Any) -> None:
    heads, after, before = queue
    if before[voxel] >= 0:
        after[before[voxel]] = after[voxel]
    else:
        heads[-1 - before[voxel]] = after[voxel]
    if after[voxel] >= 0:
        before[after[voxel]] = before[voxel]


@jit
def _arrival(known: Any, voxel: int, strides: Any, scratch: Any) -> np.float32:
    """Upwind solution of Σ (∂T/∂a)² = 1 at a voxel, of second order where the front allows it."""
    nearest, level, slope, per_um = scratch  # along axis a, ∂T/∂a = slope[a] (T − level[a])
    for a in range(3):
        stride = strides[a]
        if known[voxel + stride] < known[voxel - stride]:
            one, two = known[voxel + stride], known[voxel + 2 * stride]
        else:
            one, two = known[voxel - stride], known[voxel - 2 * stride]
        nearest[a] = level[a] = one
        slope[a] = per_um[a]
        if two <= one < np.inf:
            level[a] = (4 * np.float64(one) - two) / 3
            slope[a] = 1.5 * per_um[a]
    while True:
        a2, ab, b2, last = 0.0, 0.0, -1.0, 0
        for a in range(3):
            if nearest[a] < np.inf:
                part = slope[a] * level[a]
                a2 += slope[a] * slope[a]
                ab += slope[a] * part
                b2 += part * part
                if nearest[last] == np.inf or nearest[a] > nearest[last]:
                    last = a
        root = ab * ab - a2 * b2
        if root >= 0:
            arrival = (ab + np.sqrt(root)) / a2
            if arrival >= nearest[last]:
                return np.float32(arrival)
        nearest[last] = np.inf
