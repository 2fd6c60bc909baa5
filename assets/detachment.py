"""Assets on detachment: `phase_peaks`, `conduction_maps` and `detachment_groups`, with figures.

Out of scope: detachment of single particles (`assets.volumes`).
"""

import dagster as dg

from assets.collections import author, samples
from assets.figures import as_markdown
from assets.previews import contact_sheet, markdown_table, spread
from assets.resources import DATASETS, OF_VOLUMES, OWNERS, StoreResource
from assets.table_metadata import definition_metadata, outcome_metadata, warn_of_refused
from assets.volumes import particle_labels_3d, volume_paths, volumes
from graindex.conduction_maps import MAPS_CODE_VERSION, refresh_maps
from graindex.detachment import DETACHMENT_CODE_VERSION, refresh_detachment
from graindex.detachment_figures import PEAK_FIGURE, detachment_figures, peak_figure
from graindex.phase_peaks import PEAKS_CODE_VERSION, refresh_peaks
from schemas.ddl import literal

_SHOWN = 4
_MAP_PX = 1200
_PARTICLES_3D = dg.AssetKey("particles_3d")


@dg.asset(
    partitions_def=DATASETS,
    group_name="particles",
    kinds={"duckdb", "parquet", "scipy"},
    owners=OWNERS,
    tags=OF_VOLUMES,
    code_version=PEAKS_CODE_VERSION,
    metadata=definition_metadata("phase_peaks"),
    deps=[volumes],
)
def phase_peaks(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Where the grey values of each phase of a volume peak, and how wide the peak is."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_peaks(opened, opened.recipe(dataset), author=author(context))
    warn_of_refused(context, "phase_peaks", outcome)
    figure = peak_figure(opened, dataset, volume_paths(opened, dataset))
    metadata = outcome_metadata("phase_peaks", outcome) | {PEAK_FIGURE: as_markdown(figure)}
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    partitions_def=DATASETS,
    group_name="particles",
    kinds={"duckdb", "parquet", "numba"},
    owners=OWNERS,
    tags=OF_VOLUMES,
    code_version=MAPS_CODE_VERSION,
    metadata=definition_metadata("conduction_maps"),
    deps=[volumes, particle_labels_3d, _PARTICLES_3D],
)
def conduction_maps(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """How far electrons go through a typical particle of each volume to the binder, as pictures."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_maps(opened, opened.recipe(dataset), author=author(context))
    warn_of_refused(context, "conduction_maps", outcome)
    rows = opened.read("conduction_maps", dataset).to_pylist()
    rows.sort(key=lambda row: row["detachment"])
    tiles = [
        (row["overlay"], f"particle {row['particle_id']}, {row['detachment']:.0%} detached")
        for row in spread(rows, _SHOWN)
    ]
    preview = {"paths of conduction, a typical particle": contact_sheet(opened, tiles, 1, _MAP_PX)}
    return dg.MaterializeResult(metadata=outcome_metadata("conduction_maps", outcome) | preview)


@dg.asset(
    partitions_def=DATASETS,
    group_name="particles",
    kinds={"duckdb", "parquet", "scipy"},
    owners=OWNERS,
    tags=OF_VOLUMES,
    code_version=DETACHMENT_CODE_VERSION,
    metadata=definition_metadata("detachment_groups"),
    deps=[samples, volumes, particle_labels_3d, _PARTICLES_3D, phase_peaks],
)
def detachment_groups(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Detachment by rate and particle size with tests, and electron density against detachment."""
    opened = store.open()
    dataset = context.partition_key
    recipe = opened.recipe(dataset)
    outcome = refresh_detachment(opened, recipe, author=author(context))
    warn_of_refused(context, "detachment_groups", outcome)
    metadata = outcome_metadata("detachment_groups", outcome)
    for caption, figure in detachment_figures(opened, recipe).items():
        metadata[caption] = as_markdown(figure)
    compared = opened.table(
        f"""
        SELECT compared_by, within, level, first_name, second_name, first_count, second_count,
               first_volume_count, second_volume_count, effect_size, p_holm
        FROM detachment_comparisons
        WHERE dataset = {literal(dataset)} AND test = 'mann-whitney'
        ORDER BY p_holm, compared_by, within, first_name, second_name LIMIT 20
        """
    )
    metadata["tests, p-values after Holm"] = markdown_table(compared)
    return dg.MaterializeResult(metadata=metadata)
