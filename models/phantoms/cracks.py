"""Cracks of known volume inside particles, and the law of how damaged each particle is.

Out of scope: voxels; the shape of particles.

A particle's crack is a bent disc about its centre, with up to two half discs that branch off at
right angles, one on each side. Some discs open to the surface over a sector. All are equally wide.
Bending moves points along the disc's normal by an amount that depends on the other two coordinates
only, a shear: it leaves every volume as it was.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from models.compiled import jit
from models.phantoms.particle_shape import Body, Floats, Shapes, radial_distances

_BEND = 0.1  # displacement of the disc's rim per radius
_INSIDE = 0.9  # of the inscribed ball: closed cracks end there
_SECTOR = math.radians(25)  # half the angle over which an open crack reaches the surface
_OPEN_AT_MOST = 0.6  # of a crack's volume may lie in the sector
_WIDEST = 0.5  # opening per inscribed radius


@dataclass(frozen=True, slots=True, kw_only=True)
class DamageLaw:
    """How damaged a particle is expected to be, and how far particles stray from it.

    The particle's own damage is ``level * (1 + depth_slope * (depth - 1/2) + size_slope *
    ln(d / median) + crowding_slope * ln(median / distance))``, not below 0; of what results, the
    share `coupling` is replaced by the mean of the six nearest particles' own. The damage is that
    times a log-normal factor of mean 1.

    Attributes:
        level: damage of a particle of median size half-way between collector and separator.
        depth_slope: relative change from the collector (depth 0) to the separator (depth 1).
        size_slope: relative change per e-fold of the diameter d.
        crowding_slope: relative change per e-fold that the six nearest centres are closer.
        coupling: with the six nearest, 0…1.
        noise: standard deviation of the factor's logarithm.
    """

    level: float = 0.05
    depth_slope: float = 1.0
    size_slope: float = 0.5
    crowding_slope: float = 0.0
    coupling: float = 0.2
    noise: float = 0.4

    def expected(
        self,
        depth: Floats,
        log_size: Floats,
        log_crowding: Floats,
        nearest: npt.NDArray[np.intp],
    ) -> Floats:
        """Expected damage (N,).

        Args:
            depth: (N,).
            log_size: (N,) ln(d / median).
            log_crowding: (N,) ln(median / distance), of the mean distance to the six nearest.
            nearest: (N, 6) places of the six nearest.
        """
        own = self.level * (
            1
            + self.depth_slope * (depth - 0.5)
            + self.size_slope * log_size
            + self.crowding_slope * log_crowding
        )
        own = np.asarray(np.maximum(own, 0), dtype=np.float64)
        if nearest.shape[1] == 0:
            return own
        around = np.asarray(own[nearest].mean(axis=1), dtype=np.float64)
        return (1 - self.coupling) * own + self.coupling * around

    def draw(self, expected: Floats, rng: np.random.Generator) -> Floats:
        """Damage (N,) that strays from `expected` by the noise."""
        factor = np.exp(rng.normal(-(self.noise**2) / 2, self.noise, len(expected)))
        return expected * factor


class Cracks(NamedTuple):
    """Cracks of N particles; a tuple of arrays, so that compiled loops take it whole.

    Attributes:
        frame: (N, 3, 3), rows: the disc's normal, the middle of its open sector, the third axis.
        half_opening_um: (N,), half the distance between the faces; negative without a crack.
        disc_um: (N,), radius of the disc.
        branch_um: (N,), radius of the two half discs; 0 without.
        bend_per_um: (N,), displacement along the normal per square of distance.
        sector_cosine: (N,), of half the open sector; 2 for a closed crack.
        volume_um3: (N,).
    """

    frame: Floats
    half_opening_um: Floats
    disc_um: Floats
    branch_um: Floats
    bend_per_um: Floats
    sector_cosine: Floats
    volume_um3: Floats


def plan_cracks(
    shapes: Shapes,
    bodies: list[Body],
    volumes_um3: Floats,
    opening_um: float,
    open_share: float,
    rng: np.random.Generator,
) -> Cracks:
    """Find a crack of the wanted volume in each particle.

    The disc grows first, then the branches, then the opening. What is more than the particle can
    hold (a third of its volume for a ball, 15 … 30 % for the default shapes) is left out.

    Args:
        shapes: of the N particles.
        bodies: their extents.
        volumes_um3: (N,), wanted.
        opening_um: distance of a crack's faces; less for cracks that are smaller than it is wide.
        open_share: share of the particles whose crack opens to the surface, where it is large
            enough.
        rng: source of positions and of which cracks open.

    Returns:
        The cracks; `volume_um3` is theirs, by formula for closed ones and by quadrature for the
        sectors of open ones.
    """
    n = len(bodies)
    frame = np.linalg.qr(rng.standard_normal((n, 3, 3)))[0]
    bend = rng.uniform(-_BEND, _BEND, n)
    opens = rng.random(n) < open_share
    sizes = np.zeros((n, 5))  # half opening, disc, branch, cosine, volume
    for i in range(n):
        largest = _INSIDE * bodies[i].inscribed_um / (1 + _BEND)
        section = (
            _sector_section_um2(shapes, i, frame[i], opening_um, bend[i] / largest)
            if opens[i]
            else 0.0
        )
        sizes[i] = _size(volumes_um3[i], opening_um, largest, section)
        bend[i] /= largest
    half, disc, branch, cosine, volume = (np.ascontiguousarray(part) for part in sizes.T)
    return Cracks(np.ascontiguousarray(frame), half, disc, branch, bend, cosine, volume)


@jit
def cracked(cracks: Cracks, i: int, z: float, y: float, x: float) -> bool:
    """Whether an offset from the centre lies in the crack of particle `i` (or beyond its mouth)."""
    half = cracks.half_opening_um[i]
    if half < 0:
        return False
    frame = cracks.frame[i]
    along = frame[1, 0] * z + frame[1, 1] * y + frame[1, 2] * x
    across = frame[2, 0] * z + frame[2, 1] * y + frame[2, 2] * x
    height = frame[0, 0] * z + frame[0, 1] * y + frame[0, 2] * x
    height -= cracks.bend_per_um[i] * (along * along - across * across)
    if abs(height) <= half:
        square = along * along + across * across
        if square <= cracks.disc_um[i] ** 2:
            return True
        return bool(along >= cracks.sector_cosine[i] * math.sqrt(square))
    # the branch above stands along one axis of the disc, the one below between the axes
    if height < 0:
        along, across = (along + across) * math.sqrt(0.5), (along - across) * math.sqrt(0.5)
    return bool(abs(along) <= half and height**2 + across**2 <= cracks.branch_um[i] ** 2)


def _size(
    volume: float, opening: float, largest: float, section: float
) -> tuple[float, float, float, float, float]:
    """Half opening, disc, branch, cosine of the sector and volume of a crack.

    Args:
        volume: wanted.
        opening: wanted.
        largest: distance from the centre that closed cracks keep to.
        section: area of the open sector, from the centre to the surface; 0 for a closed crack.
    """
    if volume <= 0:
        return -1.0, 0.0, 0.0, 2.0, 0.0
    if volume < math.pi * opening**3 / 4:  # smaller than it is wide: as high as its radius
        radius = math.cbrt(volume / (2 * math.pi))
        return radius, radius, 0.0, 2.0, volume
    widest = _WIDEST * largest
    opening = min(opening, widest)
    sector = _SECTOR if opening * section < _OPEN_AT_MOST * volume and section > 0 else 0.0
    section = section if sector else 0.0

    def whole(disc: float, branch: float, width: float) -> float:
        area = (math.pi - sector) * disc**2 + section + 2 * _segment(branch, width / 2)
        return area * width

    def room(width: float) -> float:
        return math.sqrt(largest**2 - width**2 / 4)

    full, cosine = room(opening), math.cos(_SECTOR) if sector else 2.0
    if volume <= whole(full, 0, opening):
        disc = math.sqrt((volume / opening - section) / (math.pi - sector))
        return opening / 2, disc, 0.0, cosine, volume
    if volume <= whole(full, full, opening):
        branch = brentq(lambda b: whole(full, b, opening) - volume, opening / 2, full)
        return opening / 2, full, float(branch), cosine, volume
    width = widest
    if volume < whole(room(width), room(width), width):
        width = brentq(lambda w: whole(room(w), room(w), w) - volume, opening, width)
    full = room(width)
    return width / 2, full, full, cosine, whole(full, full, width)


def _segment(radius: float, height: float) -> float:
    """Area of the part of a disc beyond `height` from its centre."""
    if radius <= height:
        return 0.0
    return radius**2 * math.acos(height / radius) - height * math.sqrt(radius**2 - height**2)


def _sector_section_um2(
    shapes: Shapes, i: int, frame: Floats, opening_um: float, bend_per_um: float
) -> float:
    """Area of the bent disc's sector up to the surface of the particle, mean over the opening."""
    nodes, weights = np.polynomial.legendre.leggauss(3)
    height = np.repeat(nodes * opening_um / 2, 48)
    angles, shares = np.polynomial.legendre.leggauss(48)
    angle = np.tile(angles * _SECTOR, 3)
    low, high = np.zeros(len(angle)), np.full(len(angle), 2 / np.linalg.norm(shapes.inward[i], 2))
    high *= np.linalg.cond(shapes.inward[i])
    index = np.full(len(angle), i)
    for _ in range(40):
        distance = (low + high) / 2
        along, across = distance * np.cos(angle), distance * np.sin(angle)
        normal = height + bend_per_um * (along**2 - across**2)
        inside = radial_distances(shapes, index, np.stack([normal, along, across], 1) @ frame) < 0
        low, high = np.where(inside, distance, low), np.where(inside, high, distance)
    area = (low.reshape(3, 48) ** 2 / 2) @ (shares * _SECTOR)
    return float(area @ weights / 2)
