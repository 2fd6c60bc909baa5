"""Columns of the feature store: vector identities, labels, feature sets and training sets.

Out of scope: models trained on them (`schemas.model_fields`).
"""

from schemas.field import HEX_ID, HEX_SHA256, Field, Kind, count, number, text

ENTITIES = ("sample", "micrograph", "volume", "particle")
"""What features and labels are of, from the specimen down."""

FEATURE_FIELDS = (
    text(
        "vector_hash",
        "SHA-256 of the vector's float32 numbers, little-endian.",
        pattern=HEX_SHA256,
    ),
    text("vector_table", "Table in LanceDB that holds the vector."),
    count(
        "vector_version",
        "Version of the table in LanceDB that held the vector when the row was first written.",
    ),
    text("entity_kind", "What the row is of.", values=ENTITIES),
    text("label_id", "Key of one statement of a label by one labeller.", pattern=HEX_ID),
    text("label_name", "Name of the label, such as ionic_conductivity_s_cm."),
    Field("label_number", Kind.NUMBER, "Value of a label that is a number, in the unit it names."),
    text("label_text", "Value of a label that is a class."),
    text("labeller", "Who or what stated the label."),
    Field("measured_at", Kind.INSTANT, "When what the label states was true or was measured."),
    Field("recorded_at", Kind.INSTANT, "When the row was written to the store."),
    text("author", "Who wrote it: a person, or an asset and its run."),
    text("note", "Remark for people."),
    text(
        "feature_set",
        "Name of the feature set.",
        pattern=r"^[a-z][a-z0-9_]{0,63}$",
    ),
    count("feature_set_version", "Version of the feature set, from 1.", lower=1),
    text("definition", "Definition as JSON, the same text for equal definitions."),
    text("definition_hash", "SHA-256 of the definition.", pattern=HEX_SHA256),
    text("feature", "Name of the feature."),
    text("source_column", "Column that the feature is computed from, as `table.column`."),
    text("aggregation", "Statistic over the parts of an entity, such as mean or q90."),
    text(
        "training_set_id",
        "Key of the training set: first 16 hex digits of its fingerprint.",
        pattern=HEX_ID,
    ),
    text("request", "What was asked for, as JSON: enough to build the same rows again."),
    text(
        "fingerprint", "SHA-256 over the names, types and values of all rows.", pattern=HEX_SHA256
    ),
    count("lake_snapshot", "Snapshot of the lake that was read."),
    count("row_count", "Number of rows."),
    count("feature_count", "Number of features, each number of a vector counted."),
    text("content", "Content address of the rows as a Parquet file.", pattern=HEX_SHA256),
    text("row_hash", "SHA-256 of the row's features and label.", pattern=HEX_SHA256),
    text(
        "session_id", "Images of one instrument without a longer pause, as collection and number."
    ),
    count("fold", "Number of the fold that tests the row, from 0; null where it is never tested."),
    text(
        "side",
        "Side of the split; gap where the row takes no part.",
        values=("train", "test", "cross-validation", "gap"),
    ),
    number("weight", "1", "Weight of the row in training.", lower=0),
)
