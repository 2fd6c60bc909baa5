"""Assets on particles of images, `particle_masks_2d` and `particles_2d`, and statistics over all.

Out of scope: particles of volumes (`assets.volumes`).
"""

import dagster as dg

from assets.collections import author
from assets.figures import as_markdown, profile, size_distribution
from assets.micrographs import micrographs
from assets.previews import contact_sheet, markdown_table, spread
from assets.resources import DATASETS, OF_IMAGES, OWNERS, StoreResource
from assets.table_metadata import definition_metadata, outcome_metadata, warn_of_refused
from assets.volumes import particle_labels_3d, volume_paths, volumes
from graindex.image_particles import (
    MASKS_CODE_VERSION,
    PARTICLES_2D_CODE_VERSION,
    refresh_masks_2d,
    refresh_particles_2d,
)
from graindex.statistics import STATISTICS_CODE_VERSION, refresh_statistics

_SHOWN = 6
_TILE_PX = 240
_HEADLINES = (
    "porosity", "particle_volume_fraction", "particle_count", "border_volume_share",
    "diameter_d50_volume", "damage_mean", "detachment_mean", "section_count",
    "ball_diameter_d50_volume",
)  # fmt: skip


@dg.asset(
    partitions_def=DATASETS,
    group_name="particles",
    kinds={"duckdb", "parquet", "openvino"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=MASKS_CODE_VERSION,
    metadata=definition_metadata("particle_masks_2d"),
    deps=[micrographs],
)
def particle_masks_2d(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Particles of each image as labels: by a trained network, or by watershed where asked."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_masks_2d(opened, opened.recipe(dataset), author=author(context))
    warn_of_refused(context, "particle_masks_2d", outcome)
    rows = opened.read("particle_masks_2d", dataset).to_pylist()
    rows.sort(key=lambda row: row["particle_count"])
    tiles = [(row["overlay"], f"{row['particle_count']} particles") for row in spread(rows, _SHOWN)]
    preview = {"preview, few to many": contact_sheet(opened, tiles, 3, _TILE_PX)}
    return dg.MaterializeResult(metadata=outcome_metadata("particle_masks_2d", outcome) | preview)


@dg.asset(
    partitions_def=DATASETS,
    group_name="particles",
    kinds={"duckdb", "parquet", "numba"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=PARTICLES_2D_CODE_VERSION,
    metadata=definition_metadata("particles_2d"),
    deps=[micrographs, particle_masks_2d],
)
def particles_2d(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Size, shape, brightness and neighbours of each particle of an image."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_particles_2d(opened, dataset, author=author(context))
    warn_of_refused(context, "particles_2d", outcome)
    rows = opened.read("particles_2d", dataset)
    calibrated = rows["equivalent_diameter_um"].null_count < rows.num_rows
    column = "equivalent_diameter_um" if calibrated else "equivalent_diameter_px"
    preview = {"preview": as_markdown(size_distribution(rows, column=column))}
    return dg.MaterializeResult(metadata=outcome_metadata("particles_2d", outcome) | preview)


@dg.asset(
    partitions_def=DATASETS,
    group_name="particles",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    code_version=STATISTICS_CODE_VERSION,
    metadata=definition_metadata("electrode_statistics"),
    deps=[
        micrographs,
        particle_masks_2d,
        particles_2d,
        volumes,
        particle_labels_3d,
        dg.AssetKey("particles_3d"),
    ],
)
def electrode_statistics(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Porosity, phases, sizes, damage and detachment of each volume; sizes unfolded from images."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_statistics(opened, opened.recipe(dataset), author=author(context))
    rows = opened.read("electrode_statistics", dataset)
    metadata = outcome_metadata("electrode_statistics", outcome)
    names = volume_paths(opened, dataset)
    if names:
        metadata["damage by depth and size"] = as_markdown(profile(rows, names=names))
    shown = opened.table(
        f"""
        SELECT entity, coalesce(v.path, s.sample, e.dataset) AS name, statistic, value, unit, count
        FROM electrode_statistics e
        LEFT JOIN volumes v ON v.dataset = e.dataset AND v.volume_id = e.entity_id
        LEFT JOIN samples s ON s.dataset = e.dataset AND s.sample_id = e.entity_id
        WHERE e.dataset = '{dataset}' AND bin = 0 AND statistic IN {_HEADLINES}
        ORDER BY name, statistic LIMIT 60
        """
    )
    metadata["headlines"] = markdown_table(shown)
    return dg.MaterializeResult(metadata=metadata)
