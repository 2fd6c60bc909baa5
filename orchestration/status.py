"""What each collection holds, what is out of date and why.

Out of scope: bringing it up to date.
"""

from collections import Counter
from datetime import UTC, datetime

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter  # not exported by dagster 1.13
from dagster._core.storage.asset_check_execution_record import (  # nor is this
    AssetCheckExecutionRecord,
)

from graindex.catalogue import DATASETS_CODE_VERSION, SAMPLES_CODE_VERSION, dataset_input_hash
from graindex.derive import VECTORS_CODE_VERSION, pixels_hash
from graindex.errors import CollectionError
from graindex.examine import CODE_VERSION
from graindex.scan import list_collection
from graindex.store import Store
from graindex.vectors import lance_table
from models.measure.image_quality import QUALITY_CODE_VERSION
from orchestration.checks import CHECKS
from orchestration.instance import open_instance

Record = dict[str, object]
ENDINGS = ("passed", "warned", "failed")
_ASSETS = ("datasets", "samples", "micrographs", "image_quality", "micrograph_vectors")


def collection_status(store: Store, datasets: list[str]) -> list[Record]:
    """One record for each collection and asset."""
    records: list[Record] = []
    with open_instance(store.location) as instance:
        for dataset in datasets:
            states = _states(store, dataset)
            for asset in _ASSETS:
                rows, stale, why = states[asset]
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


def _states(store: Store, dataset: str) -> dict[str, State]:
    """Rows, stale rows and the reason, by asset."""
    changed = _files_changed(store, dataset)
    images = {row["micrograph_id"]: row for row in store.read("micrographs", dataset).to_pylist()}
    states: dict[str, State] = {}
    for asset, version in (
        ("datasets", DATASETS_CODE_VERSION),
        ("samples", SAMPLES_CODE_VERSION),
        ("micrographs", CODE_VERSION),
    ):
        versions = store.read(asset, dataset)["code_version"].to_pylist()
        old = sum(found != version for found in versions)
        if changed:
            states[asset] = (len(versions), max(1, len(versions)), changed)
        else:
            states[asset] = (len(versions), old, "older code" if old else "")
    wanted = {key: pixels_hash(row) for key, row in images.items()}
    quality = store.read("image_quality", dataset).to_pylist()
    fresh = {
        row["micrograph_id"]
        for row in quality
        if (row["input_hash"], row["code_version"])
        == (wanted.get(row["micrograph_id"]), QUALITY_CODE_VERSION)
    }
    states["image_quality"] = _derived(len(quality), len(wanted.keys() - fresh))
    name = lance_table(store.settings.encoder.backbone)
    vectors = store.vectors.read(name, dataset).to_pylist()
    fresh = {
        row["micrograph_id"]
        for row in vectors
        if (row["input_hash"], row["encoder_id"], row["code_version"])
        == (wanted.get(row["micrograph_id"]), store.encoder_id, VECTORS_CODE_VERSION)
    }
    states["micrograph_vectors"] = _derived(len(vectors), len(wanted.keys() - fresh))
    return states


def _derived(rows: int, missing: int) -> State:
    return rows, missing, "images changed, older code or settings" if missing else ""


def _files_changed(store: Store, dataset: str) -> str:
    rows = store.read("datasets", dataset).to_pylist()
    if not rows:
        return "never materialised"
    recipe = store.recipe(dataset)
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
