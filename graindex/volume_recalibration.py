"""Particles of volumes at another voxel size, from those that were measured at an earlier one.

Lengths, areas and volumes follow from a factor. What a length in µm decides besides, the packing
density in its cube and the depth in a given electrode, follows from the labels; grey values and
phases are not looked at, and no particle is.

Out of scope: measuring particles (`graindex.volume_particles`).
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from graindex.labelled_volumes import LabelledVolume
from graindex.stored_volumes import Triple
from models.measure.arrays import Sliceable
from models.measure.calibration import (
    Columns,
    calibrated,
    crack_places,
    in_units,
    length_power,
    measured,
    spacing_ratios,
)
from models.measure.neighbours import occupancy
from models.measure.particles_3d import Measured3D, MeasureOptions, placement
from models.measure.sweep import sweep_volume
from schemas.particle_columns import PARTICLES_3D

_LENGTHS = tuple(name for name in (*PARTICLES_3D, "contact_area_um2") if length_power(name))


def calibrated_columns(
    found: Measured3D, spacing_um: Triple, options: MeasureOptions
) -> tuple[Columns, Columns]:
    """Columns of particles and of contacts, of a volume measured in units of its z voxel.

    Args:
        found: what was measured.
        spacing_um: (dz, dy, dx).
        options: of the measurement, in µm.
    """
    unit, particles = spacing_um[0], measured(found.particles)
    particles |= placement(
        particles,
        found.filled,
        spacing_um=spacing_ratios(spacing_um),
        options=in_units(options, unit),
    )
    return calibrated(particles, unit), calibrated(measured(found.contacts), unit)


def recalibrated(
    rows: Mapping[str, pa.Table],
    labels: Sliceable,
    one: LabelledVolume,
    options: MeasureOptions,
) -> dict[str, pa.Table]:
    """Rows of one volume at another voxel size of the same ratios, bit by bit as if measured there.

    Args:
        rows: `particles_3d` and `contacts` of the volume.
        labels: (Z, Y, X).
        one: the volume of now.
        options: of the measurement, in µm.

    Raises:
        InvalidVolumeError: the labels are not those that were measured.
        UnreadableVolumeError: the labels are damaged.
    """
    particles, contacts = rows["particles_3d"].sort_by("label"), rows["contacts"]
    before, unit = particles["calibration_um"][0].as_py(), one.unit_um
    lengths = measured(_lengths(particles), before)
    placed = _placed(lengths, labels, spacing_ratios(one.spacing_um), in_units(options, unit))
    areas = measured(_lengths(contacts), before)
    same = {"calibration_um": unit, "input_hash": one.input_hash}
    return {
        "particles_3d": _with(particles, calibrated(lengths, unit) | placed, same),
        "contacts": _with(contacts, calibrated(areas, unit), same),
    }


def _placed(
    particles: Columns, labels: Sliceable, ratios: Triple, options: MeasureOptions
) -> Columns:
    cracks = None
    if np.any(particles["crack_volume_um3"] > 0):
        cracks = crack_places(particles, sweep_volume(labels), ratios)
    filled = occupancy(labels, cracks=cracks)
    return placement(particles, filled, spacing_um=ratios, options=options)


def _lengths(rows: pa.Table) -> Columns:
    return {name: rows[name].to_numpy() for name in _LENGTHS if name in rows.column_names}


def _with(rows: pa.Table, columns: Columns, same: Mapping[str, object]) -> pa.Table:
    """The rows with other values in some columns; not-a-number becomes null."""
    told = {name: np.full(rows.num_rows, value, object) for name, value in same.items()}
    for name, values in (columns | told).items():
        place = rows.schema.get_field_index(name)
        if place >= 0:
            field = rows.schema.field(place)
            rows = rows.set_column(place, field, pa.array(values, field.type, from_pandas=True))
    return rows
