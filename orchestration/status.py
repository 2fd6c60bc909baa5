"""What each collection holds, what is out of date and why.

Out of scope: bringing it up to date.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from dagster._core.event_api import PartitionKeyFilter  # not exported by dagster 1.13
from dagster._core.storage.asset_check_execution_record import (  # nor is this
    AssetCheckExecutionRecord,
)

from graindex.catalogue import DATASETS_CODE_VERSION, SAMPLES_CODE_VERSION, dataset_input_hash
from graindex.derive import VECTORS_CODE_VERSION, inputs_of_images
from graindex.errors import CollectionError
from graindex.examine import CODE_VERSION
from graindex.image_particles import (
    MASKS_CODE_VERSION,
    PARTICLES_2D_CODE_VERSION,
    inputs_of_masks,
    inputs_of_particles_2d,
)
from graindex.recipes import Kind, Recipe
from graindex.scan import list_collection
from graindex.statistics import STATISTICS_CODE_VERSION, inputs_of_statistics
from graindex.store import Store
from graindex.vectors import lance_table
from graindex.volume_labels import LABELS_CODE_VERSION, inputs_of_labels
from graindex.volume_particles import PARTICLES_3D_CODE_VERSION, inputs_of_particles_3d
from graindex.volumes import VOLUMES_CODE_VERSION
from models.measure.image_quality import QUALITY_CODE_VERSION
from orchestration.checks import CHECKS
from orchestration.instance import open_instance

Record = dict[str, object]
ENDINGS = ("passed", "warned", "failed")
_COMMON = ("datasets", "samples")
_ASSETS: dict[Kind, tuple[str, ...]] = {
    "micrographs": (
        *_COMMON,
        "micrographs",
        "image_quality",
        "micrograph_vectors",
        "particle_masks_2d",
        "particles_2d",
        "electrode_statistics",
    ),
    "volumes": (
        *_COMMON,
        "volumes",
        "particle_labels_3d",
        "particles_3d",
        "contacts",
        "electrode_statistics",
    ),
}


def collection_status(store: Store, datasets: list[str]) -> list[Record]:
    """One record for each collection and asset."""
    records: list[Record] = []
    with open_instance(store.location) as instance:
        for dataset in datasets:
            recipe = store.recipe(dataset)
            listed, derived = _listed(store, recipe), _derived(store, recipe)
            for asset in _ASSETS[recipe.kind]:
                rows, stale, why = listed[asset] if asset in listed else derived[asset]()
                records.append(
                    {
                        "dataset": dataset,
                        "asset": asset,
                        "rows": rows,
                        "stale": stale,
                        "why": why,
                        **_history(instance, asset, dataset),
                    }
                )
    return records


State = tuple[int, int, str]
Inputs = Mapping[str, str]


def _listed(store: Store, recipe: Recipe) -> dict[str, State]:
    """Rows, stale rows and the reason of assets that follow from the files themselves."""
    changed = _files_changed(store, recipe)
    states: dict[str, State] = {}
    for asset, version in (
        ("datasets", DATASETS_CODE_VERSION),
        ("samples", SAMPLES_CODE_VERSION),
        ("micrographs", CODE_VERSION),
        ("volumes", VOLUMES_CODE_VERSION),
    ):
        versions = store.read(asset, recipe.dataset)["code_version"].to_pylist()
        old = sum(found != version for found in versions)
        if changed:
            states[asset] = (len(versions), max(1, len(versions)), changed)
        else:
            states[asset] = (len(versions), old, "older code" if old else "")
    return states


def _derived(store: Store, recipe: Recipe) -> dict[str, Callable[[], State]]:
    """The same of assets that are computed from others, by asset; asked only where of the kind."""
    dataset = recipe.dataset

    def state(
        table: str, entity: str, version: str, wanted: Callable[[], Inputs]
    ) -> Callable[[], State]:
        columns = (entity, "input_hash", "code_version")
        return lambda: _compared(
            store.lake.read(table, dataset, columns=columns), entity, version, wanted()
        )

    def vectors() -> State:
        rows = store.vectors.read(lance_table(store.settings.encoder.backbone), dataset)
        ours = rows.filter(pc.equal(rows["encoder_id"], store.encoder_id))
        _, stale, why = _compared(
            ours, "micrograph_id", VECTORS_CODE_VERSION, inputs_of_images(store, dataset)
        )
        return rows.num_rows, stale, why

    particles_3d = state(
        "particles_3d",
        "volume_id",
        PARTICLES_3D_CODE_VERSION,
        lambda: inputs_of_particles_3d(store, recipe),
    )

    def contacts() -> State:
        # Measured with the particles; a volume whose particles do not touch has none.
        rows = store.lake.read("contacts", dataset, columns=("volume_id",)).num_rows
        return rows, *particles_3d()[1:]

    return {
        "image_quality": state(
            "image_quality",
            "micrograph_id",
            QUALITY_CODE_VERSION,
            lambda: inputs_of_images(store, dataset),
        ),
        "micrograph_vectors": vectors,
        "particle_masks_2d": state(
            "particle_masks_2d",
            "micrograph_id",
            MASKS_CODE_VERSION,
            lambda: inputs_of_masks(store, recipe),
        ),
        "particles_2d": state(
            "particles_2d",
            "micrograph_id",
            PARTICLES_2D_CODE_VERSION,
            lambda: inputs_of_particles_2d(store, dataset),
        ),
        "particle_labels_3d": state(
            "particle_labels_3d",
            "volume_id",
            LABELS_CODE_VERSION,
            lambda: inputs_of_labels(store, recipe),
        ),
        "particles_3d": particles_3d,
        "contacts": contacts,
        "electrode_statistics": state(
            "electrode_statistics",
            "entity_id",
            STATISTICS_CODE_VERSION,
            lambda: inputs_of_statistics(store, recipe),
        ),
    }


def _compared(rows: pa.Table, entity: str, version: str, wanted: Inputs) -> State:
    """Rows there are, images or volumes whose rows are missing or out of date, and why."""
    found = rows.group_by([entity, "input_hash", "code_version"]).aggregate([]).to_pylist()
    fresh = {row[entity] for row in found if row["code_version"] == version}
    fresh &= {row[entity] for row in found if wanted.get(row[entity]) == row["input_hash"]}
    stale = len(wanted.keys() - fresh) + len({row[entity] for row in found} - wanted.keys())
    return rows.num_rows, stale, "inputs changed, older code or settings" if stale else ""


def _files_changed(store: Store, recipe: Recipe) -> str:
    rows = store.read("datasets", recipe.dataset).to_pylist()
    if not rows:
        return "never materialised"
    try:
        current = dataset_input_hash(recipe, list_collection(recipe.location_uri))
    except CollectionError as error:
        return str(error)
    return "" if rows[0]["input_hash"] == current else "files or registration changed"


def _history(instance: dg.DagsterInstance, asset: str, dataset: str) -> Record:
    key = dg.AssetKey(asset)
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[dataset]), limit=1
    ).records
    when = datetime.fromtimestamp(records[0].timestamp, UTC) if records else None
    ended: Counter[str] = Counter()
    for checks in CHECKS:
        for check_key in checks.check_keys:
            if check_key.asset_key != key:
                continue
            history = instance.event_log_storage.get_asset_check_execution_history(
                check_key, limit=1, partition_filter=PartitionKeyFilter(key=dataset)
            )
            for entry in history:
                ended[_ending(entry)] += 1
    return {
        "last_materialized_at": when,
        **{f"checks_{ending}": ended[ending] for ending in ENDINGS},
    }


def _ending(entry: AssetCheckExecutionRecord) -> str:
    """How a check ended; one that only warns holds nothing up."""
    if entry.status.value == "SUCCEEDED":
        return "passed"
    event = entry.event.dagster_event if entry.event else None
    if event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return "failed"
    warned = event.asset_check_evaluation_data.severity is dg.AssetCheckSeverity.WARN
    return "warned" if warned else "failed"
