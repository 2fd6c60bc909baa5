"""Relations of training rows, training sets, features and models.

What a row was made from follows from what it is of, and from the tables that its feature set
reads. Out of scope: relations of images, volumes and particles (`graindex.lineage.edges`).
"""

from typing import TypedDict

from graindex.lineage.edge import Edge

_ROW = "r.training_set_id || ':' || r.entity_id"
_MODEL = "model || '@' || model_version"
_SET = "feature_set || '@' || feature_set_version"
_NO_DATASET = "NULL::VARCHAR AS dataset"

USES = """
    SELECT t.training_set_id, t.code_version, split_part(c.source_column, '.', 1) AS used,
           bool_or(c.aggregation IS NOT NULL) AS pooled
    FROM {training_sets} t
    JOIN {feature_set_columns} c
      ON c.feature_set = t.feature_set AND c.feature_set_version = t.feature_set_version
    GROUP BY ALL
"""
"""Query of the tables that each training set reads, and whether as statistics over parts."""


def _holders(parent: str, key: str, particles: str) -> str:
    """Query of training rows with the image, or volume, that each is, lies in or consists of."""
    whole = "r.training_set_id, r.entity_id, r.entity_kind, r.dataset"
    return f"""
        SELECT {whole}, r.entity_id AS holder FROM {{training_rows}} r
        WHERE r.entity_kind = '{key.removesuffix("_id")}'
        UNION ALL
        SELECT {whole}, m.{key} FROM {{training_rows}} r
        JOIN {{{parent}}} m ON m.dataset = r.dataset AND m.sample_id = r.entity_id
        WHERE r.entity_kind = 'sample'
        UNION ALL
        SELECT {whole}, p.{key} FROM {{training_rows}} r
        JOIN (
            -- where no row is of a particle, particles are not read at all
            SELECT dataset, particle_id, {key} FROM {{{particles}}} WHERE particle_id IN (
                SELECT entity_id FROM {{training_rows}} WHERE entity_kind = 'particle'
            )
        ) p ON p.dataset = r.dataset AND p.particle_id = r.entity_id
        WHERE r.entity_kind = 'particle'
    """


_IMAGES = _holders("micrographs", "micrograph_id", "particles_2d")
_VOLUMES = _holders("volumes", "volume_id", "particles_3d")


def _from_holder(holders: str, used: str) -> str:
    """Edges to the one row that each image or volume has in a table."""
    return f"""
        SELECT r.dataset, {_ROW} AS downstream_id, r.holder AS upstream_id, u.code_version
        FROM ({holders}) r JOIN ({USES}) u ON u.training_set_id = r.training_set_id
        WHERE u.used = '{used}'
    """


def _from_parts(holders: str, key: str, used: str, identity: str) -> str:
    """Edges to the parts of each image or volume; a particle's own row is its entity."""
    return f"""
        SELECT p.dataset, {_ROW} AS downstream_id, {identity} AS upstream_id, u.code_version
        FROM ({holders}) r JOIN ({USES}) u ON u.training_set_id = r.training_set_id
        JOIN {{{used}}} p ON p.dataset = r.dataset AND p.{key} = r.holder
        WHERE u.used = '{used}' AND (u.pooled OR r.entity_kind <> 'particle')
    """


def _of_row(upstream_id: str, condition: str) -> str:
    """Edges to what the row itself names."""
    return f"""
        SELECT r.dataset, {_ROW} AS downstream_id, {upstream_id} AS upstream_id, t.code_version
        FROM {{training_rows}} r JOIN {{training_sets}} t ON t.training_set_id = r.training_set_id
        WHERE {condition}
    """


def _labels(holders: str, key: str) -> str:
    """Edges to the statements, known by then, that the row's label may come from."""
    return f"""
        SELECT r.dataset, {_ROW} AS downstream_id, l.label_id AS upstream_id, t.code_version
        FROM ({holders}) r JOIN {{training_sets}} t ON t.training_set_id = r.training_set_id
        JOIN {{labels}} l
          ON l.dataset = r.dataset AND l.entity_id = r.{key} AND l.label_name = t.label_name
        WHERE l.recorded_at <= t.recorded_at
    """


class _Ends(TypedDict, total=False):
    of_downstream: bool
    of_upstream: bool


_SIDE: _Ends = {"of_downstream": False}
_NO_SIDE: _Ends = {"of_downstream": False, "of_upstream": False}
_FEATURE_COLUMNS = f"""
    SELECT DISTINCT {_NO_DATASET}, {_SET} || ':' || feature AS downstream_id,
           source_column AS upstream_id, NULL::VARCHAR AS code_version
    FROM {{feature_set_columns}}
"""
_FEATURES = f"""
    SELECT DISTINCT {_NO_DATASET}, {_SET} AS downstream_id,
           {_SET} || ':' || feature AS upstream_id, NULL::VARCHAR AS code_version
    FROM {{feature_set_columns}}
"""
_TRAINING_FEATURES = f"""
    SELECT {_NO_DATASET}, training_set_id AS downstream_id, {_SET} AS upstream_id, code_version
    FROM {{training_sets}}
"""
# A label that specimens carry as a column of their own.
_LABEL_COLUMN = f"""
    SELECT {_NO_DATASET}, t.training_set_id AS downstream_id,
           'samples.' || t.label_name AS upstream_id, t.code_version
    FROM {{training_sets}} t
    WHERE t.label_name IN (
        SELECT column_name FROM duckdb_columns()
        WHERE database_name = 'lake' AND table_name = 'samples'
    )
"""
_TRAINING_ROWS = f"""
    SELECT r.dataset, r.training_set_id AS downstream_id, {_ROW} AS upstream_id, t.code_version
    FROM {{training_rows}} r JOIN {{training_sets}} t ON t.training_set_id = r.training_set_id
"""
_TRAINING_SETS = f"""
    SELECT {_NO_DATASET}, {_MODEL} AS downstream_id, training_set_id AS upstream_id, code_version
    FROM {{model_runs}}
"""


