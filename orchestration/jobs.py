"""The jobs: bring one collection up to date, or only check it.

Out of scope: what the assets do.
"""

import dagster as dg

CATALOG = "catalog"
CHECK = "check"

catalog_job = dg.define_asset_job(
    CATALOG,
    selection=dg.AssetSelection.all(),
    description="Brings every asset of one collection up to date and checks it.",
)

check_job = dg.define_asset_job(
    CHECK,
    selection=dg.AssetSelection.all_asset_checks(),
    description="Checks one collection without computing anything.",
)
