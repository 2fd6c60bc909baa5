"""Volumes of a collection with their labels, and the hashes of what their particles rest on.

Out of scope: measuring and calibrating them (`graindex.volume_particles`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from graindex.files import sha256
from graindex.recipes import Recipe, settings_json
from graindex.stored_volumes import Triple, spacing_of
from models.measure.calibration import in_units, spacing_ratios

if TYPE_CHECKING:
    from graindex.store import Store

_OF_SHAPE = ("closing_radius_um", "contact_ring_um")
"""Options in µm that decide what is seen of a particle: they count in voxels."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledVolume:
    """A volume with its labels: rows of `volumes` and `particle_labels_3d`.

    Attributes:
        volume: its row.
        label_volume: key of its labels.
        particle_count: labels in it.
        measurement: hash of all that decides what is measured, in units of its z voxel.
    """

    volume: Mapping[str, Any]
    label_volume: str
    particle_count: int
    measurement: str

    @property
    def spacing_um(self) -> Triple:
        """(dz, dy, dx)."""
        return spacing_of(self.volume)

    @property
    def unit_um(self) -> float:
        """The z voxel."""
        return self.spacing_um[0]

    @property
    def input_hash(self) -> str:
        """Hash of what its rows rest on: what is measured, and the z voxel that makes it µm."""
        return _calibrated(self.measurement, self.unit_um)

    @property
    def volume_id(self) -> str:
        """Its key."""
        return str(self.volume["volume_id"])

    @property
    def path(self) -> str:
        """Its path in the collection."""
        return str(self.volume["path"])


def labelled_volumes(store: "Store", recipe: Recipe) -> list[LabelledVolume]:
    """Volumes of a collection that have labels."""
    labels = {
        row["volume_id"]: row
        for row in store.lake.read("particle_labels_3d", recipe.dataset).to_pylist()
    }
    found = []
    for volume in store.lake.read("volumes", recipe.dataset).to_pylist():
        row = labels.get(volume["volume_id"])
        if row is not None:
            spacing = spacing_of(volume)
            settings = settings_json(in_units(recipe.measurement, spacing[0], _OF_SHAPE))
            parts = (row["label_volume"], volume["grey_hash"], volume["phases_hash"])
            measurement = sha256(*parts, *map(str, spacing_ratios(spacing)), settings)
            count = row["particle_count"]
            found.append(LabelledVolume(volume, row["label_volume"], count, measurement))
    return found


def earlier_units(
    particles: pa.Table, labelled: Iterable[LabelledVolume], code_version: str
) -> dict[str, float]:
    """The z voxels, in µm, that rows rest on which were measured as they would be today.

    Args:
        particles: `volume_id`, `calibration_um`, `input_hash` and `code_version` of rows of
            `particles_3d`, of whatever code and inputs.
        labelled: the volumes of today.
        code_version: of today.

    Returns:
        By `volume_id`.
    """
    measurements = {one.volume_id: one.measurement for one in labelled}
    names = ["volume_id", "calibration_um", "input_hash", "code_version"]
    units = {}
    for row in particles.group_by(names).aggregate([]).to_pylist():
        measurement, unit = measurements.get(row["volume_id"]), row["calibration_um"]
        if measurement is None or unit is None or row["code_version"] != code_version:
            continue
        if row["input_hash"] == _calibrated(measurement, unit):
            units[row["volume_id"]] = unit
    return units


def _calibrated(measurement: str, unit_um: float) -> str:
    return sha256(measurement, str(unit_um))
