"""The particles of an electrode in their places: size, shape, depth, how damaged they are to be.

Out of scope: their cracks and coats; voxels.
"""

import math
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.phantoms.electrode_config import ElectrodePhantom
from models.phantoms.packing import Box, draw_diameters, pack, six_nearest
from models.phantoms.particle_shape import Body, Floats, Shapes, body, draw_shapes, interior_points

_CONTACT = 0.4  # depth that pushed-apart particles keep, of the smallest voxel side
_SLIVER = 0.02  # particles with less than this share of their volume in the grid are left out


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """The N particles that the grid sees.

    Attributes:
        shapes: of all.
        bodies: their volumes and extents.
        centres_um: (N, 3), voxel (k, j, i) being at (k dz, j dy, i dx).
        inside_fraction: (N,), share of the volume within the grid.
        depth_fraction: (N,), centroid between collector (0) and separator (1).
        damage_expected: (N,), of the law without noise.
        damage: (N,), wanted.
    """

    shapes: Shapes
    bodies: list[Body]
    centres_um: Floats
    inside_fraction: Floats
    depth_fraction: Floats
    damage_expected: Floats
    damage: Floats

    @property
    def volume_um3(self) -> Floats:
        """(N,), cracks included."""
        return np.array([body.volume_um3 for body in self.bodies])

    @property
    def centroids_um(self) -> Floats:
        """(N, 3)."""
        offsets = np.array([body.centroid_um for body in self.bodies]).reshape(-1, 3)
        return np.asarray(self.centres_um + offsets, dtype=np.float64)


def stream(config: ElectrodePhantom, purpose: str) -> np.random.Generator:
    """Random numbers of one purpose, which no other setting of the electrode moves."""
    return np.random.default_rng([config.seed, zlib.crc32(purpose.encode())])


def gather(config: ElectrodePhantom) -> Crowd:
    """Draw and pack the particles of a wide slot, and keep those in the grid.

    The slot is periodic in y and x and wider than the grid by the largest particle on each side, so
    that the border of the grid cuts particles as that of a field of view does. Particles of which
    less than 2 % are in the grid are left out.

    Raises:
        PackingError: if the particles do not fit.
    """
    margin = _largest_reach_um(config)
    low, high = config.electrode_extent_um
    sides = [
        n * step + 2 * margin
        for n, step in zip(config.shape_voxels[1:], config.voxel_size_um[1:], strict=True)
    ]
    box = Box(low, high, (sides[0], sides[1]))
    diameters = draw_diameters(
        config.diameter_um,
        config.diameter_spread,
        config.solid_fraction * box.volume_um3,
        stream(config, "diameters"),
    )
    shapes = draw_shapes(
        diameters, config.elongation_spread, config.irregularity, stream(config, "shapes")
    )
    bodies = [body(shapes, i) for i in range(len(diameters))]
    contact_um = _CONTACT * min(config.voxel_size_um)
    centres = pack(shapes, bodies, box, contact_um, stream(config, "places"))
    depth = (centres[:, 0] + [b.centroid_um[0] for b in bodies] - low) / (high - low)
    if config.collector_side == "z_high":
        depth = 1 - depth
    law = config.damage
    log_size = np.log(diameters / config.diameter_um)
    nearest, distance_um = six_nearest(box, centres)
    crowding = np.log(np.median(distance_um) / distance_um) if nearest.shape[1] else distance_um
    expected = law.expected(depth, log_size, crowding, nearest)
    damage = law.draw(expected, stream(config, "damage"))
    centres -= [0, margin, margin]
    inside = _inside_fractions(config, shapes, bodies, centres)
    seen = np.flatnonzero(inside >= _SLIVER)
    return Crowd(
        shapes.take(seen),
        [bodies[i] for i in seen],
        centres[seen],
        inside[seen],
        depth[seen],
        expected[seen],
        damage[seen],
    )


def _largest_reach_um(config: ElectrodePhantom) -> float:
    """No particle of this description reaches farther from its centre (see `draw_shapes`)."""
    stretch = math.exp(10 / 3 * config.elongation_spread) * (1 + 8.5 * config.irregularity)
    return 0.5 * config.diameter_um * math.exp(2.5 * config.diameter_spread) * stretch * 1.02


def _inside_fractions(
    config: ElectrodePhantom, shapes: Shapes, bodies: list[Body], centres: Floats
) -> Floats:
    low = -0.5 * np.array(config.voxel_size_um)
    high = low + np.array(config.shape_voxels) * config.voxel_size_um
    reach = np.array([b.reach_um for b in bodies])[:, None]
    fractions: npt.NDArray[np.float64] = np.where(
        ((centres + reach > low) & (centres - reach < high)).all(axis=1), 1.0, 0.0
    )
    whole = ((centres - reach > low) & (centres + reach < high)).all(axis=1)
    for i in np.flatnonzero((fractions > 0) & ~whole):
        offsets, weights = interior_points(shapes, int(i), 1000)
        points = centres[i] + offsets
        fractions[i] = weights[((points > low) & (points < high)).all(axis=1)].sum()
    return fractions
