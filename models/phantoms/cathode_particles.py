"""The secondary particles of a cathode's surface: sizes, places, which are cracked, and how.

Out of scope: pixels (`models.phantoms.cathode_surface`). Lengths are in pixels; axes are z
(upwards, towards the detector), y, x.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from models.phantoms.cathode_config import CathodePhantom

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_SOLID = 0.62  # volume of the particles per volume of the layer that is packed
_LAYER = 1.6  # thickness of the layer per diameter of mean volume
_SPREADS = 2.5  # where the log-normal distribution is cut
_SWEEPS = 24  # of pushing particles apart; overlaps are then below 5 % of a diameter on average
_RENEWED = 6  # sweeps between two looks at who is near whom
_PRESS = 0.12  # r.m.s. depth of the tops below the plane of the calender, per median diameter
_WIDEST = 0.16  # median width of cracks per radius, however small the particle
_STRETCH = 0.12  # standard deviation of the logarithm of the outlines' aspect ratio


@dataclass(frozen=True, slots=True, eq=False)
class Particles:
    """N particles.

    Attributes:
        centre: (N, 3).
        radius: (N,), of a circle as large as the outline.
        stretch: (N, 2, 2), maps offsets (y, x) to those of a circle of that radius.
        cracked: (N,).
        broken: (N,), of the cracked ones.
    """

    centre: Floats
    radius: Floats
    stretch: Floats
    cracked: Bools
    broken: Bools

    def take(self, which: npt.NDArray[np.intp]) -> "Particles":
        """Those of some places."""
        return Particles(
            self.centre[which],
            self.radius[which],
            self.stretch[which],
            self.cracked[which],
            self.broken[which],
        )


@dataclass(frozen=True, slots=True)
class Crack:
    """One crack over a particle, in units of its radius.

    Along the axis a of a frame turned by `turn`, the crack runs at b = offset + bend a² + steps,
    from `start` to `end`; the steps follow the boundaries of primary grains.
    """

    turn: float
    offset: float
    bend: float
    start: float
    end: float
    width: float
    step_height: float
    waves: tuple[tuple[float, float, float], ...]

    def line(self, along: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Place b of the crack at every a."""
        b = np.float32(self.offset) + np.float32(self.bend) * along * along
        for share, frequency, phase in self.waves:
            step = np.sin(np.float32(frequency) * along + np.float32(phase))
            b = b + np.float32(self.step_height * share) * step
        return np.asarray(b, dtype=np.float32)


def particles(config: CathodePhantom) -> Particles:
    """Draw and pack the particles of a field of view and a margin around it."""
    median, spread = config.diameter_px, config.diameter_spread
    margin = 0.5 * median * math.exp(_SPREADS * spread)
    sides = np.array(config.shape_px) + 2 * margin
    cube = median**3 * math.exp(4.5 * spread**2)
    layer = _LAYER * cube ** (1 / 3)
    count = max(math.ceil(_SOLID * layer * sides.prod() / (math.pi / 6 * cube)), 1)
    rng = config.stream("particles")
    deviate = np.clip(rng.standard_normal(count), -_SPREADS, _SPREADS)
    radius = 0.5 * median * np.exp(spread * deviate)
    ceiling = -np.abs(rng.normal(0, _PRESS * median, count))
    place = rng.random((count, 3)) * [layer, *sides] - [layer, margin, margin]
    half = np.exp(rng.normal(0, _STRETCH / 2, count))
    angle = rng.uniform(0, math.pi, count)
    damage = config.stream("damage")
    cracked = damage.random(count) < config.crack_share
    broken = cracked & (damage.random(count) < config.broken_share)
    return Particles(
        _packed(place, radius, ceiling - radius, layer),
        radius,
        _stretches(half, angle),
        cracked,
        broken,
    )


def _packed(place: Floats, radius: Floats, highest: Floats, layer: float) -> Floats:
    """Push overlapping particles apart, the small ones more, below the calender's plane."""
    lowest = np.minimum(radius - layer, highest)
    place[:, 0] = np.clip(place[:, 0], lowest, highest)
    mass = radius**3
    for sweep in range(_SWEEPS):
        if sweep % _RENEWED == 0:
            first, second = _neighbours(place, radius)
        apart = place[second] - place[first]
        distance = np.maximum(np.sqrt(np.einsum("ij,ij->i", apart, apart)), 1e-6)
        overlap = np.maximum(radius[first] + radius[second] - distance, 0)
        push = apart * (overlap / distance)[:, None]
        share = (mass[second] / (mass[first] + mass[second]))[:, None]
        for axis in range(3):
            away = np.bincount(first, (push * share)[:, axis], len(place))
            away -= np.bincount(second, (push * (1 - share))[:, axis], len(place))
            place[:, axis] -= 0.5 * away
        place[:, 0] = np.clip(place[:, 0], lowest, highest)
    return place


def _neighbours(place: Floats, radius: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Pairs that touch or nearly do."""
    pairs = cKDTree(place).query_pairs(2.1 * float(radius.max()), output_type="ndarray")
    first, second = pairs[:, 0], pairs[:, 1]
    apart = place[second] - place[first]
    reach = 1.25 * (radius[first] + radius[second])
    near = np.einsum("ij,ij->i", apart, apart) < reach * reach
    return first[near], second[near]


def _stretches(half: Floats, angle: Floats) -> Floats:
    """Matrices (N, 2, 2) of determinant 1 that take ellipses to circles."""
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
    scale = np.zeros_like(turn)
    scale[:, 0, 0], scale[:, 1, 1] = half, 1 / half
    return np.asarray(turn @ scale @ np.swapaxes(turn, 1, 2), dtype=np.float64)


def draw_cracks(
    rng: np.random.Generator, width: float, grain: float, *, broken: bool
) -> tuple[Crack, ...]:
    """Cracks of one particle: one across, and up to two that branch off.

    Args:
        rng: source of their course.
        width: median width per radius.
        grain: diameter of the primary grains per radius; cracks run between them.
        broken: whether the first crack goes all through and gapes.
    """
    turn = rng.uniform(0, 2 * math.pi)
    offset, bend = rng.normal(0, 0.16), rng.normal(0, 0.22)
    reach = (-1.2, 1.2) if broken else (-rng.uniform(0.55, 1.2), rng.uniform(0.55, 1.2))
    width = min(width, _WIDEST) * math.exp(rng.normal(0, 0.25))
    waves = _waves(rng, grain)
    step = min(0.35 * grain, 0.12)
    found = [Crack(turn, offset, bend, *reach, width * (2.2 if broken else 1.0), step, waves)]
    for _ in range(int(rng.integers(3))):
        side = rng.choice([-1.0, 1.0])
        away = turn + side * rng.uniform(0.9, 1.9)
        found.append(
            Crack(
                away,
                rng.normal(0, 0.15),
                rng.normal(0, 0.2),
                0.0,
                rng.uniform(0.5, 1.2),
                0.75 * width,
                step,
                _waves(rng, grain),
            )
        )
    return tuple(found)


def _waves(rng: np.random.Generator, grain: float) -> tuple[tuple[float, float, float], ...]:
    """Shares, frequencies and phases of three waves about as long as two grains."""
    base = math.pi / max(grain, 0.08)
    return tuple(
        (share, base * rng.uniform(0.5, 1.3) * scale, rng.uniform(0, 2 * math.pi))
        for share, scale in ((1.0, 0.35), (0.7, 0.7), (0.5, 1.0))
    )
