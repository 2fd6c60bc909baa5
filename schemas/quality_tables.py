"""Tables of data quality: results of checks, duplicates, suspected labels, confounders, drift.

Out of scope: figures of single images, which are `image_quality` (`schemas.tables`).
"""

from schemas.table import Table

QUALITY_TABLES = (
    Table(
        "check_results",
        "check as it last ended",
        (
            "dataset",
            "asset",
            "check_name",
            "passed",
            "blocking",
            "failing_count",
            "checked_count",
            "advice",
            "checked_at",
            "lake_snapshot",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "asset", "check_name"),
        required=("passed", "blocking", "failing_count", "checked_at", "code_version"),
    ),
    Table(
        "check_failures",
        "row that fails a check",
        ("dataset", "asset", "check_name", "rule", "failing_id", "found"),
        key=("dataset", "asset", "check_name", "rule", "failing_id"),
    ),
    Table(
        "near_duplicates",
        "pair of images that show the same",
        (
            "dataset",
            "micrograph_id",
            "other_dataset",
            "other_id",
            "duplicate_kind",
            "similarity",
            "overlap_fraction",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "micrograph_id", "other_dataset", "other_id"),
        required=("duplicate_kind", "similarity", "input_hash", "code_version"),
        lineage={
            "dataset": ("micrographs.dataset",),
            "micrograph_id": ("micrographs.micrograph_id",),
            "similarity": ("micrograph_vectors.vector",),
        },
    ),
    Table(
        "label_issues",
        "image and label: how well its class fits its vector",
        (
            "dataset",
            "micrograph_id",
            "label_name",
            "label_text",
            "suggested_text",
            "label_confidence",
            "issue_rank",
            "suspected",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "micrograph_id", "label_name"),
        required=("label_text", "label_confidence", "issue_rank", "suspected", "code_version"),
        lineage={
            "dataset": ("micrographs.dataset",),
            "micrograph_id": ("micrographs.micrograph_id",),
            "label_confidence": ("micrograph_vectors.vector",),
        },
    ),
    Table(
        "confounders",
        "label, and settings or brightness that may predict it",
        (
            "dataset",
            "label_name",
            "predictors",
            "predictability",
            "chance_level",
            "row_count",
            "alarm",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "label_name", "predictors"),
        required=("predictability", "chance_level", "row_count", "alarm", "code_version"),
        lineage={
            "dataset": ("micrographs.dataset",),
            "predictability": (
                "image_quality.brightness_mean",
                "image_quality.contrast_std",
                "micrographs.acquired_at",
            ),
        },
    ),
    Table(
        "drift",
        "variable whose distribution is compared between parts",
        (
            "dataset",
            "compared",
            "reference",
            "variable",
            "stability_index",
            "ks_statistic",
            "ks_p_value",
            "row_count",
            "alarm",
            "input_hash",
            "code_version",
        ),
        key=("dataset", "compared", "reference", "variable"),
        required=("row_count", "alarm", "code_version"),
        lineage={
            "dataset": ("micrographs.dataset",),
            "stability_index": (
                "image_quality.brightness_mean",
                "image_quality.contrast_std",
                "micrograph_vectors.vector",
            ),
        },
    ),
)
