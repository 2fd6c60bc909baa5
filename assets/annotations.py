"""The asset on annotated images, `particle_annotations`.

Out of scope: particles that a method found (`assets.particles`).
"""

import dagster as dg

from assets.collections import author
from assets.micrographs import micrographs
from assets.previews import contact_sheet, markdown_table, spread
from assets.resources import DATASETS, OF_IMAGES, OWNERS, StoreResource
from assets.table_metadata import definition_metadata, outcome_metadata, warn_of_refused
from graindex.annotations import ANNOTATIONS_CODE_VERSION, refresh_annotations

_SHOWN = 6
_TILE_PX = 240
_FINDINGS_SHOWN = 20


@dg.asset(
    partitions_def=DATASETS,
    group_name="particles",
    kinds={"duckdb", "parquet", "opencv"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=ANNOTATIONS_CODE_VERSION,
    metadata=definition_metadata("particle_annotations"),
    deps=[micrographs],
)
def particle_annotations(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Particles that somebody annotated, as labels; nothing in a collection without annotations."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_annotations(opened, opened.recipe(dataset), author=author(context))
    warn_of_refused(context, "particle_annotations", outcome)
    metadata = outcome_metadata("particle_annotations", outcome)
    rows = opened.read("particle_annotations", dataset).to_pylist()
    if rows:
        rows.sort(key=lambda row: row["particle_count"])
        shown = spread(rows, _SHOWN)
        tiles = [(row["overlay"], f"{row['particle_count']} particles") for row in shown]
        metadata["preview, few to many"] = contact_sheet(opened, tiles, 3, _TILE_PX)
    findings = opened.read("annotation_findings", dataset)
    if findings.num_rows:
        told = findings.select(["annotation", "finding", "detail"])
        metadata["findings"] = markdown_table(told.slice(0, _FINDINGS_SHOWN))
    return dg.MaterializeResult(metadata=metadata)
