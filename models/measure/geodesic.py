"""Shortest paths inside a body to where it touches something: around corners and cracks.

Solves |∇T| = 1 inside the body by fast marching with upwind differences of second order (Sethian
1999, SIAM Review 41, 199). Where a front is too curved for differences, lengths are those of
straight lines of sight: around the contact, which is the smooth surface through its voxel faces,
and from the edges of obstacles, where the front turns into their shadow. Voxels wait in buckets of
arrival time instead of a heap (Yatziv et al. 2006, J. Comput. Phys. 212, 393).

Out of scope: which voxels are the contact with the carbon-binder (`models.measure.morphology`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.compiled import jit
from models.measure.arrays import InvalidVolumeError, check_same_shape, parse_spacing
from models.measure.lines_of_sight import (
    BLOCKED,
    CLEAR,
    FAR,
    KNOWN,
    SEEN,
    Grid,
    Sights,
    grid_of,
    longest_sight,
    look,
    sights_of,
    view,
)

_BUCKETS_PER_STEP = 8  # of the shortest spacing
_TAIL = 5  # how far below the longest path the volume is looked at, in mean spacings
_TAIL_SKIP = 4  # voxels at its end: where fronts meet, they are short themselves


def geodesic_distance(
    inside: npt.NDArray[np.bool_], source: npt.NDArray[np.bool_], *, spacing_um: Sequence[float]
) -> npt.NDArray[np.float32]:
    """Length of the shortest path inside a body from each voxel to its contact with a source.

    Paths run from voxel centres to the surface between `inside` and `source`, smoothed over some
    three voxels, and pass through no wall that is closed face by face. Means over balls, bars,
    slabs, bends and cracks are within 2 % from a radius or width of 16 voxels on, at spacings up to
    3:1:1. From 8 on they are within 2.4 %, or the third of a voxel to which the rim of a small
    contact is known. Paths that wind around a round hole run outside its steps: up to 3 % too long
    at a radius of 11 voxels, 7 % at 6. A corner may be cut by a quarter of a voxel.

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
    longest = longest_sight(spacing)
    pad = np.maximum((longest // spacing).astype(int), 2)  # no step leaves the array or wraps
    widths = [(n, n) for n in pad.tolist()]
    state = np.pad(inside.astype(bool, order="C").view(np.uint8), widths)
    contact = np.pad(source.astype(bool, order="C"), widths) & (state == BLOCKED)
    grid = grid_of(state.shape, spacing)
    sights = sights_of(grid)
    waiting = np.full(state.size, np.inf, dtype=np.float32)
    look(state.ravel(), waiting, contact.ravel(), grid, sights)
    del contact
    known = np.full(state.shape, np.inf, dtype=np.float32)
    queue = _queue(state.size, spacing, longest)
    _march(state.ravel(), waiting, known.ravel(), grid, sights, queue)
    return known[tuple(slice(n, -n) for n in pad.tolist())]


def longest_path(distance: npt.NDArray[np.float32], *, spacing_um: Sequence[float]) -> float:
    """Length of the shortest path from the point of a body that is farthest from its contact.

    That point lies between voxel centres: half a voxel beyond the last at the end of a bar along an
    axis, hardly at that of a slanting one, up to a voxel off in the middle of a ball. No fixed
    correction fits them all. But the volume V from which paths are longer than t shrinks to nothing
    there, as the first power of what is left at a flat end, the second at a rounded one and the
    third at a corner or in the middle. So V is fitted with each over the last five voxels of the
    way, and the ends they say are averaged by how well they fit; at most half a voxel's diagonal
    beyond the farthest centre.

    Within 1 % for bars and slabs, 2.5 % for bends and cracks, from a width of 8 voxels on. Where
    fronts meet, up to 0.7 voxels are missing: balls come out up to 4.4 % short at a radius of 8
    voxels, 2.5 % at 16. Of a body with paths of a single length it is that one.

    Args:
        distance: from `geodesic_distance`; what is infinite does not count.
        spacing_um: (dz, dy, dx) in µm.

    Returns:
        µm; NaN where no path leads.

    Raises:
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    spacing = np.array(parse_spacing(spacing_um))
    reached = distance[np.isfinite(distance)]
    if not reached.size:
        return float("nan")
    tail = reached[reached > reached.max() - _TAIL * np.cbrt(spacing.prod())]
    levels, counts = np.unique(tail.astype(np.float64), return_counts=True)
    levels, counts = levels[::-1], counts[::-1]
    volumes = np.cumsum(counts) - counts / 2  # in voxels: the middle of each level
    fitted = volumes >= min(_TAIL_SKIP, volumes[-1] / 4)
    far = levels[0] + np.linalg.norm(spacing) / 2
    levels, volumes = levels[fitted], volumes[fitted]
    if len(levels) < 2:
        return float(reached.max())
    ends = [_end(levels, np.asarray(volumes ** (1 / power))) for power in (1, 2, 3)]
    worst = max(residual for residual, _ in ends)
    weights = [(residual + 1e-9 * worst + 1e-300) ** -2 for residual, _ in ends]
    end = np.average([level for _, level in ends], weights=weights)
    return float(min(end, far))


def _end(levels: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Residual of a straight line through levels over sizes, and its level at size zero."""
    off = sizes - sizes.mean()
    slope = (off @ levels) / (off @ off)
    residual = levels - levels.mean() - slope * off
    return float(residual @ residual), float(levels.mean() - slope * sizes.mean())


def _queue(
    voxels: int, spacing: npt.NDArray[np.float64], longest: float
) -> tuple[npt.NDArray[Any], ...]:
    """First voxel of each bucket, −1 for none, and room for each voxel's followers and leaders.

    Buckets are used in a circle, a power of two of them so that a mask does for the remainder.
    """
    horizon = 2 * (longest + spacing.max())  # the farthest that voxels wait ahead of the front
    buckets = 1 << int(np.ceil(_BUCKETS_PER_STEP * horizon / spacing.min()) + 2).bit_length()
    dtype = np.int32 if voxels < 2**31 - 1 else np.int64
    heads = np.full(buckets, -1, dtype=dtype)
    return heads, np.empty(voxels, dtype=dtype), np.empty(voxels, dtype=dtype)


@jit
def _march(state: Any, waiting: Any, known: Any, grid: Grid, sights: Sights, queue: Any) -> None:
    """Let the front run from the distances that there are; `known` is infinite ahead of it."""
    heads = queue[0]
    mask = len(heads) - 1
    per_um = _BUCKETS_PER_STEP / grid.spacing.min()
    scratch = (np.empty(3), np.empty(3), np.empty(3), 1 / grid.spacing)
    clear = np.zeros(len(sights.moves), dtype=np.float32)
    places = np.zeros(len(sights.moves) + 6, dtype=np.int64)
    arrivals = np.zeros(len(places), dtype=np.float32)
    left = 0
    for voxel in range(len(state)):
        if state[voxel] == SEEN:
            _put(voxel, int(waiting[voxel] * per_um) & mask, queue)
            left += 1
    now = 0
    while left > 0:
        while heads[now & mask] < 0:
            now += 1
        voxel = heads[now & mask]
        _take_out(voxel, queue)
        left -= 1
        state[voxel] = KNOWN
        known[voxel] = waiting[voxel]
        count, walls = 0, 0
        for face in range(6):
            there = voxel + grid.faces[face]
            walls += state[there] == BLOCKED
            if state[there] == FAR:
                places[count] = there
                arrivals[count] = _arrival(known, there, grid.strides, scratch)
                count += 1
        if walls > 0 and _turns(state, known, voxel, grid):
            count = _fan_out(state, known, voxel, sights, clear, count, places, arrivals)
        for i in range(count):
            there, arrival = places[i], arrivals[i]
            if arrival >= waiting[there]:
                continue
            if waiting[there] < np.inf:
                _take_out(there, queue)
            else:
                left += 1
            waiting[there] = arrival
            _put(there, max(int(arrival * per_um), now) & mask, queue)


@jit
def _turns(state: Any, known: Any, voxel: int, grid: Grid) -> bool:
    """Whether the front comes past an obstacle here and has its shadow ahead."""
    now = known[voxel]
    for face in range(6):
        if state[voxel + grid.faces[face]] != BLOCKED:
            continue
        # slope of the front towards the obstacle: rays that climb more than they go on pass it
        climb = (now - known[voxel - grid.faces[face]]) / grid.spacing[face // 2]
        for side in range(6):
            ahead = voxel + grid.faces[side]
            shadow = ahead + grid.faces[face]
            if state[ahead] == BLOCKED or state[shadow] == BLOCKED:
                continue
            if min(known[ahead], known[shadow]) > now:
                before = known[voxel - grid.faces[side]]
                advance = (now - before) / grid.spacing[side // 2] if before < np.inf else 1.0
                if climb < advance:
                    return True
    return False


@jit
def _fan_out(
    state: Any,
    known: Any,
    voxel: int,
    sights: Sights,
    clear: Any,
    count: int,
    places: Any,
    arrivals: Any,
) -> int:
    """Add straight lines from a voxel to `count` arrivals elsewhere; how many there are then."""
    view(state, voxel, len(clear), sights, clear)
    for k in range(1, len(clear)):
        there = voxel + sights.moves[k]
        if clear[k] >= CLEAR and state[there] == FAR:
            places[count] = there
            arrivals[count] = known[voxel] + sights.lengths[k]
            count += 1
    return count


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
