"""Carbon-binder: coats that cover a known share of each particle, and webs in the pores between.

Out of scope: voxels; binder inside cracks, of which there is none.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve1d
from scipy.spatial import cKDTree

from models.compiled import jit
from models.phantoms.particle_shape import Floats, Shapes, radial_distances, surface_points

LATTICE = 32  # points a side of the periodic lattice of random values
_POINTS = 1000  # on each surface; a share of it is known to about 1 %


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachmentLaw:
    """What the bare share of a particle's surface depends on, and what depends on it.

    Jiang et al. 2020 (Nat. Commun. 11, 2310) find more detachment at higher rates and in larger
    particles, and electron densities that go with it; the strengths are made up.

    Attributes:
        size_slope: change of the expected share per e-fold of the diameter.
        density_slope: change of a particle's mean electron density, in e⁻/Å³, from a share of 0 to
            one of 1.
    """

    size_slope: float = 0.0
    density_slope: float = 0.0

    def expected(self, mean: float, log_size: Floats) -> Floats:
        """Expected share (N,) from that of median size and ln(d / median), 0.05…0.95."""
        if self.size_slope == 0:
            return np.full(len(log_size), mean)
        return np.asarray(np.clip(mean + self.size_slope * log_size, 0.05, 0.95), np.float64)


class Coats(NamedTuple):
    """Coats of N particles; a tuple of arrays, so that compiled loops take it whole.

    The binder covers a particle where ``u · p + 0.8 (u · q)²`` is at least the threshold, u being
    the direction in the particle's own unit ball.

    Attributes:
        axes: (N, 2, 3), p and q in the unit ball.
        threshold: (N,).
    """

    axes: Floats
    threshold: Floats


def draw_detachment(mean: Floats, spread: float, rng: np.random.Generator) -> Floats:
    """Shares of the surface (N,) from beta distributions of means (N,) and a standard deviation.

    Raises:
        ValueError: if no beta distribution has them.
    """
    if spread == 0 or np.all((mean == 0) | (mean == 1)):
        return mean.copy()
    size = mean * (1 - mean) / spread**2 - 1
    if np.any(size <= 0):
        raise ValueError(f"detachment of mean {mean[size <= 0][0]:.3g} cannot spread by {spread}")
    return rng.beta(mean * size, (1 - mean) * size)


def plan_coats(shapes: Shapes, detachment: Floats, rng: np.random.Generator) -> Coats:
    """Coat each particle so that the share `detachment` (N,) of its surface stays bare."""
    n = len(detachment)
    axes = rng.standard_normal((n, 2, 3))
    axes /= np.linalg.norm(axes, axis=2, keepdims=True)
    threshold = np.empty(n)
    for i in range(n):
        directions, _, _, area = surface_points(shapes, i, _POINTS)
        field = directions @ axes[i, 0] + 0.8 * (directions @ axes[i, 1]) ** 2
        order = np.argsort(field)
        bare = np.concatenate([[0.0], np.cumsum(area[order])]) / area.sum()
        steps = np.concatenate([[field[order[0]]], field[order]])
        threshold[i] = np.interp(detachment[i], bare, steps)
    threshold[detachment <= 0] = -math.inf  # the field's extremes lie between the points
    threshold[detachment >= 1] = math.inf
    return Coats(axes, threshold)


@jit
def coated(shapes: Shapes, coats: Coats, i: int, z: float, y: float, x: float) -> bool:
    """Whether binder covers particle `i` in the direction of an offset from its centre."""
    inward, axes = shapes.inward[i], coats.axes[i]
    a = inward[0, 0] * z + inward[0, 1] * y + inward[0, 2] * x
    b = inward[1, 0] * z + inward[1, 1] * y + inward[1, 2] * x
    c = inward[2, 0] * z + inward[2, 1] * y + inward[2, 2] * x
    unit = math.sqrt(a * a + b * b + c * c)
    p = (axes[0, 0] * a + axes[0, 1] * b + axes[0, 2] * c) / unit
    q = (axes[1, 0] * a + axes[1, 1] * b + axes[1, 2] * c) / unit
    return bool(p + 0.8 * q * q >= coats.threshold[i])


@jit
def coated_offsets(
    shapes: Shapes, coats: Coats, index: npt.NDArray[np.intp], offsets: Floats
) -> npt.NDArray[np.bool_]:
    """`coated` for offsets (M, 3) from the centres of the particles `index` (M,)."""
    covered = np.empty(len(index), dtype=np.bool_)
    for k in range(len(index)):
        covered[k] = coated(shapes, coats, index[k], offsets[k, 0], offsets[k, 1], offsets[k, 2])
    return covered


def detachment_in_place(
    shapes: Shapes,
    coats: Coats,
    centres: Floats,
    within_um: Floats,
    off_um: float,
    collector_um: tuple[float, float],
) -> Floats:
    """Share of each surface that faces neither binder nor another particle, in the electrode.

    Looks from 1000 points of each whole surface at what lies `off_um` outside: inside another
    particle, or in the coat or bare surrounding of whichever particle is nearest there.

    Args:
        shapes: of the N particles.
        coats: of the N particles.
        centres: (N, 3) in µm.
        within_um: (N,) two particles that are nearer than the sum of theirs may face each other.
        off_um: distance of the look.
        collector_um: z between which the current collector lies; it counts as neither.

    Returns:
        (N,) shares, 0…1.
    """
    shares = np.empty(len(centres))
    neighbours = _neighbours(centres, within_um)
    for i in range(len(centres)):
        _, offsets, normals, area = surface_points(shapes, i, _POINTS)
        look = centres[i] + offsets + off_um * normals
        touching = np.zeros(_POINTS, dtype=bool)
        nearest = _distances(shapes, i, look - centres[i])
        covered = _covered(shapes, coats, i, look - centres[i])
        for j in neighbours[i]:
            there = _distances(shapes, j, look - centres[j])
            touching |= there <= 0
            nearer = there < nearest
            covered[nearer] = _covered(shapes, coats, j, look[nearer] - centres[j])
            nearest = np.minimum(nearest, there)
        covered &= (look[:, 0] < collector_um[0]) | (look[:, 0] > collector_um[1])
        shares[i] = area[~(covered | touching)].sum() / area.sum()
    return shares


def web_lattice(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A periodic lattice (32, 32, 32) of smooth random values, standard deviation 1."""
    lattice = rng.standard_normal((LATTICE,) * 3)
    for axis in range(3):
        lattice = convolve1d(lattice, [0.25, 0.5, 0.25], axis=axis, mode="wrap")
    return np.asarray(lattice / lattice.std(), dtype=np.float32)


