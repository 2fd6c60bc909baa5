"""Assets on the quality of labels and sets: `label_issues`, `confounders` and `drift`.

Out of scope: the quality of images, and near-duplicates.
"""

import dagster as dg

from assets.collections import author, samples
from assets.drift_figures import drift_panels
from assets.figures import as_markdown
from assets.micrographs import image_quality, micrograph_vectors, micrographs
from assets.previews import contact_sheet, markdown_table
from assets.quality import near_duplicates
from assets.resources import DATASETS, OF_IMAGES, OWNERS, StoreResource
from assets.table_metadata import definition_metadata, outcome_metadata
from graindex.confounding import CONFOUNDERS_CODE_VERSION, refresh_confounders
from graindex.drift import DRIFT_CODE_VERSION, refresh_drift, strongest
from graindex.label_issues import LABEL_ISSUES_CODE_VERSION, refresh_label_issues
from graindex.store import Store
from schemas.ddl import literal

_SHOWN = 12
_PANELS = 4


@dg.asset(
    partitions_def=DATASETS,
    group_name="quality",
    kinds={"duckdb", "parquet", "scikitlearn"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=LABEL_ISSUES_CODE_VERSION,
    metadata=definition_metadata("label_issues"),
    deps=[samples, micrographs, micrograph_vectors, near_duplicates],
)
def label_issues(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """How well the class of each image fits its vector, the most suspicious first."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_label_issues(opened, opened.recipe(dataset), author=author(context))
    metadata = outcome_metadata("label_issues", outcome)
    metadata["preview, label and what it looks like"] = contact_sheet(
        opened, _suspicious(opened, dataset)
    )
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    partitions_def=DATASETS,
    group_name="quality",
    kinds={"duckdb", "parquet", "scikitlearn"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=CONFOUNDERS_CODE_VERSION,
    metadata=definition_metadata("confounders"),
    deps=[samples, micrographs, image_quality, near_duplicates],
)
def confounders(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """How well brightness, date, session or settings alone predict each label."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_confounders(opened, opened.recipe(dataset), author=author(context))
    rows = opened.read("confounders", dataset).select(
        ["label_name", "predictors", "predictability", "chance_level", "row_count", "alarm"]
    )
    metadata = outcome_metadata("confounders", outcome) | {"preview": markdown_table(rows)}
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    partitions_def=DATASETS,
    group_name="quality",
    kinds={"duckdb", "parquet", "scipy"},
    owners=OWNERS,
    tags=OF_IMAGES,
    code_version=DRIFT_CODE_VERSION,
    metadata=definition_metadata("drift"),
    deps=[samples, micrographs, image_quality, micrograph_vectors],
)
def drift(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult[None]:
    """Whether sessions, collections and sides of training sets differ, and in what."""
    opened = store.open()
    dataset = context.partition_key
    outcome = refresh_drift(opened, opened.recipe(dataset), author=author(context))
    metadata = outcome_metadata("drift", outcome)
    if outcome.computed:
        found = strongest(opened, dataset, _PANELS)
        metadata["preview, what differs most"] = as_markdown(drift_panels(found))
    return dg.MaterializeResult(metadata=metadata)


def _suspicious(store: Store, dataset: str) -> list[tuple[str, str]]:
    """Thumbnail and caption of the images that are most suspicious for any label."""
    rows = store.table(
        f"""
        SELECT thumbnail, label_text || ' → ' || coalesce(suggested_text, label_text) AS caption
        FROM label_issues JOIN micrographs USING (dataset, micrograph_id)
        WHERE dataset = {literal(dataset)}
        ORDER BY suspected DESC, label_confidence, micrograph_id LIMIT {_SHOWN}
        """
    ).to_pylist()
    return [(row["thumbnail"], row["caption"]) for row in rows]
