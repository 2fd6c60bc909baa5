"""What each collection holds, what is out of date and why, and what was last recalibrated.

Out of scope: bringing it up to date.
"""

from collections import Counter
from datetime import UTC, datetime

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter  # not exported by dagster 1.13
from dagster._core.storage.asset_check_execution_record import (  # nor is this
    AssetCheckExecutionRecord,
)

from assets.table_metadata import RECALIBRATED
from graindex.errors import ModelError
from graindex.freshness import (
    DERIVED,
    LISTED,
    UNCALIBRATED,
    files_changed,
    out_of_date,
    row_count,
)
from graindex.recipes import Kind, Recipe
from graindex.store import Store
from orchestration.checks import CHECKS
from orchestration.instance import open_instance

Record = dict[str, object]
ENDINGS = ("passed", "warned", "failed")
_COMMON = ("datasets", "samples")
_ANNOTATIONS = "particle_annotations"
_OF_ANNOTATED = frozenset({_ANNOTATIONS, "segmentation_scores"})
_ASSETS: dict[Kind, tuple[str, ...]] = {
    "micrographs": (
        *_COMMON,
        "micrographs",
        "image_quality",
        "micrograph_vectors",
        "particle_masks_2d",
        "particles_2d",
        _ANNOTATIONS,
        "segmentation_scores",
        "electrode_statistics",
        "image_faults",
        "near_duplicates",
        "label_issues",
        "confounders",
        "drift",
    ),
    "volumes": (
        *_COMMON,
        "volumes",
        "particle_labels_3d",
        "particles_3d",
        "contacts",
        "electrode_statistics",
        "phase_peaks",
        "conduction_maps",
        "detachment_groups",
    ),
}


def collection_status(store: Store, datasets: list[str]) -> list[Record]:
    """One record for each collection and asset."""
    records: list[Record] = []
    with open_instance(store.location) as instance:
        for dataset in datasets:
            recipe = store.recipe(dataset)
            changed = files_changed(store, recipe)
            for asset in assets_of(store, recipe):
                rows, stale, why = _state(store, recipe, asset, changed)
                history = _history(instance, asset, dataset)
                recalibration = history.pop("recalibration")
                records.append(
                    {
                        "dataset": dataset,
                        "asset": asset,
                        "rows": rows,
                        "stale": stale,
                        "why": why or recalibration,
                        **history,
                    }
                )
    return records


def assets_of(store: Store, recipe: Recipe) -> list[str]:
    """What a collection fills; annotations only where it has, or had, some."""
    annotated = recipe.annotations.uri or row_count(store, _ANNOTATIONS, recipe.dataset)
    return [asset for asset in _ASSETS[recipe.kind] if asset not in _OF_ANNOTATED or annotated]


State = tuple[int, int, str]


def _state(store: Store, recipe: Recipe, asset: str, changed: str) -> State:
    """Rows of an asset, how many are out of date, and why."""
    rows = row_count(store, asset, recipe.dataset)
    if asset in DERIVED:
        try:
            stale = out_of_date(store, asset, recipe)
        except ModelError as error:  # its network is gone
            return rows, max(1, rows), str(error)
        return rows, len(stale), _reason(set(stale.values()))
    if changed:
        return rows, max(1, rows), changed
    versions = store.read(asset, recipe.dataset)["code_version"].to_pylist()
    old = sum(found != LISTED[asset] for found in versions)
    return rows, old, "older code" if old else ""


def _reason(reasons: set[str]) -> str:
    """Why rows are out of date, in a few words; "" where none is."""
    if reasons == {UNCALIBRATED}:
        return "pixel or voxel size changed"
    return "inputs changed, older code or settings" if reasons else ""


def _history(instance: dg.DagsterInstance, asset: str, dataset: str) -> Record:
    key = dg.AssetKey(asset)
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[dataset]), limit=1
    ).records
    when = datetime.fromtimestamp(records[0].timestamp, UTC) if records else None
    done = records[0].asset_materialization if records else None
    recalibration = done.metadata.get(RECALIBRATED) if done else None
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
        "recalibration": recalibration.value if recalibration else "",
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
