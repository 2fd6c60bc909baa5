"""From particles, cracks and coats to the voxels of any block of an electrode.

Out of scope: planning them (`models.phantoms.electrode`); grey values.

Every voxel is decided by its own centre alone: the particle whose surface is nearest (deepest,
where two overlap) owns it. So a block is the same whether it is rendered alone or with the rest.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import jit
from models.phantoms.binder import LATTICE, Coats, coated, web_value
from models.phantoms.cracks import Cracks, cracked
from models.phantoms.particle_shape import Floats, Shapes, radial_distance

PORE, ACTIVE, BINDER, COLLECTOR = 0, 1, 2, 3
"""Phases."""

FREE, BODY, CRACK, COATED, BARE = 0, 1, 2, 3, 4
"""Roles of a voxel for the particle that owns it."""


class Webs(NamedTuple):
    """Binder between the coats: where a smooth random field is above a threshold.

    Attributes:
        lattice: (32, 32, 32) float32, repeated without end.
        step_um: between the lattice's points.
        threshold: of the field.
        low_um: z where the electrode begins.
        high_um: z where it ends.
    """

    lattice: npt.NDArray[np.float32]
    step_um: float
    threshold: float
    low_um: float
    high_um: float


class Particles(NamedTuple):
    """N particles in their places.

    Attributes:
        centres_um: (N, 3); voxel (k, j, i) of the volume is at (k dz, j dy, i dx).
        reach_um: (N,), greatest distance of each surface from its centre.
        shapes: of all.
        cracks: of all.
        coats: of all.
    """

    centres_um: Floats
    reach_um: Floats
    shapes: Shapes
    cracks: Cracks
    coats: Coats


class Grid(NamedTuple):
    """Where the voxels of a block are.

    Attributes:
        origin: (3,), index of its first voxel in the volume.
        spacing_um: (3,), (dz, dy, dx).
    """

    origin: npt.NDArray[np.int64]
    spacing_um: Floats


def particle_voxels(
    particles: Particles, grid: Grid, shape: tuple[int, ...], coat_um: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Which particle owns each voxel, and as what.

    Args:
        particles: all of the volume.
        grid: where the block is.
        shape: of the block, (Z, Y, X).
        coat_um: thickness of coats, and of the bare surroundings that webs keep away from.

    Returns:
        Owner (Z, Y, X) int32, 1…N or 0, and role (Z, Y, X) uint8: 0 free, 1 body, 2 crack, 3 coat,
        4 bare surrounding.
    """
    owner = np.zeros(shape, dtype=np.int32)
    role = np.zeros(shape, dtype=np.uint8)
    distance = np.full(shape, coat_um, dtype=np.float32)
    beyond = (particles.reach_um + coat_um)[:, None]
    low, high = ((particles.centres_um + d) / grid.spacing_um for d in (-beyond, beyond))
    bounds = np.stack([np.ceil(low), np.floor(high) + 1], axis=1).astype(np.int64) - grid.origin
    bounds = np.clip(bounds, 0, shape)
    near = np.flatnonzero((bounds[:, 0] < bounds[:, 1]).all(axis=1))
    _paint(particles, grid, near, bounds, distance, owner, role)
    return owner, role


@jit
def _paint(
    particles: Particles,
    grid: Grid,
    near: npt.NDArray[np.intp],
    bounds: npt.NDArray[np.int64],
    distance: npt.NDArray[np.float32],
    owner: npt.NDArray[np.int32],
    role: npt.NDArray[np.uint8],
) -> None:
    origin, spacing, shapes = grid.origin, grid.spacing_um, particles.shapes
    for p in near:
        centre, start, stop = particles.centres_um[p], bounds[p, 0], bounds[p, 1]
        for k in range(start[0], stop[0]):
            z = (origin[0] + k) * spacing[0] - centre[0]
            for j in range(start[1], stop[1]):
                y = (origin[1] + j) * spacing[1] - centre[1]
                for i in range(start[2], stop[2]):
                    x = (origin[2] + i) * spacing[2] - centre[2]
                    here = np.float32(radial_distance(shapes, p, z, y, x))
                    if here >= distance[k, j, i]:
                        continue
                    distance[k, j, i] = here
                    owner[k, j, i] = p + 1
                    if here <= 0:
                        crack = cracked(particles.cracks, p, z, y, x)
                        role[k, j, i] = CRACK if crack else BODY
                    else:
                        coat = coated(shapes, particles.coats, p, z, y, x)
                        role[k, j, i] = COATED if coat else BARE


@jit
def phases_of(role: npt.NDArray[np.uint8], grid: Grid, webs: Webs) -> npt.NDArray[np.uint8]:
    """Phase of each voxel of a block, the collector left out.

    Args:
        role: (Z, Y, X) from `particle_voxels`.
        grid: where the block is.
        webs: binder between the coats.

    Returns:
        (Z, Y, X) uint8: 0 pore or crack, 1 active material, 2 carbon-binder.
    """
    origin, spacing = grid.origin, grid.spacing_um
    phases = np.zeros(role.shape, dtype=np.uint8)
    for k in range(role.shape[0]):
        z = (origin[0] + k) * spacing[0]
        between = webs.low_um <= z <= webs.high_um
        for j in range(role.shape[1]):
            y = (origin[1] + j) * spacing[1] / webs.step_um
            for i in range(role.shape[2]):
                what = role[k, j, i]
                if what == BODY:
                    phases[k, j, i] = ACTIVE
                elif what == COATED:
                    phases[k, j, i] = BINDER
                elif what == FREE and between:
                    x = (origin[2] + i) * spacing[2] / webs.step_um
                    if web_value(webs.lattice, z / webs.step_um, y, x) >= webs.threshold:
                        phases[k, j, i] = BINDER
    return phases


def web_threshold(
    role: npt.NDArray[np.uint8], binder_fraction: float, lattice: npt.NDArray[np.float32]
) -> float:
    """Threshold that brings the binder to its share of the electrode, judged by a sample of it.

    Returns:
        Infinity when the coats alone are as much or more.
    """
    lacking = binder_fraction - float(np.mean(role == COATED))
    free = float(np.mean(role == FREE))
    if lacking <= 0 or free == 0:
        return float("inf")
    # values between the points of the lattice, as the webs are cut from
    sample = np.random.default_rng(0).random((20_000, 3)) * LATTICE
    values = _web_values(lattice, sample)
    return float(np.quantile(values, max(0.0, 1 - lacking / free)))


@jit
def _web_values(lattice: npt.NDArray[np.float32], points: Floats) -> Floats:
    values = np.empty(len(points))
    for k in range(len(points)):
        values[k] = web_value(lattice, points[k, 0], points[k, 1], points[k, 2])
    return values
