"""Training images for tomograms: sections in three directions of phantom electrodes of any look.

Truth is whole particles: cracks and cavities belong to the particle that they are in; current
collector, binder and what lies beyond the reconstructed cylinder are background.
Out of scope: patches of the images (`patches`), the phantoms themselves (`models.phantoms`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import edt
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, maximum

from models.phantoms.cracks import DamageLaw
from models.phantoms.electrode import plan, render
from models.phantoms.electrode_config import ElectrodePhantom
from models.phantoms.electrode_voxels import BODY, CRACK, PORE, Grid, particle_voxels
from models.phantoms.packing import PackingError
from models.phantoms.tomography import Tomograph, tomogram
from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.patches import Example

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

_VOXEL_UM = 0.35
_LOOSE, _SMALL = 0.25, 13.0  # solid fraction, and diameter in voxels, that can always be packed
_STREAM = 7  # keeps the numbers drawn here apart from the phantoms' own
_LEAST_CAVITY, _MOST_CAVITY = 0.45, 0.8  # of the largest depth, where a cavity may begin


@dataclass(frozen=True, slots=True)
class Look:
    """What spoils a volume beyond what the tomograph does; lengths in voxels.

    Attributes:
        seed: of all that is random.
        cavities: share of the particles that are hollow, with ragged walls.
        streaks: standard deviation of noise that is drawn out within slices, in e⁻/Å³.
        streak_voxels: its correlation lengths along (Z, Y, X).
        shading: amplitude of a slow change of the grey levels, in e⁻/Å³.
        edge: radius of the reconstructed cylinder about Z per half the longer side of Y and X,
            beyond which all is of one grey level; None: everything is seen.
    """

    seed: int = 0
    cavities: float = 0.0
    streaks: float = 0.0
    streak_voxels: tuple[float, float, float] = (0.5, 0.7, 4.0)
    shading: float = 0.0
    edge: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PhantomVolume:
    """A volume and its truth.

    Attributes:
        grey: (Z, Y, X) float32 in e⁻/Å³.
        labels: (Z, Y, X) int32 whole particles, cracks and cavities included; 0 elsewhere.
    """

    grey: Floats
    labels: Labels


def phantom_volume(
    electrode: ElectrodePhantom, tomograph: Tomograph, look: Look | None = None
) -> PhantomVolume:
    """Make a volume with whole particles as truth.

    Args:
        electrode: what is imaged.
        tomograph: how.
        look: what spoils it further; nothing when left out.

    Raises:
        PackingError: if the particles do not fit.
    """
    how = Look() if look is None else look
    rng = np.random.default_rng([how.seed, _STREAM])
    made = plan(electrode)
    block = render(made)
    grid = Grid(np.zeros(3, dtype=np.int64), np.array(electrode.voxel_size_um))
    owner, role = particle_voxels(
        made.particles, grid, electrode.shape_voxels, electrode.coat_thickness_um
    )
    whole = np.where((role == BODY) | (role == CRACK), owner, 0).astype(np.int32)
    whole[electrode.collector_voxels] = 0
    labels, phases = block.labels.copy(), block.phases.copy()
    hollow = _cavities(whole, how.cavities, rng)
    labels[hollow], phases[hollow] = 0, PORE
    grey = tomogram(labels, phases, tomograph, density_by_label=None)
    _spoil(grey, how, rng)
    if how.edge is not None:
        beyond = _beyond_edge(whole.shape, how.edge)
        grey[:, beyond] = np.float32(grey.mean())
        whole[:, beyond] = 0
    return PhantomVolume(grey, whole)


def draw_volume(seed: int, shape_voxels: tuple[int, int, int] = (112, 176, 176)) -> PhantomVolume:
    """A phantom volume whose every property is drawn from the seed, within wide limits.

    Particles are 13 … 34 voxels wide, whole or cracked, apart or packed until they touch; binder is
    anything from invisible to nearly as bright as particles; noise, streaks, rings, fringes and
    blur from none to as strong as the contrast.

    Args:
        seed: of everything.
        shape_voxels: (Z, Y, X), at least 64 a side.

    Raises:
        StarConvexError: a shorter side.
    """
    if min(shape_voxels) < 64:
        raise StarConvexError(f"a volume of {shape_voxels} voxels: take at least 64 a side")
    rng = np.random.default_rng([seed, _STREAM, 1])
    active = 1.3
    binder = float(rng.uniform(0.15, 0.85))
    contrast = active - binder
    electrode = ElectrodePhantom(
        seed=seed,
        shape_voxels=shape_voxels,
        voxel_size_um=(_VOXEL_UM,) * 3,
        diameter_um=_VOXEL_UM * float(rng.uniform(13, 34)),
        diameter_spread=float(rng.uniform(0.05, 0.45)),
        solid_fraction=float(rng.uniform(0.2, 0.55)),
        elongation_spread=float(rng.uniform(0, 0.25)),
        irregularity=float(rng.uniform(0, 0.06)),
        damage=DamageLaw(level=float(rng.uniform(0, 0.25)), noise=float(rng.uniform(0.1, 0.8))),
        crack_opening_um=_VOXEL_UM * float(rng.uniform(1, 5)),
        open_crack_share=float(rng.uniform(0, 0.7)),
        detachment_mean=float(rng.uniform(0.05, 0.6)),
        binder_fraction=float(rng.uniform(0.05, 0.6)),
        collector_um=_VOXEL_UM * float(rng.integers(0, 20)),
        separator_um=_VOXEL_UM * float(rng.integers(0, 12)),
        collector_side="z_low" if rng.random() < 0.5 else "z_high",
    )
    tomograph = Tomograph(
        seed=seed,
        densities=(
            float(rng.uniform(-0.1, binder)),
            active,
            binder,
            float(rng.uniform(0.2, 1.25)),
        ),
        particle_std=float(rng.uniform(0, 0.12)),
        blur_voxels=float(rng.uniform(0.3, 1.6)),
        fringe=float(rng.uniform(0, 0.7)),
        ring_share=float(rng.uniform(0, 0.15)),
        ring_std=float(rng.uniform(0, 0.3) * contrast),
        axis_yx=(float(rng.uniform(0, 1)), float(rng.uniform(0, 1))),
        noise_std=float(rng.uniform(0.02, 0.5) * contrast),
    )
    look = Look(
        seed=seed,
        cavities=float(rng.choice([0.0, rng.uniform(0, 0.8)])),
        streaks=float(rng.choice([0.0, rng.uniform(0, 0.35)]) * contrast),
        streak_voxels=(
            float(rng.uniform(0.3, 1)),
            float(rng.uniform(0.5, 1)),
            float(rng.uniform(1, 8)),
        ),
        shading=float(rng.uniform(0, 0.3) * contrast),
        edge=float(rng.uniform(0.75, 1.2)) if rng.random() < 0.4 else None,
    )
    loose = replace(electrode, solid_fraction=_LOOSE)
    for packed in (electrode, loose):
        try:
            return phantom_volume(packed, tomograph, look)
        except PackingError:
            continue
    small = replace(loose, diameter_um=_VOXEL_UM * _SMALL, diameter_spread=0.1)
    return phantom_volume(small, tomograph, look)


def sections(volume: PhantomVolume, group: str, count: int) -> Iterator[Example]:
    """Sections at equal distances in each of the three directions.

    Args:
        volume: to cut.
        group: name of the volume.
        count: of each direction.
    """
    for axis, side in enumerate(volume.labels.shape):
        for number in range(count):
            place = int((number + 0.5) * side / count)
            yield Example(
                np.ascontiguousarray(np.take(volume.grey, place, axis)),
                np.ascontiguousarray(np.take(volume.labels, place, axis)),
                group,
            )


def slice_examples(
    seeds: range, *, count: int = 6, shape_voxels: tuple[int, int, int] = (112, 176, 176)
) -> list[Example]:
    """Images to train or to validate with; the group of each is its volume.

    Args:
        seeds: one volume each (`draw_volume`).
        count: sections of each direction and volume.
        shape_voxels: (Z, Y, X) of the volumes.

    Raises:
        StarConvexError: there is no section to take, or volumes are too small.
    """
    if count < 1 or not len(seeds):
        raise StarConvexError(f"{count} sections of {len(seeds)} volumes: take at least 1 of each")
    return [
        example
        for seed in seeds
        for example in sections(draw_volume(seed, shape_voxels), f"phantom-{seed}", count)
    ]


def _cavities(labels: Labels, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Ragged hollows about the middle of some particles, of different sizes."""
    if share == 0 or not labels.any():
        return np.zeros(labels.shape, dtype=np.bool_)
    depth = edt.edt(labels, black_border=False, parallel=1)
    numbers = np.arange(int(labels.max()) + 1)
    largest = np.asarray(maximum(depth, labels, numbers), dtype=np.float32)
    begins = rng.uniform(_LEAST_CAVITY, _MOST_CAVITY, len(numbers)).astype(np.float32)
    begins[rng.random(len(numbers)) >= share] = 2.0
    begins[0] = 2.0
    rough = _unit(gaussian_filter(rng.standard_normal(labels.shape, dtype=np.float32), 1.5))
    relative = depth / np.maximum(largest, 1e-6)[labels]
    return np.asarray(relative + np.float32(0.18) * rough > begins[labels], dtype=np.bool_)


def _spoil(grey: Floats, look: Look, rng: np.random.Generator) -> None:
    """Add streaks and shading in place."""
    if look.streaks > 0:
        noise = rng.standard_normal(grey.shape, dtype=np.float32)
        grey += np.float32(look.streaks) * _unit(gaussian_filter(noise, look.streak_voxels))
    if look.shading > 0:
        axes = (np.linspace(-1, 1, side, dtype=np.float32) for side in grey.shape)
        slopes = rng.uniform(-1, 1, 3).astype(np.float32)
        z, y, x = (slope * axis for slope, axis in zip(slopes, axes, strict=True))
        grey += np.float32(look.shading) * (z[:, None, None] + y[:, None] + x)


def _unit(field: npt.NDArray[Any]) -> Floats:
    """Divided by its standard deviation."""
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)


def _beyond_edge(shape: tuple[int, ...], edge: float) -> npt.NDArray[np.bool_]:
    y, x = (np.arange(side, dtype=np.float32) - (side - 1) / 2 for side in shape[1:])
    return np.asarray(np.hypot(y[:, None], x) > edge * max(shape[1:]) / 2, dtype=np.bool_)
