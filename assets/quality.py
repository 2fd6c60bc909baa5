"""Assets on the quality of images: `image_faults` and `near_duplicates`.

Out of scope: brightness and sharpness (`assets.micrographs`), and labels (`assets.quality_labels`).
"""

from collections.abc import Sequence

import dagster as dg

from assets.collections import author
from assets.micrographs import micrograph_vectors, micrographs
from assets.previews import contact_sheet, spread
from assets.resources import DATASETS, OF_IMAGES, OWNERS, StoreResource
from assets.table_metadata import definition_metadata, outcome_metadata, warn_of_refused
from graindex.duplicates import DUPLICATES_CODE_VERSION, refresh_duplicates
from graindex.image_faults import refresh_faults
from graindex.records import Record
from graindex.store import Store
from models.measure.image_faults import FAULTS_CODE_VERSION

_SHOWN = 12
_PAIRS = 9


@dg.asset(
    partitions_def=DATASETS,
    group_name="quality",
    kinds={"duckdb", "parquet", "opencv"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=FAULTS_CODE_VERSION,
    metadata=definition_metadata("image_faults"),
    deps=[micrographs],
)
def image_faults(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Figures of each image that blur, want of structure and charging show in."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_faults(opened, dataset, author=author(context))
    warn_of_refused(context, "image_faults", outcome)
    rows = opened.read("image_faults", dataset).to_pylist()
    rows.sort(key=lambda row: row["structure_std"])
    thumbnails = _thumbnails(opened)
    tiles = [
        (thumbnails[row["micrograph_id"]], f"structure {row['structure_std']:.3g}")
        for row in spread(rows, _SHOWN)
        if row["micrograph_id"] in thumbnails
    ]
    preview = {"preview, empty to rich": contact_sheet(opened, tiles)}
    return dg.MaterializeResult(metadata=outcome_metadata("image_faults", outcome) | preview)


@dg.asset(
    partitions_def=DATASETS,
    group_name="quality",
    kinds={"duckdb", "parquet", "opencv"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=DUPLICATES_CODE_VERSION,
    metadata=definition_metadata("near_duplicates"),
    deps=[micrographs, micrograph_vectors],
)
def near_duplicates(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Pairs of images that show the same place, within the collection and with all others."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_duplicates(opened, dataset, author=author(context))
    warn_of_refused(context, "near_duplicates", outcome)
    compared = opened.read("compared_images", dataset)
    pairs = opened.read("near_duplicates", dataset).to_pylist()
    metadata = outcome_metadata("near_duplicates", outcome)
    metadata["images compared"] = dg.MetadataValue.int(compared.num_rows)
    metadata["candidates looked at"] = dg.MetadataValue.int(
        sum(compared["candidate_count"].to_pylist())
    )
    tiles = _pairs_side_by_side(opened, spread(pairs, _PAIRS))
    metadata["preview, the two of each pair side by side"] = contact_sheet(opened, tiles)
    return dg.MaterializeResult(metadata=metadata)


def _pairs_side_by_side(store: Store, pairs: Sequence[Record]) -> list[tuple[str, str]]:
    thumbnails = _thumbnails(store)
    return [
        (thumbnails[key], caption)
        for pair in pairs
        if str(pair["micrograph_id"]) in thumbnails and str(pair["other_id"]) in thumbnails
        for key, caption in (
            (str(pair["micrograph_id"]), str(pair["duplicate_kind"])),
            (str(pair["other_id"]), f"overlap {pair['overlap_fraction']:.2f}"),
        )
    ]


def _thumbnails(store: Store) -> dict[str, str]:
    rows = store.lake.read("micrographs", columns=("micrograph_id", "thumbnail")).to_pylist()
    return {row["micrograph_id"]: row["thumbnail"] for row in rows}
