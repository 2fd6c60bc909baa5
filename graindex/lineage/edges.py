"""Every relation of lineage, derived from keys: nothing is stored that the tables do not say.

Out of scope: following them (`graindex.lineage.walk`).
"""

from itertools import product

from graindex.lineage.edge import Edge, rows
from graindex.lineage.training_edges import TRAINING_EDGES
from schemas.ddl import literal
from schemas.tables import TABLES

_IMAGE, _VOLUME, _PARTICLE = "micrograph_id", "volume_id", "particle_id"
_CONTACT = "volume_id || ':' || label_a || '-' || label_b"
_PAIR = "micrograph_id || '~' || other_id"
_ISSUE = "micrograph_id || ':' || label_name"
_PEAK = "volume_id || ':' || phase"
_STATED_OF = ("sample", "micrograph", "volume", "particle")

_STATISTICS_3D = """
    SELECT DISTINCT s.dataset, s.entity_id AS downstream_id, p.particle_id AS upstream_id,
           s.code_version
    FROM {electrode_statistics} s
    JOIN {particles_3d} p ON p.dataset = s.dataset AND p.volume_id = s.entity_id
    WHERE s.entity = 'volume'
"""
# Images without a specimen are pooled as the collection, whose key is its name.
_STATISTICS_2D = """
    SELECT DISTINCT s.dataset, s.entity_id AS downstream_id, p.particle_id AS upstream_id,
           s.code_version
    FROM {electrode_statistics} s
    JOIN {micrographs} m
      ON m.dataset = s.dataset AND coalesce(m.sample_id, m.dataset) = s.entity_id
    JOIN {particles_2d} p ON p.dataset = m.dataset AND p.micrograph_id = m.micrograph_id
    WHERE s.entity <> 'volume'
"""


# Groups are of all particles of the collection's volumes; those that did not count are told too.
_DETACHMENT = """
    SELECT DISTINCT d.dataset, d.dataset AS downstream_id, p.particle_id AS upstream_id,
           d.code_version
    FROM {detachment_groups} d JOIN {particles_3d} p ON p.dataset = d.dataset
"""


def _of_whole_collection(table: str, identity: str, upstream_table: str) -> str:
    """Query for a row that was computed from all images of its collection."""
    return f"""
        SELECT DISTINCT c.dataset, {identity} AS downstream_id, u.micrograph_id AS upstream_id,
               c.code_version
        FROM {{{table}}} c JOIN {{{upstream_table}}} u ON u.dataset = c.dataset
    """


def _pairs(upstream: str) -> tuple[Edge, Edge]:
    """Both images, or vectors, of a pair, of which the other may be of another collection."""
    return (
        Edge("duplicate_pair", upstream, rows("near_duplicates", _PAIR, _IMAGE)),
        Edge(
            "duplicate_pair",
            upstream,
            rows("near_duplicates", _PAIR, "other_id"),
            of_upstream=False,
        ),
    )


def _column_edges() -> str:
    """Query of the columns that columns are computed from, as the dictionary says."""
    pairs = sorted(
        {
            (f"{table.name}.{column}", upstream)
            for table in TABLES.values()
            for column, sources in table.lineage.items()
            for upstream in sources
        }
    )
    values = ", ".join(f"({literal(down)}, {literal(up)})" for down, up in pairs)
    return f"""
        SELECT NULL::VARCHAR AS dataset, c.downstream_id, c.upstream_id,
               NULL::VARCHAR AS code_version
        FROM (VALUES {values}) c(downstream_id, upstream_id)
    """


EDGES: tuple[Edge, ...] = (
    Edge("sample", "dataset", rows("samples", "sample_id", "dataset")),
    Edge("micrograph", "dataset", rows("micrographs", _IMAGE, "dataset")),
    Edge("micrograph", "sample", rows("micrographs", _IMAGE, "sample_id")),
    Edge("micrograph", "file", rows("micrographs", _IMAGE, "content_hash"), of_upstream=False),
    Edge("volume", "dataset", rows("volumes", _VOLUME, "dataset")),
    Edge("volume", "sample", rows("volumes", _VOLUME, "sample_id")),
    *(
        Edge("volume", "file", rows("volumes", _VOLUME, f"{part}_hash"), of_upstream=False)
        for part in ("grey", "phases", "labels")
    ),
    Edge("quality", "micrograph", rows("image_quality", _IMAGE, _IMAGE)),
    Edge("faults", "micrograph", rows("image_faults", _IMAGE, _IMAGE)),
    Edge("vector", "micrograph", rows("vector_index", _IMAGE, _IMAGE)),
    Edge("mask", "micrograph", rows("particle_masks_2d", _IMAGE, _IMAGE)),
    Edge("annotation", "micrograph", rows("particle_annotations", _IMAGE, _IMAGE)),
    Edge(
        "annotation",
        "file",
        rows("particle_annotations", _IMAGE, "annotation_hash"),
        of_upstream=False,
    ),
    Edge("label_volume", "volume", rows("particle_labels_3d", _VOLUME, _VOLUME)),
    Edge("particle", "mask", rows("particles_2d", _PARTICLE, _IMAGE)),
    Edge("particle", "label_volume", rows("particles_3d", _PARTICLE, _VOLUME)),
    Edge("contact", "particle", rows("contacts", _CONTACT, "particle_a_id")),
    Edge("contact", "particle", rows("contacts", _CONTACT, "particle_b_id")),
    Edge("statistics", "particle", _STATISTICS_3D),
    Edge("statistics", "particle", _STATISTICS_2D),
    Edge("phase_peak", "volume", rows("phase_peaks", _PEAK, _VOLUME)),
    Edge("conduction_map", "particle", rows("conduction_maps", _VOLUME, _PARTICLE)),
    Edge("detachment", "particle", _DETACHMENT),
    *_pairs("micrograph"),
    *_pairs("vector"),
    Edge("label_issue", "vector", rows("label_issues", _ISSUE, _IMAGE)),
    Edge(
        "confounder",
        "quality",
        _of_whole_collection("confounders", "c.dataset || ':' || c.label_name", "image_quality"),
    ),
    *(
        Edge("drift", kind, _of_whole_collection("drift", "c.dataset", table))
        for kind, table in (("quality", "image_quality"), ("vector", "vector_index"))
    ),
    *(
        Edge(
            "label",
            kind,
            rows("labels", "label_id", "entity_id", "NULL::VARCHAR", f"entity_kind = '{kind}'"),
        )
        for kind in _STATED_OF
    ),
    Edge("column", "column", _column_edges(), of_downstream=False, of_upstream=False),
    *TRAINING_EDGES,
)
"""All relations; two kinds may have several."""


def edges_from(kinds: set[str], *, forward: bool) -> list[Edge]:
    """Relations that lead on from things of these kinds."""
    return [
        edge
        for edge, kind in product(EDGES, sorted(kinds))
        if kind == (edge.upstream if forward else edge.downstream)
    ]
