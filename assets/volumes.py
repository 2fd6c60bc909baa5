"""Assets on volumes: `volumes`, `particle_labels_3d`, and `particles_3d` with `contacts`.

Out of scope: images (`assets.micrographs`, `assets.particles`).
"""

from collections.abc import Iterator

import dagster as dg

from assets.collections import author, datasets, samples
from assets.figures import as_markdown, contact_histogram, size_distribution
from assets.previews import contact_sheet, spread
from assets.resources import DATASETS, OF_VOLUMES, OWNERS, StoreResource
from assets.table_metadata import definition_metadata, outcome_metadata, warn_of_refused
from graindex.store import Store
from graindex.volume_labels import LABELS_CODE_VERSION, refresh_labels_3d
from graindex.volume_particles import PARTICLES_3D_CODE_VERSION, refresh_particles_3d
from graindex.volumes import VOLUMES_CODE_VERSION, refresh_volumes

_SHOWN = 4
_TILE_PX = 480


@dg.asset(
    partitions_def=DATASETS,
    group_name="catalogue",
    kinds={"duckdb", "parquet", "zarr"},
    owners=OWNERS,
    tags=OF_VOLUMES,
    code_version=VOLUMES_CODE_VERSION,
    metadata=definition_metadata("volumes"),
    deps=[datasets, samples],
)
def volumes(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult[None]:
    """Every tomogram with its voxel size, phases and labels; bad ones in quarantine."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_volumes(opened, opened.recipe(dataset), author=author(context))
    warn_of_refused(context, "volumes", outcome)
    rows = opened.read("volumes", dataset).to_pylist()
    tiles = [(row["thumbnail"], row["path"]) for row in spread(rows, _SHOWN)]
    preview = {"preview, sections": contact_sheet(opened, tiles, 1, _TILE_PX)}
    return dg.MaterializeResult(metadata=outcome_metadata("volumes", outcome) | preview)


@dg.asset(
    partitions_def=DATASETS,
    group_name="particles",
    kinds={"duckdb", "parquet", "zarr"},
    owners=OWNERS,
    tags=OF_VOLUMES,
    code_version=LABELS_CODE_VERSION,
    metadata=definition_metadata("particle_labels_3d"),
    deps=[volumes],
)
def particle_labels_3d(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Particles of each volume as labels: given, or a watershed of its phases or grey values."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_labels_3d(opened, opened.recipe(dataset), author=author(context))
    warn_of_refused(context, "particle_labels_3d", outcome)
    paths = volume_paths(opened, dataset)
    rows = opened.read("particle_labels_3d", dataset).to_pylist()
    tiles = [
        (row["overlay"], f"{paths[row['volume_id']]}: {row['particle_count']} particles")
        for row in spread(rows, _SHOWN)
    ]
    preview = {"preview, sections": contact_sheet(opened, tiles, 1, _TILE_PX)}
    return dg.MaterializeResult(metadata=outcome_metadata("particle_labels_3d", outcome) | preview)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            name,
            description=description,
            deps=[volumes, particle_labels_3d],
            group_name="particles",
            kinds={"duckdb", "parquet", "numba"},
            owners=OWNERS,
            tags=OF_VOLUMES,
            code_version=PARTICLES_3D_CODE_VERSION,
            metadata=definition_metadata(name),
        )
        for name, description in (
            ("particles_3d", "Size, shape, damage, surroundings and detachment of each particle."),
            ("contacts", "Every pair of touching particles with the area of their contact."),
        )
    ],
    name="particles_3d_and_contacts",
    partitions_def=DATASETS,
)
def particles_3d(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Measure every particle; contacts fall out of the same sweep over the voxels."""
    opened = store.open()
    dataset = context.partition_key
    who = f"particles_3d run {context.run.run_id}"
    outcomes = refresh_particles_3d(opened, opened.recipe(dataset), author=who)
    warn_of_refused(context, "particles_3d", outcomes["particles_3d"])
    paths = volume_paths(opened, dataset)
    figures = {
        "particles_3d": size_distribution(
            opened.read("particles_3d", dataset), by="volume_id", labels=paths
        ),
        "contacts": contact_histogram(opened.read("contacts", dataset), labels=paths),
    }
    for name, figure in figures.items():
        metadata = outcome_metadata(name, outcomes[name]) | {"preview": as_markdown(figure)}
        yield dg.MaterializeResult(asset_key=name, metadata=metadata)


def volume_paths(store: Store, dataset: str) -> dict[str, str]:
    """Path of each volume of a collection, by id, in the order of paths."""
    rows = store.read("volumes", dataset).select(["volume_id", "path"]).to_pylist()
    return {row["volume_id"]: row["path"] for row in sorted(rows, key=lambda row: row["path"])}
