"""Every attribute of every particle in a labelled volume, and the contacts between them.

A pass over the whole volume adds up what is additive; then each particle is looked at in its own
box, many at a time; then neighbours follow from centroids. Axes are (Z, Y, X), spacing is
(dz, dy, dx), and the centre of voxel (0, 0, 0) lies at 0 µm.

Out of scope: segmentation, tables and files.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.measure.additive import contacts_table
from models.measure.arrays import InvalidVolumeError, Sliceable, parse_spacing
from models.measure.moments import ALIKE, Moments
from models.measure.morphology import CLOSE_UP, CloseUpOptions, close_up
from models.measure.neighbours import Occupancy, nearest_particles, occupancy, packing_density
from models.measure.particle_boxes import ParticleBoxes
from models.measure.particle_columns import Columns, SurfaceEstimator, particle_columns
from models.measure.sweep import Sweep, sweep_volume
from models.processors import processors
from models.progress import Progress

Rows = npt.NDArray[np.void]

CODE_VERSION = "1"

BATCH = 200
"""Particles after which finished rows are handed over to be kept."""

_CLOSING_VOXELS = 10  # the published radius
_LARGE_VOXELS = 1 << 26  # boxes above are taken one at a time: some 25 bytes a voxel
_STEPS = (200, 950, 1000)  # of progress: sweep, close-ups, packing


@dataclass(frozen=True)
class MeasureOptions:
    """How to measure.

    Attributes:
        closing_radius_um: of the ball that closes cracks; None for 10 geometric means of the
            spacing, as published.
        surface_estimator: "crofton", or "boundary_voxels" to replay published numbers.
        packing_cube_um: side of the cube of the packing density.
        contact_ring_um: width of the ring of `contact_fraction_ring`, null without.
        phase_binder: value of the carbon-binder in the phase volume.
        collector_side: end of the z axis where the current collector is.
        electrode_extent_um: least and greatest z of the electrode; None for the whole volume.
        conduction: whether to follow paths of conduction, which takes half of the time.

    Raises:
        InvalidVolumeError: if a length is not finite and above zero, or the electrode is flat.
    """

    closing_radius_um: float | None = None
    surface_estimator: SurfaceEstimator = "crofton"
    packing_cube_um: float = 100
    contact_ring_um: float | None = None
    phase_binder: int = 2
    collector_side: Literal["z_low", "z_high"] = "z_low"
    electrode_extent_um: tuple[float, float] | None = None
    conduction: bool = True

    def __post_init__(self) -> None:
        """Refuse lengths that are none, and an electrode without height."""
        for name in ("closing_radius_um", "packing_cube_um", "contact_ring_um"):
            length = getattr(self, name)
            if length is not None and not (math.isfinite(length) and length > 0):
                raise InvalidVolumeError(f"{name} is {length}: give a finite length above zero")
        if self.electrode_extent_um is not None:
            low, high = self.electrode_extent_um
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                message = f"electrode from {low} to {high} µm: give least and greatest z"
                raise InvalidVolumeError(message)


@dataclass(frozen=True, eq=False)
class Measured3D:
    """What was measured.

    Attributes:
        particles: columns of length N, labels ascending; null is NaN.
        contacts: columns of length M: label_a < label_b and contact_area_um2.
        sweep: the sums that both rest on.
        filled: where particles are.
    """

    particles: Columns
    contacts: Columns
    sweep: Sweep
    filled: Occupancy


def measure_particles_3d(
    labels: Sliceable,
    *,
    spacing_um: Sequence[float],
    grey: Sliceable | None = None,
    phases: Sliceable | None = None,
    options: MeasureOptions | None = None,
    progress: Progress | None = None,
    known: Rows | None = None,
    keep: Callable[[Rows], None] | None = None,
) -> Measured3D:
    """Measure a volume from anything that can be sliced, within bounded memory.

    Particles at the edge of the volume stay and are flagged: what is missing of them is not
    guessed, and their cut faces count as outer surface, but not in shares of it.

    Args:
        labels: (Z, Y, X) integers, 0 is background; labels need not be consecutive.
        spacing_um: (dz, dy, dx) in µm.
        grey: (Z, Y, X) grey levels or electron densities; not finite ones are left out.
        phases: (Z, Y, X) integers; without it, what needs to know binder is null.
        options: how to measure.
        progress: called with steps done and steps in all.
        known: rows that `keep` was given in an earlier run over the same volumes with the same
            options; these particles are not looked at again.
        keep: called with each batch of new rows, a structured array that can be saved.

    Returns:
        Particles and contacts.

    Raises:
        InvalidVolumeError: if labels are not a volume of integers ≥ 0, shapes differ, or the
            spacing is not three finite values above zero.
        ValueError: if `known` are rows of another version.
    """
    options = options or MeasureOptions()
    spacing = parse_spacing(spacing_um)
    look = _close_up_options(options, spacing, conduction=phases is not None)
    swept = sweep_volume(labels, grey=grey, phases=phases, progress=_share(progress, 0, _STEPS[0]))
    boxes = ParticleBoxes(labels, grey=grey, phases=phases, phase_binder=options.phase_binder)
    order = _reading_order(swept, getattr(labels, "chunks", None))
    found = [_usable(known, swept.labels)]
    for batch in close_ups(
        swept, order[~np.isin(swept.labels[order], found[0]["label"])], boxes, look
    ):
        found.append(batch)
        if keep is not None:
            keep(batch)
        _share(progress, *_STEPS[:2])(sum(map(len, found)), len(order))
    rows = _in_order(np.concatenate(found), swept.labels)
    particles, shape = particle_columns(
        swept, rows, spacing_um=spacing, estimator=options.surface_estimator
    )
    if phases is None:
        particles["detachment"] = np.full(len(rows), np.nan)
    filled = occupancy(labels, cracks=_crack_places(rows), progress=_share(progress, *_STEPS[1:]))
    particles |= placement(particles, filled, spacing_um=spacing, options=options)
    particles |= _neighbour_columns(particles, shape)
    return Measured3D(particles, contacts_table(swept, spacing_um=spacing), swept, filled)


def placement(
    particles: Mapping[str, npt.NDArray[Any]],
    filled: Occupancy,
    *,
    spacing_um: Sequence[float],
    options: MeasureOptions,
) -> Columns:
    """Where particles are in the electrode, which lengths given in µm decide besides ratios.

    Args:
        particles: `x_um`, `y_um` and `z_um` of length N.
        filled: where particles are.
        spacing_um: (dz, dy, dx) in µm.
        options: side of the cube of the packing density, extent of the electrode.

    Returns:
        Columns of length N: `packing_density`, `packing_clipped_fraction`, `depth_fraction`.

    Raises:
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    centroid_um = np.stack([particles[f"{axis}_um"] for axis in "zyx"], axis=1)
    packing = packing_density(
        centroid_um, filled, cube_um=options.packing_cube_um, spacing_um=spacing_um
    )
    depth = _depth(particles["z_um"], int(filled.shape[0]), spacing_um[0], options)
    return packing | {"depth_fraction": depth}


