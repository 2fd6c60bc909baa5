"""Particles of a collection's volumes and their contacts, one row each.

Out of scope: where the labels come from (`graindex.volume_labels`) and the attributes themselves
(`models.measure`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.arrays import IN_MEMORY_BYTES
from graindex.checkpoint import Checkpoint
from graindex.files import sha256
from graindex.kept_rows import distinct, standing
from graindex.label_images import confidence_of
from graindex.labelled_volumes import LabelledVolume, earlier_units, labelled_volumes
from graindex.outcome import Outcome, Recalibration
from graindex.progress import report
from graindex.recipes import Recipe
from graindex.stored_volumes import CONFIDENCE, EXPECTED, reason, written
from graindex.volume_recalibration import calibrated_columns, recalibrated
from models.measure.arrays import Sliceable
from models.measure.calibration import in_units, spacing_ratios
from models.measure.morphology import CLOSE_UP
from models.measure.particles_3d import CODE_VERSION, MeasureOptions, measure_particles_3d
from schemas.arrow import empty, from_columns
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

PARTICLES_3D_CODE_VERSION = f"2+measure.{CODE_VERSION}"

_PARTICLES, _CONTACTS = "particles_3d", "contacts"
_TABLES = (_CONTACTS, _PARTICLES)
"""In the order in which a volume's rows are kept: where its particles are, its contacts are too."""

Columns = Mapping[str, npt.NDArray[Any]]


def refresh_particles_3d(store: "Store", recipe: Recipe, *, author: str) -> dict[str, Outcome]:
    """Bring the particles of a collection's volumes, and their contacts, up to date.

    A volume is measured when its labels, grey values, phases, the ratios of its spacing, the
    options or the code changed. Where it is the voxel size alone, lengths, areas and volumes
    follow from those that were measured. Of a volume whose measurement was cut short, finished
    particles are not looked at again.

    Returns:
        What was done, by table; counts are of rows.

    Raises:
        HomeError: the store cannot be written, as when the disk is full.
    """
    dataset = recipe.dataset
    labelled = labelled_volumes(store, recipe)
    wanted = {one.volume_id: one.input_hash for one in labelled}
    before = {name: store.lake.read(name, dataset) for name in _TABLES}
    kept = {name: _standing(rows, wanted) for name, rows in before.items()}
    work = Checkpoint(store.location, _PARTICLES, dataset)
    resumed = _resumed(work, wanted, _ids(kept[_PARTICLES]))
    done = _ids(kept[_PARTICLES]) | _ids(resumed[_PARTICLES])
    todo = [one for one in labelled if one.particle_count and one.volume_id not in done]
    units = earlier_units(before[_PARTICLES], todo, PARTICLES_3D_CODE_VERSION)
    scaled, refused = _recalibrate_all(store, recipe.measurement, todo, units, before)
    todo = [one for one in todo if one.volume_id not in units]
    fresh, unmeasured = _measure_all(store, recipe.measurement, todo, work)
    refused |= unmeasured
    rows = {
        name: _together(
            name,
            [kept[name], resumed[name], *(tables[name] for tables in (*scaled.values(), *fresh))],
        )
        for name in _TABLES
    }
    snapshot = store.lake.replace(
        rows, dataset, author=author, message=f"particles and contacts of {dataset}"
    )
    work.clear()
    measured = {one.volume_id for one in labelled} - {one.volume_id for one in refused}
    lines = {one.path: line for one, line in refused.items()}
    return {
        name: Outcome(
            rows=rows[name].num_rows,
            computed=rows[name].num_rows - kept[name].num_rows,
            kept=kept[name].num_rows,
            dropped=before[name].num_rows - _of_volumes(before[name], measured).num_rows,
            refused=lines,
            snapshot=snapshot,
            recalibration=Recalibration.of(
                sum(tables[name].num_rows for tables in scaled.values()),
                [one.unit_um / units[one.volume_id] for one in scaled],
            ),
        )
        for name in (_PARTICLES, _CONTACTS)
    }


