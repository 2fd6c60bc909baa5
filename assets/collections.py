"""Assets `datasets` and `samples`: what was registered, and its specimens.

Out of scope: images.
"""

import dagster as dg

from assets.previews import markdown_table
from assets.resources import DATASETS, OWNERS, StoreResource
from assets.table_metadata import definition_metadata, outcome_metadata
from graindex.catalogue import (
    DATASETS_CODE_VERSION,
    SAMPLES_CODE_VERSION,
    refresh_dataset,
    refresh_samples,
)


@dg.asset(
    partitions_def=DATASETS,
    group_name="catalogue",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    code_version=DATASETS_CODE_VERSION,
    metadata=definition_metadata("datasets"),
)
def datasets(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult[None]:
    """Registered collections of images or volumes: where they lie, their terms and their size."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_dataset(opened, opened.recipe(dataset), author=author(context))
    row = opened.read("datasets", dataset).select(["dataset", "location_uri", "file_count"])
    preview = {"preview": markdown_table(row)}
    return dg.MaterializeResult(metadata=outcome_metadata("datasets", outcome) | preview)


@dg.asset(
    partitions_def=DATASETS,
    group_name="catalogue",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    code_version=SAMPLES_CODE_VERSION,
    metadata=definition_metadata("samples"),
    deps=[datasets],
)
def samples(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult[None]:
    """Specimens, with the labels that file names and tables of samples give them."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_samples(opened, opened.recipe(dataset), author=author(context))
    rows = opened.read("samples", dataset)
    hidden = {"dataset", "sample_id", "input_hash", "code_version"}
    filled = [
        name
        for name in rows.column_names
        if name not in hidden and rows[name].null_count < rows.num_rows
    ]
    preview = {"preview": markdown_table(rows.select(filled).slice(0, 10))}
    return dg.MaterializeResult(metadata=outcome_metadata("samples", outcome, rows) | preview)


def author(context: dg.AssetExecutionContext) -> str:
    """Who writes a snapshot: the asset and its run."""
    return f"{context.asset_key.to_user_string()} run {context.run.run_id}"
