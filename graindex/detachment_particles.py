"""Particles of a collection's volumes in the groups that their detachment is compared between.

Out of scope: what is computed of them (`graindex.detachment`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graindex.files import sha256
from graindex.labelled_volumes import LabelledVolume, labelled_volumes
from graindex.recipes import Recipe
from graindex.stored_particles import StoredParticles
from models.measure.group_statistics import Values, class_numbers, equal_count_limits

if TYPE_CHECKING:
    from graindex.store import Store

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

USUAL = ("c_rate", "rate", "cycles")
"""Columns of `samples` that volumes are grouped by where none is named."""

BY_VOLUME = "volume"
SIZE, DETACHMENT, DENSITY = (
    "equivalent_diameter_um", "detachment", "electron_density_mean_body",
)  # fmt: skip
COLUMNS = (SIZE, DETACHMENT, DENSITY, "touches_border", "calibration_um")


@dataclass(frozen=True, slots=True)
class GroupedVolume:
    """A volume that counts.

    Attributes:
        volume_id: its key.
        path: in the collection.
        group: name of its group: a value, or its own key, so that it goes when it is withdrawn.
    """

    volume_id: str
    path: str
    group: str


@dataclass(frozen=True)
class GroupedVolumes:
    """Volumes of a collection in groups.

    Attributes:
        group_by: column of `samples`, or `BY_VOLUME`.
        volumes: those that count.
        groups: names of groups, numbers in their order.
        refused: why others do not count, by path.
        size_classes: classes of the diameter that are wanted.
        particles: of the collection.
    """

    group_by: str
    volumes: tuple[GroupedVolume, ...]
    groups: tuple[str, ...]
    refused: Mapping[str, str]
    size_classes: int
    particles: StoredParticles

    def spoken(self, name: str) -> str:
        """A group for people: paths instead of keys."""
        return {one.volume_id: one.path for one in self.volumes}.get(name, name)

    @property
    def input_hash(self) -> str:
        """Hash of all that decides what is computed."""
        told = [
            f"{one.volume_id} {one.path} {one.group} {self.particles.digest(one.volume_id)}"
            for one in self.volumes
        ]
        return sha256(self.group_by, str(self.size_classes), *sorted(told))

    @cached_property
    def whole(self) -> "WholeParticles":
        """Their particles that no border cuts and whose detachment is known."""
        number, columns = self.particles.of([one.volume_id for one in self.volumes])
        kept = ~columns["touches_border"].astype(bool) & np.isfinite(columns[DETACHMENT])
        kept &= np.isfinite(columns[SIZE])
        group = np.array([self.groups.index(one.group) for one in self.volumes], np.int64)
        values = {name: np.asarray(columns[name][kept], np.float64) for name in COLUMNS[:3]}
        limits = equal_count_limits(values[SIZE], self.size_classes)
        return WholeParticles(
            volume=number[kept],
            group=group[number[kept]],
            values=values,
            limits_um=limits,
            size_class=class_numbers(values[SIZE], limits),
        )


@dataclass(frozen=True, slots=True, eq=False)
class WholeParticles:
    """N particles.

    Attributes:
        volume: (N,) place of each one's volume.
        group: (N,) place of each one's group.
        values: (N,) each: diameter, detachment and electron density; NaN where unknown.
        limits_um: (C + 1,) of the size classes; (0,) where all are of one size.
        size_class: (N,) from 1; 0 without classes.
    """

    volume: Ints
    group: Ints
    values: Mapping[str, Floats]
    limits_um: Floats
    size_class: Ints

    @property
    def classes(self) -> range:
        """Numbers of the size classes."""
        return range(1, len(self.limits_um))

    def detachment(self, chosen: Bools) -> Values:
        """Detachment of some (N,) of them."""
        return Values(self.values[DETACHMENT][chosen], self.volume[chosen])

    def sizes_um(self, size_class: int) -> tuple[float, float]:
        """Limits of a size class; of all for 0."""
        if not len(self.limits_um):
            size = self.values[SIZE]
            return (float(size.min()), float(size.max())) if len(size) else (np.nan, np.nan)
        low, high = (size_class - 1, size_class) if size_class else (0, -1)
        return float(self.limits_um[low]), float(self.limits_um[high])


def grouped_volumes(store: "Store", recipe: Recipe) -> GroupedVolumes:
    """The volumes of a collection whose particles have a detachment, in groups.

    Those with particles that are not measured, or without a value of the column that groups are by,
    are refused with the reason, and so are those without phases where others have them.
    """
    labelled = labelled_volumes(store, recipe)
    if all(one.volume["phases_hash"] is None for one in labelled):
        labelled = []  # nobody forgot a file
    particles = StoredParticles(store, "particles_3d", "volume_id", recipe.dataset, COLUMNS)
    refused = {one.path: why for one in labelled if (why := _unusable(one, particles)) is not None}
    usable = sorted((one for one in labelled if one.path not in refused), key=lambda o: o.path)
    group_by, values = _grouping(store, recipe, usable)
    missing = [one for one in usable if values[one.path] is None]
    message = f"its specimen has no {group_by}, which groups are by: name another with --group-by"
    refused |= {one.path: message for one in missing}
    used = [one for one in usable if one.path not in refused]
    names = {path: _name(value) for path, value in values.items()}
    told = list(dict.fromkeys(values[one.path] for one in used))
    if group_by != BY_VOLUME:  # which stand in the order of their paths
        told.sort(key=lambda value: (isinstance(value, str), value))
    return GroupedVolumes(
        group_by=group_by,
        volumes=tuple(GroupedVolume(one.volume_id, one.path, names[one.path]) for one in used),
        groups=tuple(dict.fromkeys(_name(value) for value in told)),
        refused=refused,
        size_classes=recipe.detachment.size_classes,
        particles=particles,
    )


def _unusable(one: LabelledVolume, particles: StoredParticles) -> str | None:
    """Why a volume does not count, if it does not."""
    if one.volume["phases_hash"] is None:
        return "no phases, by which detachment is told: put a file named like NAME_phases beside it"
    return particles.unmeasured(one.volume_id, one.particle_count)


def _grouping(
    store: "Store", recipe: Recipe, volumes: Sequence[LabelledVolume]
) -> tuple[str, dict[str, Any]]:
    """The column that groups are by, and the value of each volume by its path; None where unknown.

    A column that was asked for stays, whether it is there or not.
    """
    samples = {
        row["sample_id"]: row for row in store.lake.read("samples", recipe.dataset).to_pylist()
    }

    def of(column: str) -> dict[str, Any]:
        rows = ((one.path, samples.get(one.volume["sample_id"])) for one in volumes)
        return {path: None if row is None else row.get(column) for path, row in rows}

    asked = recipe.detachment.group_by
    if asked is not None and asked != BY_VOLUME:
        return asked, of(asked)
    for column in USUAL if asked is None else ():
        values = of(column)
        if None not in values.values() and len(set(values.values())) > 1:
            return column, values
    return BY_VOLUME, {one.path: one.volume_id for one in volumes}


def _name(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