def close_ups(
    swept: Sweep,
    order: npt.NDArray[np.intp],
    boxes: ParticleBoxes,
    options: CloseUpOptions,
) -> Iterator[Rows]:
    """Look at particles with all processors, `BATCH` at a time.

    Args:
        swept: sums over bodies.
        order: places among `swept.labels` of the particles to look at.
        boxes: the volumes.
        options: what to look for.

    Yields:
        (≤ BATCH,) of `CLOSE_UP`.
    """

    def look(at: int) -> Rows:
        lower, upper = swept.lower[at], swept.upper[at]
        return close_up(int(swept.labels[at]), lower, upper, boxes, options)

    large = np.prod(swept.upper - swept.lower, axis=1) > _LARGE_VOXELS
    with ThreadPoolExecutor(processors()) as pool:
        for begin in range(0, len(order), BATCH):
            batch = order[begin : begin + BATCH]
            rows = list(pool.map(look, batch[~large[batch]].tolist()))
            rows += map(look, batch[large[batch]].tolist())
            yield np.concatenate(rows)


def _close_up_options(
    options: MeasureOptions, spacing: tuple[float, ...], *, conduction: bool
) -> CloseUpOptions:
    mean = float(np.cbrt(np.prod(spacing)))
    radius = options.closing_radius_um
    return CloseUpOptions(
        spacing_um=spacing,
        closing_radius_um=_CLOSING_VOXELS * mean if radius is None else radius,
        contact_ring_um=options.contact_ring_um,
        conduction=options.conduction and conduction,
    )


def _share(progress: Progress | None, first: int, last: int) -> Progress:
    """Report of a part of the work as steps `first` to `last` of the whole."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(first + (last - first) * done // max(total, 1), _STEPS[-1])

    return report


def _reading_order(swept: Sweep, chunks: Sequence[int] | None) -> npt.NDArray[np.intp]:
    """Particles by the chunk that their box begins in, so that chunks are read few times."""
    chunk = swept.lower // np.array(chunks or (64, 64, 64))
    return np.lexsort(chunk.T[::-1])


def _usable(known: Rows | None, labels: npt.NDArray[np.int64]) -> Rows:
    if known is None:
        return np.zeros(0, dtype=CLOSE_UP)
    if known.dtype != CLOSE_UP:
        raise ValueError("known rows have other columns than CLOSE_UP: measure without them")
    return known[np.isin(known["label"], labels)]


def _in_order(rows: Rows, labels: npt.NDArray[np.int64]) -> Rows:
    by_label = rows[np.argsort(rows["label"], kind="stable")]
    return by_label[np.searchsorted(by_label["label"], labels)]


def _crack_places(rows: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    cracked = rows[rows["crack_voxels"] > 0]
    return cracked["crack_first"] / cracked["crack_voxels"][:, None], cracked["crack_voxels"]


def _neighbour_columns(particles: Columns, shape: Moments) -> Columns:
    long = shape.axes_um[:, :1] > shape.axes_um[:, 1:2] * (1 + ALIKE)
    return nearest_particles(
        shape.centroid_um,
        elongation=particles["elongation"],
        volume_um3=particles["volume_um3"],
        sphericity=particles["sphericity"],
        axes=np.where(long, shape.directions[:, 0], np.nan),
        angles_deg=shape.angles_deg,
    )


def _depth(
    z_um: npt.NDArray[np.float64], planes: int, dz: float, options: MeasureOptions
) -> npt.NDArray[np.float64]:
    """Depth from the current collector, NaN outside the electrode."""
    low, high = options.electrode_extent_um or (-dz / 2, (planes - 0.5) * dz)
    depth = (z_um - low) / (high - low)
    depth = depth if options.collector_side == "z_low" else 1 - depth
    return np.where((depth >= 0) & (depth <= 1), depth, np.nan)
