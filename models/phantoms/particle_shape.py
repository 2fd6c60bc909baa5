"""Star-shaped particles: ellipsoids with smooth lobes, of known volume, area and moments.

Out of scope: where particles lie (`models.phantoms.packing`); voxels.

The surface is at B (1 + Σ h_k P_k(a_k · u)) u from the centre for all unit vectors u: B turns and
stretches the unit ball, P_k are the Legendre polynomials of degree 3, 4 and 5 about the axes a_k,
h_k the heights of the lobes. Without lobes it is an ellipsoid, with equal axes a ball.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import special_ortho_group

from models.compiled import jit

Floats = npt.NDArray[np.float64]

_DEGREES = np.array([3, 4, 5])
_LATITUDES, _LONGITUDES = 24, 48  # Gauss–Legendre × uniform: exact to degree 47


class Shapes(NamedTuple):
    """Shape of N particles; a tuple of arrays, so that compiled loops take it whole.

    Attributes:
        outward: (N, 3, 3), B: from the lobed unit ball to offsets in µm, axes (z, y, x).
        inward: (N, 3, 3), its inverse.
        lobe_axes: (N, 3, 3), one unit vector a row.
        lobe_heights: (N, 3).
    """

    outward: Floats
    inward: Floats
    lobe_axes: Floats
    lobe_heights: Floats

    def take(self, index: npt.NDArray[np.intp]) -> "Shapes":
        """The shapes at `index`, in that order."""
        return Shapes(*(np.ascontiguousarray(part[index]) for part in self))


@dataclass(frozen=True, slots=True)
class Body:
    """What is known of one shape, from quadrature that is exact for volume and moments.

    Attributes:
        volume_um3: enclosed volume.
        centroid_um: offset (3,) of the centroid from the shape's centre.
        surface_um2: area of the surface.
        axes_um: (3,) full axes of the ellipsoid with the same second moments, descending.
        inscribed_um: radius of the ball about the centre that fits in.
        reach_um: greatest distance of the surface from the centre.
        extent_z_um: lowest and highest z of the surface.
    """

    volume_um3: float
    centroid_um: Floats
    surface_um2: float
    axes_um: Floats
    inscribed_um: float
    reach_um: float
    extent_z_um: tuple[float, float]


def draw_shapes(
    diameters_um: Floats,
    elongation_spread: float,
    irregularity: float,
    rng: np.random.Generator,
) -> Shapes:
    """Draw a random shape and orientation for each particle.

    Args:
        diameters_um: (N,) diameters of the balls of equal volume; each shape gets exactly that.
        elongation_spread: standard deviation of the logarithm of each semi-axis, cut at 2.5 of it.
        irregularity: r.m.s. displacement of the surface by lobes, per radius.
        rng: source of the shapes.

    Returns:
        The N shapes.
    """
    n = len(diameters_um)
    deviates = np.clip(rng.standard_normal((n, 3)), -2.5, 2.5)
    axes = np.exp(elongation_spread * deviates)
    axes /= np.cbrt(axes.prod(axis=1, keepdims=True))
    turns = special_ortho_group.rvs(3, size=n, random_state=rng).reshape(n, 3, 3)
    share = (1 / _DEGREES) / np.linalg.norm(1 / _DEGREES)  # higher lobes are lower
    # the mean square of P_k over the sphere is 1 / (2 k + 1)
    heights = irregularity * share * np.sqrt(2 * _DEGREES + 1) * rng.uniform(-1.7, 1.7, (n, 3))
    lobe_axes = rng.standard_normal((n, 3, 3))
    lobe_axes /= np.linalg.norm(lobe_axes, axis=2, keepdims=True)
    directions, weights = _quadrature()
    outward = turns * axes[:, None, :]
    for i in range(n):
        profile = _profile(lobe_axes[i], heights[i], directions)[0]
        unit_um3 = float(weights @ profile**3) / 3
        outward[i] *= math.cbrt(math.pi * diameters_um[i] ** 3 / 6 / unit_um3)
    return Shapes(outward, np.linalg.inv(outward), lobe_axes, heights)


def body(shapes: Shapes, i: int) -> Body:
    """Surface, moments and extents of shape `i`."""
    directions, weights = _quadrature()
    profile, offsets, area = _surface(shapes, i, directions)
    outward = shapes.outward[i]
    volume = float(weights @ profile**3) / 3
    centroid = outward @ ((weights * profile**4) @ directions) / (4 * volume)
    unit_moment = np.einsum("k,ki,kj->ij", weights * profile**5, directions, directions)
    moment = outward @ unit_moment @ outward.T / (5 * volume) - np.outer(centroid, centroid)
    distance = np.linalg.norm(offsets, axis=1)
    return Body(
        volume_um3=volume * abs(float(np.linalg.det(outward))),
        centroid_um=centroid,
        surface_um2=float(weights @ np.linalg.norm(area, axis=1)),
        axes_um=2 * np.sqrt(5 * np.linalg.eigvalsh(moment)[::-1]),
        inscribed_um=float(distance.min()),
        reach_um=1.01 * float(distance.max()),  # the quadrature may miss the very tip
        extent_z_um=(float(offsets[:, 0].min()), float(offsets[:, 0].max())),
    )


def surface_points(shapes: Shapes, i: int, n: int) -> tuple[Floats, Floats, Floats, Floats]:
    """`n` points spread over the surface of shape `i`.

    Returns:
        Unit vectors u (n, 3) before B; offsets from the centre in µm (n, 3); outward normals
        (n, 3); the area in µm² that each point stands for (n,).
    """
    directions = fibonacci(n)
    _, offsets, area = _surface(shapes, i, directions)
    size = np.linalg.norm(area, axis=1)
    return directions, offsets, area / size[:, None], size * (4 * math.pi / n)


def interior_points(shapes: Shapes, i: int, n: int) -> tuple[Floats, Floats]:
    """`n` points spread over the inside of shape `i`.

    Returns:
        Offsets from the centre in µm (n, 3) and the share of the volume each stands for (n,).
    """
    directions = fibonacci(n)
    profile, offsets, _ = _surface(shapes, i, directions)
    golden = (math.sqrt(5) - 1) / 2
    radii = np.cbrt(np.modf((np.arange(n) + 0.5) * golden * math.sqrt(2))[0])
    return radii[:, None] * offsets, profile**3 / np.sum(profile**3)


def fibonacci(n: int) -> Floats:
    """`n` nearly evenly spread unit vectors (n, 3): the Fibonacci lattice."""
    z = 1 - (2 * np.arange(n) + 1) / n
    turn = np.arange(n) * (math.pi * (3 - math.sqrt(5)))
    ring = np.sqrt(1 - z * z)
    return np.stack([z, ring * np.sin(turn), ring * np.cos(turn)], axis=1)


@jit
def radial_distance(shapes: Shapes, i: int, z: float, y: float, x: float) -> float:
    """Distance of an offset from the surface along the line from the centre; negative inside.

    Only + − × ÷ and square roots, which are rounded alike everywhere: a voxel's answer does not
    depend on the block that it is rendered in.
    """
    inward, axes, heights = shapes.inward[i], shapes.lobe_axes[i], shapes.lobe_heights[i]
    length = math.sqrt(z * z + y * y + x * x)
    a = inward[0, 0] * z + inward[0, 1] * y + inward[0, 2] * x
    b = inward[1, 0] * z + inward[1, 1] * y + inward[1, 2] * x
    c = inward[2, 0] * z + inward[2, 1] * y + inward[2, 2] * x
    unit = math.sqrt(a * a + b * b + c * c)
    if unit < 1e-9:  # at the centre every direction would do
        return -1.0 / math.sqrt(inward[0, 0] ** 2 + inward[1, 0] ** 2 + inward[2, 0] ** 2)
    t = (axes[0, 0] * a + axes[0, 1] * b + axes[0, 2] * c) / unit
    u = (axes[1, 0] * a + axes[1, 1] * b + axes[1, 2] * c) / unit
    v = (axes[2, 0] * a + axes[2, 1] * b + axes[2, 2] * c) / unit
    profile = 1.0 + heights[0] * 0.5 * t * (5 * t * t - 3)
    profile += heights[1] * 0.125 * (u * u * (35 * u * u - 30) + 3)
    profile += heights[2] * 0.125 * v * (v * v * (63 * v * v - 70) + 15)
    return float(length - length * profile / unit)


@jit
def radial_distances(shapes: Shapes, index: npt.NDArray[np.intp], offsets: Floats) -> Floats:
    """`radial_distance` of offsets (M, 3) from the centres of the shapes `index` (M,)."""
    distances = np.empty(len(index))
    for k in range(len(index)):
        distances[k] = radial_distance(
            shapes, index[k], offsets[k, 0], offsets[k, 1], offsets[k, 2]
        )
    return distances


def _quadrature() -> tuple[Floats, Floats]:
    """Directions (K, 3) and weights (K,) that sum to 4π."""
    heights, weights = np.polynomial.legendre.leggauss(_LATITUDES)
    turn = np.arange(_LONGITUDES) * (2 * math.pi / _LONGITUDES)
    ring = np.sqrt(1 - heights**2)[:, None]
    z = np.broadcast_to(heights[:, None], (_LATITUDES, _LONGITUDES))
    directions = np.stack([z, ring * np.sin(turn), ring * np.cos(turn)], axis=-1).reshape(-1, 3)
    return directions, np.repeat(weights * (2 * math.pi / _LONGITUDES), _LONGITUDES)


def _profile(axes: Floats, heights: Floats, directions: Floats) -> tuple[Floats, Floats]:
    """1 + Σ h_k P_k (K,) and its slope on the sphere (K, 3)."""
    t = directions @ axes.T  # (K, 3)
    square = t * t
    values = np.stack(
        [
            t[:, 0] * (5 * square[:, 0] - 3) / 2,
            (square[:, 1] * (35 * square[:, 1] - 30) + 3) / 8,
            t[:, 2] * (square[:, 2] * (63 * square[:, 2] - 70) + 15) / 8,
        ]
    )
    slopes = np.stack(
        [
            (15 * square[:, 0] - 3) / 2,
            t[:, 1] * (140 * square[:, 1] - 60) / 8,
            (square[:, 2] * (315 * square[:, 2] - 210) + 15) / 8,
        ]
    )
    ambient = (slopes.T * heights) @ axes
    along = np.einsum("ki,ki->k", ambient, directions)
    return 1 + heights @ values, ambient - along[:, None] * directions


def _surface(shapes: Shapes, i: int, directions: Floats) -> tuple[Floats, Floats, Floats]:
    """Profile (K,), offsets (K, 3) and vector area per solid angle (K, 3)."""
    profile, slope = _profile(shapes.lobe_axes[i], shapes.lobe_heights[i], directions)
    offsets = (profile[:, None] * directions) @ shapes.outward[i].T
    before = profile[:, None] * (profile[:, None] * directions - slope)
    # a linear map takes a vector area by its cofactors, det(B) B⁻ᵀ
    area = before @ (abs(np.linalg.det(shapes.outward[i])) * shapes.inward[i])
    return profile, offsets, area
