"""Assets on images: `micrographs`, `image_quality` and `micrograph_vectors`.

Out of scope: particles.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import dagster as dg

from assets.collections import author, datasets, samples
from assets.previews import contact_sheet, spread
from assets.resources import DATASETS, LANCE_POOL, OF_IMAGES, OWNERS, StoreResource
from assets.table_metadata import definition_metadata, outcome_metadata, warn_of_refused
from graindex.catalogue import refresh_micrographs
from graindex.derive import VECTORS_CODE_VERSION, refresh_quality, refresh_vectors
from graindex.examine import CODE_VERSION
from models.measure.image_quality import QUALITY_CODE_VERSION

_SHOWN = 12


@dg.asset(
    partitions_def=DATASETS,
    group_name="catalogue",
    kinds={"duckdb", "parquet", "opencv"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=CODE_VERSION,
    metadata=definition_metadata("micrographs"),
    deps=[datasets, samples],
)
def micrographs(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Every image with its content box, pixel size and acquisition; bad files in quarantine."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_micrographs(opened, opened.recipe(dataset), author=author(context))
    warn_of_refused(context, "micrographs", outcome)
    rows = opened.read("micrographs", dataset).to_pylist()
    rows.sort(key=lambda row: (row["path"], row["page"]))
    specimens = opened.read("samples", dataset).to_pylist()
    names = {specimen["sample_id"]: specimen["sample"] for specimen in specimens}
    tiles = [(row["thumbnail"], _caption(row, names)) for row in spread(rows, _SHOWN)]
    preview = {"preview": contact_sheet(opened, tiles)}
    return dg.MaterializeResult(metadata=outcome_metadata("micrographs", outcome) | preview)


@dg.asset(
    partitions_def=DATASETS,
    group_name="quality",
    kinds={"duckdb", "parquet", "opencv"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=QUALITY_CODE_VERSION,
    metadata=definition_metadata("image_quality"),
    deps=[micrographs],
)
def image_quality(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Brightness, contrast, sharpness, noise, saturation and entropy of each image's content."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_quality(opened, dataset, author=author(context))
    thumbnails = _thumbnails(opened.read("micrographs", dataset).to_pylist())
    rows = opened.read("image_quality", dataset).to_pylist()
    rows.sort(key=lambda row: row["sharpness_tenengrad"])
    tiles = [
        (thumbnails[row["micrograph_id"]], f"sharpness {row['sharpness_tenengrad']:.3g}")
        for row in spread(rows, _SHOWN)
        if row["micrograph_id"] in thumbnails
    ]
    preview = {"preview, blurred to sharp": contact_sheet(opened, tiles)}
    return dg.MaterializeResult(metadata=outcome_metadata("image_quality", outcome) | preview)


@dg.asset(
    partitions_def=DATASETS,
    group_name="embeddings",
    kinds={"lancedb", "pytorch", "openvino"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=VECTORS_CODE_VERSION,
    metadata=definition_metadata("micrograph_vectors"),
    pool=LANCE_POOL,
    deps=[micrographs],
)
def micrograph_vectors(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Pooled features of each image's content, for search and for models."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_vectors(opened, dataset, author=author(context))
    rows = opened.read("micrographs", dataset).to_pylist()
    thumbnails = _thumbnails(rows)
    encoded = [row for row in rows if row["micrograph_id"] not in outcome.refused]
    tiles = []
    for row in spread(encoded, 3):
        near = opened.similar(row["micrograph_id"], 5, f"dataset = '{dataset}'").to_pylist()
        tiles.append((row["thumbnail"], "query"))
        tiles += [(thumbnails[hit["id"]], f"distance {hit['distance']:.3f}") for hit in near]
    metadata = outcome_metadata("micrograph_vectors", outcome)
    told = ", ".join(encoder.encoder_id for encoder in opened.encoders.values())
    metadata["encoder"] = dg.MetadataValue.text(told)
    columns = min(len(encoded), 6)
    metadata["preview, each row a query and its nearest"] = contact_sheet(opened, tiles, columns)
    return dg.MaterializeResult(metadata=metadata)


def _caption(row: Mapping[str, Any], samples: Mapping[str, str]) -> str:
    file_name = PurePosixPath(row["path"]).name
    sample = samples.get(row["sample_id"])
    return f"{sample} · {file_name}" if sample else file_name


def _thumbnails(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row["micrograph_id"]: row["thumbnail"] for row in rows}
