"""Tables of trained models.

Out of scope: the training sets that feed them (`schemas.feature_tables`).
"""

from schemas.table import Table

_MODEL = ("model", "model_version")

MODEL_TABLES = (
    Table(
        "model_runs",
        "trained version of a model",
        (
            *_MODEL,
            "method",
            "training_set_id",
            "label_name",
            "parameters",
            "seed",
            "encoder_id",
            "lake_snapshot",
            "artefact",
            "card",
            "report",
            "run_id",
            "author",
            "recorded_at",
            "input_hash",
            "code_version",
        ),
        key=_MODEL,
        required=(
            "method",
            "training_set_id",
            "label_name",
            "parameters",
            "seed",
            "lake_snapshot",
            "artefact",
            "card",
            "recorded_at",
            "input_hash",
            "code_version",
        ),
        lineage={"training_set_id": ("training_sets.training_set_id",)},
        of_store=True,
    ),
    Table(
        "metrics",
        "metric of a model",
        (
            *_MODEL,
            "evaluation",
            "part",
            "metric",
            "metric_value",
            "metric_lower",
            "metric_upper",
            "unit",
            "interval",
            "row_count",
        ),
        key=(*_MODEL, "evaluation", "part", "metric"),
        required=("row_count",),
        of_store=True,
    ),
    Table(
        "curves",
        "point of a curve of a model",
        (*_MODEL, "curve", "curve_x", "curve_y"),
        key=(*_MODEL, "curve", "curve_x"),
        of_store=True,
    ),
    Table(
        "predictions",
        "prediction of a model for a row of its training set",
        (
            *_MODEL,
            "evaluation",
            "entity_id",
            "dataset",
            "fold",
            "label_number",
            "label_text",
            "predicted_number",
            "predicted_std",
            "predicted_text",
            "probability",
            "probabilities",
        ),
        key=(*_MODEL, "evaluation", "entity_id"),
        required=("dataset",),
        of_store=True,
    ),
)
