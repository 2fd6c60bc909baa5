"""The jobs: bring one collection up to date, or only check it.

Out of scope: what the assets do.
"""

import dagster as dg

CATALOG = "catalog"
CHECK = "check"
# The argument `partition_key` looks for partitions among a job's assets; a job of checks has none.
PARTITION_TAG = "dagster/partition"

catalog_job = dg.define_asset_job(
    CATALOG,
    selection=dg.AssetSelection.all(),
    description="Brings every asset of one collection up to date and checks it.",
)

# Not among the definitions: Dagster gives a job of checks no partitions to choose from, so that it
# runs only where the partition comes with the run, as `graindex check` does.
check_job = dg.define_asset_job(
    CHECK,
    selection=dg.AssetSelection.all_asset_checks(),
    description="Checks one collection without computing anything.",
)
