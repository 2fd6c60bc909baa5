"""Which rows of an asset are out of date: of older inputs or code, missing, or of nothing any more.

Out of scope: computing them again, which refreshes do by the same hashes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from graindex.annotations import ANNOTATIONS_CODE_VERSION, inputs_of_annotations
from graindex.catalogue import DATASETS_CODE_VERSION, SAMPLES_CODE_VERSION, dataset_input_hash
from graindex.checking import SHOWN, Problem
from graindex.conduction_maps import MAPS_CODE_VERSION, inputs_of_maps
from graindex.confounding import CONFOUNDERS_CODE_VERSION, inputs_of_confounders
from graindex.derive import VECTORS_CODE_VERSION, inputs_of_images
from graindex.detachment import DETACHMENT_CODE_VERSION, inputs_of_detachment
from graindex.drift import DRIFT_CODE_VERSION, inputs_of_drift
from graindex.duplicates import COMPARED, DUPLICATES_CODE_VERSION, inputs_of_comparisons
from graindex.errors import CollectionError
from graindex.examine import CODE_VERSION
from graindex.image_particles import (
    MASKS_CODE_VERSION,
    PARTICLES_2D_CODE_VERSION,
    inputs_of_masks,
    inputs_of_particles_2d,
    recalibrations_of_particles_2d,
)
from graindex.label_issues import LABEL_ISSUES_CODE_VERSION, inputs_of_label_issues
from graindex.phase_peaks import PEAKS_CODE_VERSION, inputs_of_peaks
from graindex.recipes import Recipe
from graindex.scan import list_collection
from graindex.segmentation_scores import SCORES_CODE_VERSION, inputs_of_scores
from graindex.statistics import STATISTICS_CODE_VERSION, inputs_of_statistics
from graindex.store import Store
from graindex.volume_labels import (
    LABELS_CODE_VERSION,
    inputs_of_labels,
    recalibrations_of_labels,
)
from graindex.volume_particles import (
    PARTICLES_3D_CODE_VERSION,
    inputs_of_particles_3d,
    recalibrations_of_particles_3d,
)
from graindex.volumes import VOLUMES_CODE_VERSION
from models.measure.image_faults import FAULTS_CODE_VERSION
from models.measure.image_quality import QUALITY_CODE_VERSION
from schemas.ddl import literal, quote
from schemas.tables import TABLES

Inputs = Mapping[str, str]
MISSING, OLDER, ORPHANED = "missing", "of older inputs, settings or code", "of nothing any more"
UNCALIBRATED = "of another pixel or voxel size"
"""Why rows are out of date of which lengths, areas and volumes alone change."""

LISTED = {
    "datasets": DATASETS_CODE_VERSION,
    "samples": SAMPLES_CODE_VERSION,
    "micrographs": CODE_VERSION,
    "volumes": VOLUMES_CODE_VERSION,
}
"""Assets that follow from the files themselves, with the code version of today."""


@dataclass(frozen=True, slots=True)
class Derived:
    """An asset that is computed from others.

    Attributes:
        entity: column that names what its rows are computed of.
        code_version: of the code of today.
        inputs: hash of what the rows of each entity rest on now, by entity.
        table: the table that holds them, where it is not called like the asset.
        recalibrations: entities whose rows only a new pixel or voxel size changes.
    """

    entity: str
    code_version: str
    inputs: Callable[[Store, Recipe], Inputs]
    table: str = ""
    recalibrations: Callable[[Store, Recipe], set[str]] = lambda _store, _recipe: set()


DERIVED: dict[str, Derived] = {
    "image_quality": Derived(
        "micrograph_id", QUALITY_CODE_VERSION, lambda s, r: inputs_of_images(s, r.dataset)
    ),
    "micrograph_vectors": Derived(
        "micrograph_id", VECTORS_CODE_VERSION, lambda s, r: inputs_of_images(s, r.dataset)
    ),
    "particle_masks_2d": Derived("micrograph_id", MASKS_CODE_VERSION, inputs_of_masks),
    "particles_2d": Derived(
        "micrograph_id",
        PARTICLES_2D_CODE_VERSION,
        lambda s, r: inputs_of_particles_2d(s, r.dataset),
        recalibrations=lambda s, r: recalibrations_of_particles_2d(s, r.dataset),
    ),
    "particle_annotations": Derived(
        "micrograph_id", ANNOTATIONS_CODE_VERSION, inputs_of_annotations
    ),
    "segmentation_scores": Derived("score_id", SCORES_CODE_VERSION, inputs_of_scores),
    "particle_labels_3d": Derived(
        "volume_id",
        LABELS_CODE_VERSION,
        inputs_of_labels,
        recalibrations=recalibrations_of_labels,
    ),
    # Measured with the particles; a volume whose particles do not touch has none.
    **dict.fromkeys(
        ("particles_3d", "contacts"),
        Derived(
            "volume_id",
            PARTICLES_3D_CODE_VERSION,
            inputs_of_particles_3d,
            "particles_3d",
            recalibrations_of_particles_3d,
        ),
    ),
    "electrode_statistics": Derived("entity_id", STATISTICS_CODE_VERSION, inputs_of_statistics),
    "phase_peaks": Derived("volume_id", PEAKS_CODE_VERSION, inputs_of_peaks),
    "conduction_maps": Derived("volume_id", MAPS_CODE_VERSION, inputs_of_maps),
    "detachment_groups": Derived("dataset", DETACHMENT_CODE_VERSION, inputs_of_detachment),
    "image_faults": Derived(
        "micrograph_id", FAULTS_CODE_VERSION, lambda s, r: inputs_of_images(s, r.dataset)
    ),
    # An image without duplicates has no pair, but was compared.
    "near_duplicates": Derived(
        "micrograph_id",
        DUPLICATES_CODE_VERSION,
        lambda s, r: inputs_of_comparisons(s, r.dataset),
        COMPARED,
    ),
    "label_issues": Derived("label_name", LABEL_ISSUES_CODE_VERSION, inputs_of_label_issues),
    "confounders": Derived("label_name", CONFOUNDERS_CODE_VERSION, inputs_of_confounders),
    "drift": Derived("compared", DRIFT_CODE_VERSION, inputs_of_drift),
}


def files_changed(store: Store, recipe: Recipe) -> str:
    """What changed below a collection since it was catalogued; "" for nothing."""
    rows = store.read("datasets", recipe.dataset).to_pylist()
    if not rows:
        return "never materialised"
    try:
        current = dataset_input_hash(recipe, list_collection(recipe.location_uri))
    except CollectionError as error:
        return str(error)
    return "" if rows[0]["input_hash"] == current else "files or registration changed"


def row_count(store: Store, asset: str, dataset: str) -> int:
    """Number of rows of an asset that belong to a collection."""
    if asset == "micrograph_vectors":
        return sum(store.vectors.count(table, dataset) for table in store.encoders)
    counting = f"SELECT count(*) AS n FROM lake.{quote(asset)} WHERE dataset = {literal(dataset)}"
    found = store.lake.query_if_there(counting)
    return 0 if found is None else int(found["n"][0].as_py())


def out_of_date(store: Store, asset: str, recipe: Recipe) -> dict[str, str]:
    """Entities of a derived asset whose rows are not as they would be computed now, and why."""
    derived = DERIVED[asset]
    wanted = derived.inputs(store, recipe)
    found = _origins(store, derived.table or asset, derived.entity, recipe.dataset)
    stale = {
        row[derived.entity]
        for row in found
        if row["code_version"] != derived.code_version
        or row["input_hash"] != wanted.get(row[derived.entity])
    }
    have = {row[derived.entity] for row in found}
    uncalibrated = derived.recalibrations(store, recipe) & have & wanted.keys()
    return {
        **dict.fromkeys(sorted(wanted.keys() - have), MISSING),
        **dict.fromkeys(sorted((stale & wanted.keys()) - uncalibrated), OLDER),
        **dict.fromkeys(sorted(uncalibrated), UNCALIBRATED),
        **dict.fromkeys(sorted(have - wanted.keys()), ORPHANED),
    }


def _origins(store: Store, table: str, entity: str, dataset: str) -> list[dict[str, str]]:
    """What the rows there are were computed of: each entity, input hash and code version once."""
    names = (entity, "input_hash", "code_version")
    if table == "micrograph_vectors":
        return _origins_of_vectors(store, dataset, names)
    sql = (
        f"SELECT DISTINCT {', '.join(quote(name) for name in names)} FROM lake.{quote(table)} "
        f"WHERE dataset = {literal(dataset)}"
    )
    found = store.lake.query_if_there(sql)
    return [] if found is None else _records(found)


def _origins_of_vectors(store: Store, dataset: str, names: Sequence[str]) -> list[dict[str, str]]:
    """Images that have a vector by every encoder; one that lacks any is as if it had none."""
    found: list[list[dict[str, str]]] = []
    for table, encoder in store.encoders.items():
        rows = store.vectors.read(table, dataset)
        ours = rows.filter(pc.equal(rows["encoder_id"], encoder.encoder_id))
        found.append(_records(ours.select(list(names))))
    whole = set.intersection(*({row["micrograph_id"] for row in rows} for rows in found))
    return [row for rows in found for row in rows if row["micrograph_id"] in whole]


def _records(rows: pa.Table) -> list[dict[str, str]]:
    records: list[dict[str, str]] = rows.to_pylist()
    return records


def stale_rows(asset: str, store: Store, dataset: str) -> list[Problem]:
    """What of a collection in an asset is of older inputs, settings or code, or too old."""
    recipe = store.recipe(dataset)
    if asset in DERIVED:
        found = out_of_date(store, asset, recipe)
        return [
            *_told("of the inputs, settings and code of now", _because(found, OLDER)),
            *_told("of the pixel or voxel size of now", _because(found, UNCALIBRATED)),
            *_told("of something that is there", _because(found, ORPHANED)),
        ]
    if asset == "datasets":
        changed = files_changed(store, recipe)
        lines = [(dataset, changed)] if changed else []
        return [*_told("as files and registration are now", lines), *_too_old(recipe)]
    if asset not in LISTED:
        return []
    (key,) = (name for name in TABLES[asset].key if name != "dataset")
    rows = store.lake.read(asset, dataset, columns=(key, "code_version"))
    older = rows.filter(pc.not_equal(rows["code_version"], LISTED[asset]))
    lines = [(row[key], f"code version {row['code_version']}") for row in _records(older)]
    return _told("of the code of now", lines)


def _too_old(recipe: Recipe) -> list[Problem]:
    """The newest file, if it is older than the recipe allows."""
    limit = recipe.checks.max_age_days
    if limit is None:
        return []
    try:
        listing = list_collection(recipe.location_uri)
    except CollectionError:
        return []  # which is told as a change
    files = (*listing.images, *listing.others.values())
    newest = max(files, key=lambda file: file.modified_at, default=None)
    if newest is not None and datetime.now(UTC) - newest.modified_at <= timedelta(days=limit):
        return []
    line = ("", "no file") if newest is None else (newest.path, f"of {newest.modified_at:%Y-%m-%d}")
    return _told(f"newest file at most {limit:g} days old", [line])


def _because(found: Mapping[str, str], reason: str) -> list[tuple[str, str]]:
    return [(key, why) for key, why in found.items() if why == reason]


def _told(rule: str, lines: Sequence[tuple[str, str]]) -> list[Problem]:
    return [Problem(rule, len(lines), tuple(lines[:SHOWN]))] if lines else []
