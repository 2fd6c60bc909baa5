"""Tables of what happened to the store: lineage of materialisations, tags, withdrawals.

Out of scope: snapshots themselves, which DuckLake keeps.
"""

from schemas.table import Table, by_name

HISTORY_TABLES = (
    Table(
        "lineage",
        "asset that was read for one materialisation",
        (
            "asset",
            "part_of",
            "run_id",
            "upstream_asset",
            "upstream_part",
            "upstream_snapshot",
            "code_version",
            "recorded_at",
        ),
        key=("asset", "part_of", "run_id", "upstream_asset", "upstream_part"),
        required=("upstream_snapshot", "code_version", "recorded_at"),
        of_store=True,
    ),
    Table(
        "tags",
        "named snapshot",
        ("tag", "lake_snapshot", "author", "recorded_at", "note"),
        key=("tag",),
        required=("lake_snapshot", "author", "recorded_at"),
        of_store=True,
    ),
    Table(
        "withdrawals",
        "image or volume that was withdrawn",
        ("dataset", "entity_kind", "entity_id", "content_hash", "withdrawn_at", "author", "reason"),
        key=("dataset", "entity_id"),
        required=("entity_kind", "withdrawn_at", "author", "reason"),
        of_store=True,
    ),
    Table(
        "withdrawal_effects",
        "model that saw a withdrawn image or volume",
        ("dataset", "entity_id", "training_set_id", "model", "model_version"),
        key=("dataset", "entity_id", "model", "model_version"),
        required=("training_set_id",),
        references=(
            by_name("withdrawals", "dataset", "entity_id"),
            by_name("training_sets", "training_set_id"),
            by_name("model_runs", "model", "model_version"),
        ),
        of_store=True,
    ),
    Table(
        "withdrawn_rows",
        "training set that held or rests on a withdrawn image or volume",
        ("dataset", "entity_id", "training_set_id", "row_count"),
        key=("dataset", "entity_id", "training_set_id"),
        required=("row_count",),
        references=(
            by_name("withdrawals", "dataset", "entity_id"),
            by_name("training_sets", "training_set_id"),
        ),
        of_store=True,
    ),
)
