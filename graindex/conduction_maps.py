"""Maps of the paths of conduction through one typical particle of each volume, as pictures.

Out of scope: the paths (`models.measure.conduction_map`), drawing (`graindex.conduction_figures`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from graindex.conduction_figures import conduction_figure
from graindex.detachment_particles import SIZE
from graindex.files import sha256
from graindex.kept_rows import standing
from graindex.labelled_volumes import LabelledVolume, labelled_volumes
from graindex.outcome import Outcome
from graindex.progress import report
from graindex.recipes import Recipe
from graindex.stored_particles import StoredParticles
from graindex.stored_volumes import EXPECTED, reason
from models.measure.arrays import InvalidVolumeError
from models.measure.conduction_map import conduction_map
from models.measure.particle_boxes import ParticleBoxes
from schemas.arrow import arrow_schema, from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

MAPS_CODE_VERSION = "1"
TABLE = "conduction_maps"

_SHOWN = (
    "label", "detachment", SIZE, "conduction_path_mean_um", "conduction_path_max_um",
)  # fmt: skip
_COLUMNS = (*_SHOWN, "particle_id", "x_um", "y_um", "z_um", "axis_major_um", "touches_border")
_RANKED = (SIZE, "detachment", "conduction_path_mean_um")

Record = dict[str, Any]


def refresh_maps(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the maps of a collection up to date, volume by volume; a lost picture is drawn again.

    A volume without a whole particle that has a path to binder is refused with the reason, and so
    is one without phases where others have them; the others go on.
    """
    dataset = recipe.dataset
    particles = StoredParticles(store, "particles_3d", "volume_id", dataset, _COLUMNS)
    labelled = labelled_volumes(store, recipe)
    wanted = {one.volume_id: _input_hash(one, particles) for one in labelled if _has_phases(one)}
    before = store.lake.read(TABLE, dataset)
    schema = arrow_schema(TABLES[TABLE])
    kept = standing(before, "volume_id", wanted, MAPS_CODE_VERSION).select(schema.names)
    there = [store.files.has(address) for address in kept["overlay"].to_pylist()]
    kept = kept.filter(pa.array(there, pa.bool_())).cast(schema)
    have = set(kept["volume_id"].to_pylist())
    refused = {
        one.path: "no phases, by which binder is told: put a file named like NAME_phases beside it"
        for one in labelled
        if wanted and one.volume_id not in wanted
    }
    todo = [one for one in labelled if one.volume_id in wanted and one.volume_id not in have]
    records = []
    report(TABLE, 0, len(todo))
    for done, one in enumerate(todo, start=1):
        try:
            row = _drawn(store, recipe, one, particles)
            records.append(row | {"input_hash": wanted[one.volume_id]})
        except EXPECTED as error:
            refused[one.path] = reason(store, one.volume, error, label_volume=one.label_volume)
        report(TABLE, done, len(todo))
    rows = pa.concat_tables([kept, from_records(TABLES[TABLE], records)])
    snapshot = store.lake.replace(
        {TABLE: rows}, dataset, author=author, message=f"{TABLE} of {dataset}"
    )
    gone = [key for key in before["volume_id"].to_pylist() if key not in wanted]
    return Outcome(rows.num_rows, len(records), kept.num_rows, len(gone), refused, snapshot)


def inputs_of_maps(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the map of each volume rests on now, by `volume_id`; of those that have one."""
    particles = StoredParticles(store, "particles_3d", "volume_id", recipe.dataset, _COLUMNS)
    return {
        one.volume_id: _input_hash(one, particles)
        for one in labelled_volumes(store, recipe)
        if _has_phases(one) and _typical(particles.of([one.volume_id])[1]) is not None
    }


def _has_phases(one: LabelledVolume) -> bool:
    return one.volume["phases_hash"] is not None


def _input_hash(one: LabelledVolume, particles: StoredParticles) -> str:
    return sha256(one.input_hash, particles.digest(one.volume_id))


def _drawn(
    store: "Store", recipe: Recipe, one: LabelledVolume, particles: StoredParticles
) -> Record:
    problem = particles.unmeasured(one.volume_id, one.particle_count)
    columns = particles.of([one.volume_id])[1]
    at = _typical(columns)
    if problem is not None or at is None:
        raise InvalidVolumeError(problem or "no whole particle of it has a path to the binder")
    row = {name: _plain(columns[name][at]) for name in _COLUMNS}
    found = conduction_map(
        ParticleBoxes(
            store.volume_store.open("labels", one.label_volume),
            grey=None,
            phases=store.volume_store.open("phases", one.volume["phases_hash"]),
            phase_binder=recipe.measurement.phase_binder,
        ),
        row["label"],
        near_um=[row[f"{axis}_um"] for axis in "zyx"],
        reach_um=row["axis_major_um"] / 2,
        spacing_um=one.spacing_um,
    )
    told = {
        "dataset": recipe.dataset,
        "volume_id": one.volume_id,
        "code_version": MAPS_CODE_VERSION,
    }
    shown = {name: row[name] for name in (*_SHOWN, "particle_id")}
    picture = conduction_figure(found, title=f"{one.path}, particle {row['label']}", row=row)
    return told | shown | {"overlay": store.files.put(picture)}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _typical(columns: Mapping[str, Any]) -> int | None:
    """The whole particle nearest to the middle of diameter, detachment and path; None without."""
    known = ~columns["touches_border"].astype(bool)
    for name in _RANKED:
        known &= np.isfinite(columns[name].astype(np.float64))
    places = np.flatnonzero(known)
    if not places.size:
        return None
    off = np.zeros(len(places))
    for name in _RANKED:
        rank = np.argsort(np.argsort(columns[name][places], kind="stable"))
        off += np.abs(rank - (len(places) - 1) / 2)
    return int(places[np.argmin(off)])
