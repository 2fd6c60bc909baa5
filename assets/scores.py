"""The asset on segmentations of annotated images, `segmentation_scores`.

Out of scope: annotations themselves (`assets.annotations`), models (`assets.models`).
"""

import dagster as dg

from assets.annotations import particle_annotations
from assets.collections import author
from assets.micrographs import micrographs
from assets.models import trained_models
from assets.particles import particle_masks_2d
from assets.previews import contact_sheet, markdown_table
from assets.resources import DATASETS, OF_IMAGES, OWNERS, StoreResource
from assets.table_metadata import (
    Metadata,
    definition_metadata,
    outcome_metadata,
    warn_of_refused,
)
from graindex.segmentation_scores import SCORES_CODE_VERSION, refresh_scores, side_by_side
from graindex.store import Store
from schemas.ddl import literal

_TILE_PX = 420


@dg.asset(
    partitions_def=DATASETS,
    group_name="particles",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=SCORES_CODE_VERSION,
    metadata=definition_metadata("segmentation_scores"),
    deps=[
        micrographs,
        particle_masks_2d,
        particle_annotations,
        dg.AssetDep(trained_models, partition_mapping=dg.AllPartitionMapping()),
    ],
)
def segmentation_scores(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """How well methods find what somebody annotated; nothing where nothing is annotated."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_scores(opened, opened.recipe(dataset), author=author(context))
    warn_of_refused(context, "segmentation_scores", outcome)
    metadata = outcome_metadata("segmentation_scores", outcome)
    if outcome.rows:
        metadata |= _shown(opened, dataset)
    return dg.MaterializeResult(metadata=metadata)


def _shown(store: Store, dataset: str) -> Metadata:
    """The methods side by side, and the best, median and worst image of the collection's masks."""
    rows = store.table(
        f"""
        FROM segmentation_scores WHERE dataset = {literal(dataset)} AND of_collection
        ORDER BY average_precision DESC NULLS LAST, micrograph_id
        """
    ).to_pylist()
    places = {"best": 0, "median": (len(rows) - 1) // 2, "worst": len(rows) - 1}
    tiles = [
        (rows[place]["overlay"], f"{name}: F1 {rows[place]['f1_50']:.2f}")
        for name, place in places.items()
        if rows
    ]
    metadata: Metadata = {"side by side": markdown_table(side_by_side(store, dataset))}
    if tiles:
        metadata["drawn green, found pink, both yellow"] = contact_sheet(
            store, tiles, len(tiles), _TILE_PX
        )
    return metadata