def inputs_of_particles_3d(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the particles of each volume rest on, by `volume_id`; without volumes that have none."""
    return {
        one.volume_id: one.input_hash
        for one in labelled_volumes(store, recipe)
        if one.particle_count
    }


def recalibrations_of_particles_3d(store: "Store", recipe: Recipe) -> set[str]:
    """Volumes whose particles rest on another voxel size than today's and on nothing else."""
    names = ("volume_id", "calibration_um", "input_hash", "code_version")
    rows = store.lake.read(_PARTICLES, recipe.dataset, columns=names)
    labelled = {one.volume_id: one for one in labelled_volumes(store, recipe)}
    units = earlier_units(rows, labelled.values(), PARTICLES_3D_CODE_VERSION)
    return {key for key, unit in units.items() if unit != labelled[key].unit_um}


def _ids(rows: pa.Table) -> set[str]:
    return set(rows["volume_id"].unique().to_pylist())


def _of_volumes(rows: pa.Table, ids: set[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows["volume_id"], pa.array(sorted(ids), pa.string())))


def _standing(rows: pa.Table, wanted: Mapping[str, str]) -> pa.Table:
    return standing(rows, "volume_id", wanted, PARTICLES_3D_CODE_VERSION)


def _resumed(work: Checkpoint, wanted: Mapping[str, str], known: set[str]) -> dict[str, pa.Table]:
    """Rows of volumes that runs finished which did not commit."""
    saved = {
        name: distinct(
            _standing(work.load(name), wanted),
            [*TABLES[name].key, "input_hash", "code_version"],
        )
        for name in _TABLES
    }
    ids = _ids(saved[_PARTICLES]) - known
    return {name: _of_volumes(rows, ids) for name, rows in saved.items()}


def _together(name: str, parts: Sequence[pa.Table]) -> pa.Table:
    """Rows of all parts; columns that an older home lacks are null."""
    table = empty(TABLES[name])
    declared = set(table.column_names)
    known = (part.select([c for c in part.column_names if c in declared]) for part in parts)
    return pa.concat_tables([table, *known], promote_options="permissive")


def _recalibrate_all(
    store: "Store",
    options: MeasureOptions,
    todo: Sequence[LabelledVolume],
    units_um: Mapping[str, float],
    before: Mapping[str, pa.Table],
) -> tuple[dict[LabelledVolume, dict[str, pa.Table]], dict[LabelledVolume, str]]:
    """Tables of each volume that needs no measurement, and what could not be, with the reason."""
    scaled: dict[LabelledVolume, dict[str, pa.Table]] = {}
    refused: dict[LabelledVolume, str] = {}
    for one in (one for one in todo if one.volume_id in units_um):
        try:
            scaled[one] = recalibrated(
                {name: _of_volumes(rows, {one.volume_id}) for name, rows in before.items()},
                _voxels(store, "labels", one.label_volume),
                one,
                options,
            )
        except EXPECTED as error:
            refused[one] = reason(store, one.volume, error, label_volume=one.label_volume)
    return scaled, refused


def _measure_all(
    store: "Store", options: MeasureOptions, todo: Sequence[LabelledVolume], work: Checkpoint
) -> tuple[list[dict[str, pa.Table]], dict[LabelledVolume, str]]:
    """Tables of each volume, and what could not be measured, with the reason."""
    fresh: list[dict[str, pa.Table]] = []
    refused: dict[LabelledVolume, str] = {}
    total = sum(one.particle_count for one in todo)
    seen = 0
    for one in todo:
        report(_PARTICLES, seen, total)
        try:
            tables = _measure(store, options, one, work, seen, total)
        except EXPECTED as error:
            refused[one] = reason(store, one.volume, error, label_volume=one.label_volume)
        else:
            with written(store, "work"):
                work.save_tables(tables)
            fresh.append(tables)
        seen += one.particle_count
    report(_PARTICLES, total, total)
    return fresh, refused


def _measure(
    store: "Store",
    options: MeasureOptions,
    one: LabelledVolume,
    work: Checkpoint,
    seen: int,
    total: int,
) -> dict[str, pa.Table]:
    """Measure one volume, from where an earlier run was cut short."""
    name = sha256(one.measurement, PARTICLES_3D_CODE_VERSION)
    known = [rows for rows in work.load_arrays(name) if rows.dtype == CLOSE_UP]

    def keep(rows: npt.NDArray[np.void]) -> None:
        with written(store, "work"):
            work.save_array(name, rows)

    found = measure_particles_3d(
        _voxels(store, "labels", one.label_volume),
        spacing_um=spacing_ratios(one.spacing_um),
        grey=_companion(store, "grey", one),
        phases=_companion(store, "phases", one),
        options=in_units(options, one.unit_um),
        progress=lambda done, of: report(_PARTICLES, seen + one.particle_count * done // of, total),
        known=np.concatenate(known) if known else None,
        keep=keep,
    )
    particles, contacts = calibrated_columns(found, one.spacing_um, options)
    stored = store.volume_store.open("labels", one.label_volume)
    particles["segmentation_confidence"] = confidence_of(
        particles["label"], stored.beside(CONFIDENCE)
    )
    return {_CONTACTS: _contact_rows(one, contacts), _PARTICLES: _particle_rows(one, particles)}


def _voxels(store: "Store", kind: str, key: str) -> Sliceable:
    """Voxels in memory where they fit, else as they lie in the store."""
    stored = store.volume_store.open(kind, key)
    if math.prod(stored.shape) * stored.dtype.itemsize > IN_MEMORY_BYTES:
        return stored
    array = np.empty(stored.shape, stored.dtype)
    for z in range(0, len(array), stored.chunks[0]):  # no second copy of the whole
        array[z : z + stored.chunks[0]] = stored[z : z + stored.chunks[0]]
    return array


def _companion(store: "Store", kind: str, one: LabelledVolume) -> Sliceable | None:
    key = one.volume[f"{kind}_hash"]
    return None if key is None else _voxels(store, kind, key)


def _particle_rows(one: LabelledVolume, columns: Columns) -> pa.Table:
    ids = _particle_ids(one, columns["label"])
    return from_columns(
        TABLES[_PARTICLES], {**columns, "particle_id": ids, **_common(one, len(ids))}
    )


def _contact_rows(one: LabelledVolume, columns: Columns) -> pa.Table:
    ends = {f"particle_{end}_id": _particle_ids(one, columns[f"label_{end}"]) for end in "ab"}
    return from_columns(
        TABLES[_CONTACTS], {**columns, **ends, **_common(one, len(columns["label_a"]))}
    )


def _particle_ids(one: LabelledVolume, labels: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
    ids = [sha256(one.volume_id, one.label_volume, str(label))[:16] for label in labels.tolist()]
    return np.array(ids, object)


def _common(one: LabelledVolume, rows: int) -> dict[str, npt.NDArray[np.object_]]:
    told = {
        "dataset": one.volume["dataset"],
        "volume_id": one.volume_id,
        "calibration_um": one.unit_um,
        "input_hash": one.input_hash,
        "code_version": PARTICLES_3D_CODE_VERSION,
    }
    return {name: np.full(rows, text, object) for name, text in told.items()}
