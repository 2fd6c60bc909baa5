"""Kinds of things that lineage leads through, and how one is described to people.

Out of scope: how they hang together (`graindex.lineage.edges`).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, order=True, slots=True)
class Node:
    """One thing: its kind, a key of `KINDS`, and its id."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class NodeKind:
    """What a kind is called and how one of it is described.

    Attributes:
        plural: what several are called.
        described: query of `id, text` for the ids in `{ids}`; "" where the id says it all.
    """

    plural: str
    described: str = ""


def _text(table: str, key: str, text: str) -> str:
    return f"SELECT {key} AS id, {text} AS text FROM {{{table}}} WHERE {key} IN ({{ids}})"


_FILES = """
SELECT id, text FROM (
    SELECT content_hash AS id, uri AS text FROM {micrographs}
    UNION ALL SELECT grey_hash, grey_uri FROM {volumes}
    UNION ALL SELECT phases_hash, phases_uri FROM {volumes}
    UNION ALL SELECT labels_hash, labels_uri FROM {volumes}
    UNION ALL SELECT DISTINCT annotation_hash, annotation_uri FROM {particle_annotations}
) WHERE id IN ({ids})
"""
_PARTICLES = """
SELECT id, text FROM (
    SELECT particle_id AS id, 'label ' || label || ' of image ' || micrograph_id AS text
    FROM {particles_2d}
    UNION ALL SELECT particle_id, 'label ' || label || ' of volume ' || volume_id
    FROM {particles_3d}
) WHERE id IN ({ids})
"""
_MODELS = """
SELECT model || '@' || model_version AS id, method || ' of ' || label_name AS text
FROM {model_runs} WHERE id IN ({ids})
"""
_TRAINING_ROWS = """
SELECT training_set_id || ':' || entity_id AS id,
       side || ', label ' || coalesce(label_text, printf('%.4g', label_number)) AS text
FROM {training_rows} WHERE id IN ({ids})
"""
_PREDICTIONS = """
SELECT model || '@' || model_version || ':' || entity_id AS id,
       evaluation || ': ' || coalesce(predicted_text, printf('%.4g', predicted_number)) AS text
FROM {predictions} WHERE id IN ({ids})
"""
_METRICS = """
SELECT model || '@' || model_version || ':' || concat_ws('/', evaluation, part, metric) AS id,
       printf('%.4g', metric_value) AS text
FROM {metrics} WHERE id IN ({ids})
"""
_VECTORS = """
SELECT micrograph_id AS id, encoder_id || ', vector ' || left(vector_hash, 12) AS text
FROM {vector_index} WHERE id IN ({ids})
"""

KINDS: Mapping[str, NodeKind] = {
    "file": NodeKind("files", _FILES),
    "dataset": NodeKind("collections", _text("datasets", "dataset", "location_uri")),
    "sample": NodeKind("specimens", _text("samples", "sample_id", "sample")),
    "micrograph": NodeKind("images", _text("micrographs", "micrograph_id", "path")),
    "volume": NodeKind("volumes", _text("volumes", "volume_id", "path")),
    "quality": NodeKind("rows of quality"),
    "faults": NodeKind("rows of faults"),
    "vector": NodeKind("vectors", _VECTORS),
    "mask": NodeKind("masks"),
    "annotation": NodeKind(
        "annotations",
        _text(
            "particle_annotations",
            "micrograph_id",
            "annotation || ', ' || particle_count || ' particles'",
        ),
    ),
    "label_volume": NodeKind("label volumes"),
    "particle": NodeKind("particles", _PARTICLES),
    "contact": NodeKind("contacts"),
    "statistics": NodeKind("sets of statistics"),
    "phase_peak": NodeKind("peaks of phases"),
    "conduction_map": NodeKind("maps of conduction paths"),
    "detachment": NodeKind("comparisons of detachment"),
    "duplicate_pair": NodeKind("pairs of near-duplicates"),
    "label_issue": NodeKind("suspected labels"),
    "confounder": NodeKind("confounders"),
    "drift": NodeKind("comparisons of parts"),
    "label": NodeKind(
        "statements of labels",
        _text(
            "labels",
            "label_id",
            "label_name || ' = ' || coalesce(label_text, printf('%.4g', label_number)) "
            "|| ' by ' || labeller",
        ),
    ),
    "column": NodeKind("columns"),
    "feature": NodeKind("features"),
    "feature_set": NodeKind("feature sets"),
    "training_row": NodeKind("training rows", _TRAINING_ROWS),
    "training_set": NodeKind(
        "training sets",
        _text(
            "training_sets",
            "training_set_id",
            "label_name || ' from ' || feature_set || '@' || feature_set_version || ', '"
            " || row_count || ' rows, snapshot ' || lake_snapshot",
        ),
    ),
    "model": NodeKind("models", _MODELS),
    "metric": NodeKind("metrics", _METRICS),
    "prediction": NodeKind("predictions", _PREDICTIONS),
}
"""Kinds by name, upstream ones first."""


def spoken(kind: str, count: int = 1) -> str:
    """A kind in words, with the number of them where there are several."""
    return kind.replace("_", " ") if count == 1 else f"{count:,} {KINDS[kind].plural}"
