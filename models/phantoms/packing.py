"""Packing of particles between two walls until they no more than touch.

Out of scope: what the particles look like (`models.phantoms.particle_shape`).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from models.phantoms.particle_shape import (
    Body,
    Floats,
    Shapes,
    radial_distances,
    surface_points,
)

Pairs = npt.NDArray[np.intp]

_COARSE_STEPS, _FINE_STEPS = 600, 200
_POINTS = 256  # on each surface, for the fine steps
_NEAR = 0.25  # of the smaller reach: pairs with a wider gap between centres' lines cannot meet


class PackingError(ValueError):
    """The particles do not fit."""


@dataclass(frozen=True, slots=True)
class Box:
    """A slot between walls at z = `low_um` and `high_um`, periodic in y and x.

    Attributes:
        low_um: lower wall.
        high_um: upper wall.
        period_um: (y, x).
    """

    low_um: float
    high_um: float
    period_um: tuple[float, float]

    @property
    def volume_um3(self) -> float:
        """Between the walls, over one period."""
        return (self.high_um - self.low_um) * self.period_um[0] * self.period_um[1]


def draw_diameters(
    median_um: float, spread: float, volume_um3: float, rng: np.random.Generator
) -> Floats:
    """Log-normal diameters, cut at ± 2.5 standard deviations, until the balls fill `volume_um3`.

    Returns:
        (N,) diameters; their volume is nearest to the one asked for.
    """
    mean_um3 = math.pi / 6 * median_um**3 * math.exp(4.5 * spread**2)
    n = math.ceil(2 * volume_um3 / mean_um3) + 50
    deviates = rng.standard_normal(2 * n)
    deviates = deviates[np.abs(deviates) <= 2.5]
    diameters = median_um * np.exp(spread * deviates)
    filled = np.cumsum(math.pi / 6 * diameters**3)
    return diameters[: int(np.argmin(np.abs(filled - volume_um3))) + 1]


def pack(
    shapes: Shapes, bodies: list[Body], box: Box, contact_um: float, rng: np.random.Generator
) -> Floats:
    """Place the particles at random and push them apart until none reaches deeper than a contact.

    The overlap of a pair is first taken on the line between the centres, then, in the last steps,
    from points on both surfaces.

    Args:
        shapes: of the N particles.
        bodies: their extents.
        box: where they go.
        contact_um: depth that pairs keep when pushed apart; no pair ends deeper than twice that.
        rng: source of the first places.

    Returns:
        (N, 3) centres in µm (z, y, x); y and x in [0, period).

    Raises:
        PackingError: if that cannot be reached.
    """
    reach = np.array([b.reach_um for b in bodies])
    low = box.low_um - np.array([b.extent_z_um[0] for b in bodies])
    high = box.high_um - np.array([b.extent_z_um[1] for b in bodies])
    if np.any(low > high):
        raise PackingError(f"a particle is higher than the {box.high_um - box.low_um:.3g} µm slot")
    span = np.array([box.high_um - box.low_um, *box.period_um])
    centres: Floats = rng.random((len(reach), 3)) * span
    centres[:, 0] = low + (high - low) * rng.random(len(reach))
    for _ in range(_COARSE_STEPS):
        pairs, along, gap = _near_pairs(shapes, centres, reach, box)
        if not _push(centres, pairs, along, -gap, contact_um):
            break
        _keep_inside(centres, low, high, box)
    points = [surface_points(shapes, i, _POINTS)[1] for i in range(len(reach))]
    for _ in range(_FINE_STEPS):
        pairs, along, gap = _near_pairs(shapes, centres, reach, box)
        close = gap < _NEAR * np.minimum(reach[pairs[:, 0]], reach[pairs[:, 1]])
        pairs, along = pairs[close], along[close]
        depth = _depths(shapes, centres, points, pairs, box)
        if depth.max(initial=0) <= 2 * contact_um:
            return centres
        _push(centres, pairs, along, depth, contact_um)
        _keep_inside(centres, low, high, box)
    raise PackingError(
        f"{len(reach)} particles still overlap by {depth.max():.2g} µm: lower the solid fraction"
    )


def _offsets(box: Box, start: Floats, end: Floats) -> Floats:
    """Shortest vectors (M, 3) from `start` to `end` over the periods."""
    offset: Floats = end - start
    period = np.array(box.period_um)
    offset[:, 1:] -= period * np.rint(offset[:, 1:] / period)
    return offset


def six_nearest(box: Box, centres: Floats) -> tuple[Pairs, Floats]:
    """The six nearest (N, 6) of each centre, nearest first, and the mean distance to them (N,).

    Fewer columns when there are fewer centres; the distance to nobody is 0.
    """
    k = min(7, len(centres))
    distance, nearest = _tree(box, centres).query(centres, k=np.arange(2, k + 1))
    mean = distance.mean(axis=1) if k > 1 else np.zeros(len(centres))
    return np.asarray(nearest, dtype=np.intp), np.asarray(mean, dtype=np.float64)


def _tree(box: Box, centres: Floats) -> cKDTree:
    return cKDTree(centres, boxsize=(0.0, *box.period_um))  # 0: not periodic


def _near_pairs(
    shapes: Shapes, centres: Floats, reach: Floats, box: Box
) -> tuple[Pairs, Floats, Floats]:
    """Pairs within reach, unit vectors between them, gap on the line between their centres."""
    pairs = _tree(box, centres).query_pairs(2 * float(reach.max()), output_type="ndarray")
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]  # in a fixed order
    offset = _offsets(box, centres[pairs[:, 0]], centres[pairs[:, 1]])
    distance = np.linalg.norm(offset, axis=1)
    near = distance < reach[pairs].sum(axis=1)
    pairs, offset, distance = pairs[near], offset[near], distance[near]
    along = offset / np.maximum(distance, 1e-9)[:, None]
    # one micrometre out on the line, the surface is 1 − distance away from the centre
    radii = [1 - radial_distances(shapes, pairs[:, k].copy(), s * along) for k, s in _ENDS]
    return pairs, along, distance - radii[0] - radii[1]


_ENDS = ((0, 1.0), (1, -1.0))


def _push(centres: Floats, pairs: Pairs, along: Floats, depth: Floats, contact_um: float) -> bool:
    """Move pairs that are deeper than a contact apart, half the way each; tell whether any was."""
    deep = depth > contact_um * 1.02
    step = (0.5 * (depth - contact_um) * deep)[:, None] * along
    for k, sign in _ENDS:
        for axis in range(3):
            centres[:, axis] -= sign * np.bincount(
                pairs[:, k], weights=step[:, axis], minlength=len(centres)
            )
    return bool(deep.any())


def _keep_inside(centres: Floats, low: Floats, high: Floats, box: Box) -> None:
    np.clip(centres[:, 0], low, high, out=centres[:, 0])
    centres[:, 1:] %= box.period_um
    centres[:, 1:][centres[:, 1:] >= box.period_um] = 0  # −1e-17 % period is the period itself


def _depths(
    shapes: Shapes, centres: Floats, points: list[Floats], pairs: Pairs, box: Box
) -> Floats:
    """How deep the surface of either reaches into the other, (M,) µm."""
    depth = np.full(len(pairs), -np.inf)
    for k, other in ((0, 1), (1, 0)):
        offset = _offsets(box, centres[pairs[:, other]], centres[pairs[:, k]])
        for m, (i, j) in enumerate(zip(pairs[:, k], pairs[:, other], strict=True)):
            facing = points[i][points[i] @ offset[m] < 0] + offset[m]
            inside = radial_distances(shapes, np.full(len(facing), j), facing)
            depth[m] = max(depth[m], -inside.min(initial=np.inf))
    return depth
