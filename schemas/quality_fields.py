"""Columns of data quality: results of checks, duplicates, suspected labels, confounders, drift.

Out of scope: figures of single images (`schemas.fields`).
"""

from schemas.field import HEX_ID, Field, Kind, count, number, text

QUALITY_FIELDS = (
    text("check_name", "Name of the check."),
    text("rule", "What should hold."),
    text("advice", "What to do about rows that fail."),
    Field("passed", Kind.BOOLEAN, "Whether the check passed."),
    Field("blocking", Kind.BOOLEAN, "Whether a failure stops what is downstream."),
    count("failing_count", "Rows that fail."),
    count("checked_count", "Rows that were looked at."),
    Field("checked_at", Kind.INSTANT, "When the check ran."),
    text("failing_id", "Key or path of a row that fails."),
    text("found", "What was found there."),
    text("other_dataset", "Collection of the other image."),
    text("other_id", "Key of the other image.", pattern=HEX_ID),
    text("duplicate_kind", "How alike the two are.", values=("exact", "near", "overlapping")),
    number("similarity", "1", "Cosine similarity of the two vectors.", lower=-1, upper=1),
    number(
        "overlap_fraction",
        "1",
        "Share of the smaller image that the other shows too, by matched points.",
        lower=0,
        upper=1,
    ),
    text("suggested_text", "Class that the vectors suggest."),
    number(
        "label_confidence",
        "1",
        "Probability of the given class, by a model that saw neither the row nor its group.",
        lower=0,
        upper=1,
    ),
    count("issue_rank", "Place among the most suspicious, from 1.", lower=1),
    Field("suspected", Kind.BOOLEAN, "Whether the label is taken to be wrong."),
    text("predictors", "What the label was predicted from, such as brightness and contrast."),
    number(
        "predictability",
        "1",
        "Balanced accuracy of the prediction, cross-validated over groups.",
        lower=0,
        upper=1,
    ),
    number("chance_level", "1", "Balanced accuracy of guessing.", lower=0, upper=1),
    text("variable", "Variable whose distribution is compared."),
    text("compared", "The part that is looked at, as kind and name."),
    text("reference", "What it is compared with, as kind and name."),
    number("stability_index", "1", "Population stability index of the two.", lower=0),
    number("ks_statistic", "1", "Largest distance of the two distributions.", lower=0, upper=1),
    number("ks_p_value", "1", "Probability of a larger one by chance.", lower=0, upper=1),
    Field("alarm", Kind.BOOLEAN, "Whether the difference is above the threshold."),
)
