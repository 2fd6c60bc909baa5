"""Composite electrodes of known truth: cracked particles, carbon-binder, pores, collector.

Out of scope: grey values (`models.phantoms.tomography`); writing files.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.phantoms.binder import detachment_in_place, draw_detachment, plan_coats, web_lattice
from models.phantoms.cracks import plan_cracks
from models.phantoms.crowd import Crowd, gather, stream
from models.phantoms.electrode_config import ElectrodePhantom
from models.phantoms.electrode_voxels import (
    BODY,
    COLLECTOR,
    Grid,
    Particles,
    Webs,
    particle_voxels,
    phases_of,
    web_threshold,
)

Block = tuple[slice, slice, slice]
Truth = dict[str, npt.NDArray[Any]]

_WEB_STEP = 0.25  # between random values of the webs, of the median diameter
_SAMPLES = 96  # a side, of the grid that the webs' threshold is found on
_DENSITY, _DENSITY_STD = 1.30, 0.05  # e⁻/Å³


@dataclass(frozen=True, slots=True, eq=False)
class ElectrodePlan:
    """Everything that decides the voxels, and the truth about them.

    Attributes:
        config: what was asked for.
        particles: all that are seen, in order of their labels 1…N.
        webs: binder between the coats.
        truth: one array of N per column, named as in the table of measured particles where the
            meaning is the same:

            - ``label`` int64;
            - ``z_um, y_um, x_um``: centroid, voxel (k, j, i) being at (k dz, j dy, i dx);
            - ``volume_um3, equivalent_diameter_um, surface_outer_um2, axis_major_um,
              axis_middle_um, axis_minor_um, elongation``: of the whole shape, without cracks, by
              quadrature that is exact to 0.1 %; contacts take less than 1 % of the volume away;
            - ``crack_volume_um3, damage``: by formula (`models.phantoms.cracks`);
              ``damage_expected``: of the law, without noise; ``crack_opens`` bool;
            - ``detachment_planted``: bare share that the coat was made for; ``detachment``: share
              of the whole surface that faces neither binder nor particle in the electrode, from
              1000 points, about ± 1 %;
            - ``depth_fraction``: centroid between collector (0) and separator (1);
            - ``electron_density``: mean, in e⁻/Å³, that of the law at ``detachment`` and a scatter;
            - ``inside_fraction``: share of the volume within the grid, ± 0.01;
            - ``touches_border`` bool: has a labelled voxel on the border of the grid (counted).
    """

    config: ElectrodePhantom
    particles: Particles
    webs: Webs
    truth: Truth

    @property
    def density_by_label(self) -> npt.NDArray[np.float32]:
        """Electron density (N + 1,) in e⁻/Å³ by label; 0 for label 0."""
        return np.concatenate([[0.0], self.truth["electron_density"]]).astype(np.float32)

    @property
    def labels_dtype(self) -> np.dtype[Any]:
        """Of rendered labels: uint16, or int32 for more particles than that holds."""
        return np.dtype(np.uint16 if len(self.truth["label"]) < 2**16 else np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class ElectrodeBlock:
    """Voxels of a block.

    Attributes:
        labels: (Z, Y, X) uint16 or int32; 0 outside particles and in cracks.
        phases: (Z, Y, X) uint8; 0 pore or crack, 1 active material, 2 carbon-binder, 3 current
            collector.
    """

    labels: npt.NDArray[Any]
    phases: npt.NDArray[np.uint8]


def plan(config: ElectrodePhantom) -> ElectrodePlan:
    """Pack the particles, crack and coat them; about 1 s for 200 particles, 10 s for 2000.

    Args:
        config: the electrode.

    Returns:
        The plan and its truth.

    Raises:
        PackingError: if the particles do not fit; a lower solid fraction helps.
    """
    crowd = gather(config)
    log_size = np.log(_diameters_um(crowd) / config.diameter_um)
    drawn = draw_detachment(
        config.detachment.expected(config.detachment_mean, log_size),
        config.detachment_spread,
        stream(config, "detachment"),
    )
    cracks = plan_cracks(
        crowd.shapes,
        crowd.bodies,
        crowd.damage * crowd.volume_um3,
        config.opening_um,
        config.open_crack_share,
        stream(config, "cracks"),
    )
    coats = plan_coats(crowd.shapes, drawn, stream(config, "coats"))
    reach = np.array([body.reach_um for body in crowd.bodies])
    particles = Particles(crowd.centres_um, reach, crowd.shapes, cracks, coats)
    made = ElectrodePlan(
        config, particles, _webs(config, particles), _truth(config, crowd, particles)
    )
    made.truth["detachment_planted"] = drawn
    made.truth["touches_border"] = np.isin(made.truth["label"], _labels_on_border(made))
    return made


def render(plan: ElectrodePlan, block: Block | None = None) -> ElectrodeBlock:
    """Render a block of the volume, the same as the whole has there.

    Args:
        plan: from `plan`.
        block: slices of (Z, Y, X) with step 1; the whole volume when left out.

    Returns:
        Labels and phases of the block.

    Raises:
        ValueError: if a slice has another step.
    """
    config = plan.config
    whole = (slice(None),) * 3 if block is None else block
    spans = [s.indices(n) for s, n in zip(whole, config.shape_voxels, strict=True)]
    if any(step != 1 for _, _, step in spans):
        raise ValueError(f"a block has steps of 1, got {block}")
    shape = tuple(max(stop - start, 0) for start, stop, _ in spans)
    grid = Grid(
        np.array([start for start, _, _ in spans], dtype=np.int64), np.array(config.voxel_size_um)
    )
    owner, role = particle_voxels(plan.particles, grid, shape, config.coat_thickness_um)
    phases = phases_of(role, grid, plan.webs)
    labels = np.where(role == BODY, owner, 0).astype(plan.labels_dtype)
    slab = np.zeros(config.shape_voxels[0], dtype=bool)
    slab[config.collector_voxels] = True
    in_slab = slab[spans[0][0] : spans[0][0] + shape[0]]
    phases[in_slab], labels[in_slab] = COLLECTOR, 0
    return ElectrodeBlock(labels, phases)


def _truth(config: ElectrodePhantom, crowd: Crowd, particles: Particles) -> Truth:
    bodies, cracks = crowd.bodies, particles.cracks
    centroid = crowd.centroids_um
    axes = np.array([body.axes_um for body in bodies]).reshape(-1, 3)
    scatter = stream(config, "density").normal(_DENSITY, _DENSITY_STD, len(bodies))
    off_um = float(np.prod(config.voxel_size_um)) ** (1 / 3) / 2
    detachment = detachment_in_place(
        particles.shapes,
        particles.coats,
        particles.centres_um,
        particles.reach_um + config.coat_thickness_um / 2 + off_um,
        off_um,
        config.collector_extent_um,
    )
    return {
        "label": np.arange(1, len(bodies) + 1, dtype=np.int64),
        "z_um": centroid[:, 0],
        "y_um": centroid[:, 1],
        "x_um": centroid[:, 2],
        "volume_um3": crowd.volume_um3,
        "equivalent_diameter_um": _diameters_um(crowd),
        "surface_outer_um2": np.array([body.surface_um2 for body in bodies]),
        "axis_major_um": axes[:, 0],
        "axis_middle_um": axes[:, 1],
        "axis_minor_um": axes[:, 2],
        "elongation": axes[:, 0] / axes[:, 2],
        "crack_volume_um3": cracks.volume_um3,
        "damage": cracks.volume_um3 / crowd.volume_um3,
        "damage_expected": crowd.damage_expected,
        "crack_opens": cracks.sector_cosine < 1,
        "detachment": detachment,
        "depth_fraction": crowd.depth_fraction,
        "electron_density": scatter + config.detachment.density_slope * detachment,
        "inside_fraction": crowd.inside_fraction,
    }


def _diameters_um(crowd: Crowd) -> npt.NDArray[np.float64]:
    return np.asarray(np.cbrt(6 * crowd.volume_um3 / np.pi), np.float64)


def _webs(config: ElectrodePhantom, particles: Particles) -> Webs:
    """Webs that bring the binder to its share of the slot, judged on a coarse grid of points."""
    low, high = config.electrode_extent_um
    extent = np.array(config.shape_voxels) * config.voxel_size_um
    grid = Grid(np.zeros(3, dtype=np.int64), extent / _SAMPLES)
    _, role = particle_voxels(particles, grid, (_SAMPLES,) * 3, config.coat_thickness_um)
    z = np.arange(_SAMPLES) * grid.spacing_um[0]
    lattice = web_lattice(stream(config, "webs"))
    threshold = web_threshold(role[(z >= low) & (z <= high)], config.binder_fraction, lattice)
    return Webs(lattice, _WEB_STEP * config.diameter_um, threshold, low, high)


def _labels_on_border(made: ElectrodePlan) -> npt.NDArray[Any]:
    found = []
    for axis in range(3):
        for face in (slice(0, 1), slice(-1, None)):
            block = [slice(None)] * 3
            block[axis] = face
            found.append(np.unique(render(made, (block[0], block[1], block[2])).labels))
    return np.unique(np.concatenate(found))