@jit
def web_value(lattice: npt.NDArray[np.float32], z: float, y: float, x: float) -> float:
    """Value between the lattice's points, linear along each axis; coordinates in its steps."""
    k, j, i = math.floor(z), math.floor(y), math.floor(x)
    w, v, u = z - k, y - j, x - i
    k0, j0, i0 = k % LATTICE, j % LATTICE, i % LATTICE
    k1, j1, i1 = (k0 + 1) % LATTICE, (j0 + 1) % LATTICE, (i0 + 1) % LATTICE
    lower = (lattice[k0, j0, i0] * (1 - u) + lattice[k0, j0, i1] * u) * (1 - v) + (
        lattice[k0, j1, i0] * (1 - u) + lattice[k0, j1, i1] * u
    ) * v
    upper = (lattice[k1, j0, i0] * (1 - u) + lattice[k1, j0, i1] * u) * (1 - v) + (
        lattice[k1, j1, i0] * (1 - u) + lattice[k1, j1, i1] * u
    ) * v
    return float(lower * (1 - w) + upper * w)


def _neighbours(centres: Floats, within_um: Floats) -> list[list[int]]:
    if len(centres) == 0:
        return []
    near = cKDTree(centres).query_ball_point(centres, within_um + within_um.max())
    return [
        [
            j
            for j in sorted(candidates)
            if j != i and math.dist(centres[i], centres[j]) < within_um[i] + within_um[j]
        ]
        for i, candidates in enumerate(near)
    ]


def _distances(shapes: Shapes, i: int, offsets: Floats) -> Floats:
    return radial_distances(shapes, np.full(len(offsets), i, dtype=np.intp), offsets)


def _covered(shapes: Shapes, coats: Coats, i: int, offsets: Floats) -> npt.NDArray[np.bool_]:
    return coated_offsets(shapes, coats, np.full(len(offsets), i, dtype=np.intp), offsets)