def _found_by(table: str, key: str) -> str:
    """Edges to the network of the store that found the particles; rows name its version."""
    return f"""
        SELECT dataset, {key} AS downstream_id, code_version,
               regexp_extract(
                   segmentation_settings, '"model": ?"([a-z][a-z0-9_]*@[0-9]+)"', 1
               ) AS upstream_id
        FROM {{{table}}} WHERE upstream_id <> ''
    """


_METRICS = """
    SELECT NULL::VARCHAR AS dataset,
           c.model || '@' || c.model_version || ':'
               || concat_ws('/', c.evaluation, c.part, c.metric) AS downstream_id,
           c.model || '@' || c.model_version AS upstream_id, m.code_version
    FROM {metrics} c
    JOIN {model_runs} m ON m.model = c.model AND m.model_version = c.model_version
"""


def _predictions(upstream_id: str) -> str:
    return f"""
        SELECT DISTINCT p.dataset,
               p.model || '@' || p.model_version || ':' || p.entity_id AS downstream_id,
               {upstream_id} AS upstream_id, m.code_version
        FROM {{predictions}} p
        JOIN {{model_runs}} m ON m.model = p.model AND m.model_version = p.model_version
    """


_ENTITY = "SELECT *, entity_id AS holder FROM {training_rows}"

TRAINING_EDGES: tuple[Edge, ...] = (
    Edge("feature", "column", _FEATURE_COLUMNS, **_NO_SIDE),
    Edge("feature_set", "feature", _FEATURES, **_NO_SIDE),
    *(
        Edge("training_row", kind, _of_row("r.entity_id", f"r.entity_kind = '{kind}'"))
        for kind in ("micrograph", "volume", "particle")
    ),
    Edge(
        "training_row",
        "sample",
        _of_row(
            "CASE r.entity_kind WHEN 'sample' THEN r.entity_id ELSE r.sample_id END",
            "upstream_id IS NOT NULL",
        ),
    ),
    *(
        Edge("training_row", kind, _from_holder(_IMAGES, table), used=table)
        for kind, table in (
            ("micrograph", "micrographs"),
            ("quality", "image_quality"),
            ("faults", "image_faults"),
            ("mask", "particle_masks_2d"),
            ("annotation", "particle_annotations"),
            ("vector", "micrograph_vectors"),
        )
    ),
    *(
        Edge("training_row", kind, _from_holder(_VOLUMES, table), used=table)
        for kind, table in (
            ("volume", "volumes"),
            ("volume", "volume_phases"),
            ("label_volume", "particle_labels_3d"),
        )
    ),
    Edge(
        "training_row",
        "particle",
        _from_parts(_IMAGES, "micrograph_id", "particles_2d", "p.particle_id"),
        used="particles_2d",
    ),
    Edge(
        "training_row",
        "particle",
        _from_parts(_VOLUMES, "volume_id", "particles_3d", "p.particle_id"),
        used="particles_3d",
    ),
    Edge(
        "training_row",
        "contact",
        _from_parts(
            _VOLUMES,
            "volume_id",
            "contacts",
            "p.volume_id || ':' || p.label_a || '-' || p.label_b",
        ),
        used="contacts",
    ),
    Edge("training_row", "label", _labels(_ENTITY, "holder")),
    Edge("training_row", "label", _labels(f"{_ENTITY} WHERE entity_kind <> 'sample'", "sample_id")),
    *(
        Edge(
            "training_row",
            "label",
            _labels(f"FROM ({held}) WHERE entity_kind = 'particle'", "holder"),
        )
        for held in (_IMAGES, _VOLUMES)
    ),
    Edge("training_set", "training_row", _TRAINING_ROWS, **_SIDE),
    Edge("training_set", "feature_set", _TRAINING_FEATURES, **_NO_SIDE),
    Edge("training_set", "column", _LABEL_COLUMN, **_NO_SIDE),
    Edge("model", "training_set", _TRAINING_SETS, **_NO_SIDE),
    Edge("mask", "model", _found_by("particle_masks_2d", "micrograph_id"), of_upstream=False),
    Edge("label_volume", "model", _found_by("particle_labels_3d", "volume_id"), of_upstream=False),
    Edge("metric", "model", _METRICS, **_NO_SIDE),
    Edge(
        "prediction", "model", _predictions("m.model || '@' || m.model_version"), of_upstream=False
    ),
    Edge("prediction", "training_row", _predictions("m.training_set_id || ':' || p.entity_id")),
)
