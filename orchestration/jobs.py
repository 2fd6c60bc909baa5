"""The jobs: bring one collection or one model up to date, or only check a collection.

Out of scope: what the assets do.
"""

import dagster as dg

from assets.resources import KIND_TAG

CATALOG: dict[str, str] = {"micrographs": "catalog_micrographs", "volumes": "catalog_volumes"}
CHECK = "check"
TRAIN = "train_models"
# The argument `partition_key` looks for partitions among a job's assets; a job of checks has none.
PARTITION_TAG = "dagster/partition"
_MODELS = dg.AssetSelection.groups("models")


CATALOG_JOBS = [
    dg.define_asset_job(
        CATALOG[kind],
        selection=dg.AssetSelection.all() - _MODELS - dg.AssetSelection.tag(KIND_TAG, other),
        description=f"Brings every asset of one collection of {kind} up to date and checks it.",
    )
    for kind, other in (("micrographs", "volumes"), ("volumes", "micrographs"))
]

train_job = dg.define_asset_job(
    TRAIN,
    selection=_MODELS,
    description="Builds the training set of one model, trains it and checks it.",
)

# Not among the definitions: Dagster gives a job of checks no partitions to choose from, so that it
# runs only where the partition comes with the run, as `graindex check` does.
check_job = dg.define_asset_job(
    CHECK,
    selection=dg.AssetSelection.all_asset_checks()
    - dg.AssetSelection.checks_for_assets("trained_models"),
    description="Checks one collection without computing anything.",
)
