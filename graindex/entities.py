"""What features and labels are of: specimens, images, volumes and particles as of a snapshot.

Out of scope: their features (`graindex.features`) and their labels (`graindex.training`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from graindex.ducklake import CATALOG
from graindex.lake import AsOf, at_clause
from schemas.ddl import literal
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

EntityKind = Literal["sample", "micrograph", "volume", "particle"]
ParticleTable = Literal["particles_2d", "particles_3d"]

KEYS: dict[EntityKind, str] = {
    "sample": "sample_id",
    "micrograph": "micrograph_id",
    "volume": "volume_id",
    "particle": "particle_id",
}
_PARENTS: dict[str, tuple[str, str]] = {
    "particles_2d": ("micrograph_catalog", "micrograph_id"),
    "particles_3d": ("volume_catalog", "volume_id"),
}
# What each kind lacks is null.
_COLUMNS: dict[str, tuple[str, str, str, str]] = {
    "micrograph_catalog": ("session_id", "acquired_at", "content_hash", "path"),
    "volume_catalog": (
        "NULL::VARCHAR",
        "NULL::TIMESTAMP",
        "coalesce(grey_hash, phases_hash, labels_hash)",
        "path",
    ),
    "samples": ("NULL::VARCHAR", "NULL::TIMESTAMP", "NULL::VARCHAR", "sample"),
}


def entity_rows(
    store: "Store",
    kind: EntityKind,
    *,
    datasets: Sequence[str] = (),
    where: str | None = None,
    as_of: AsOf | None = None,
    particles: ParticleTable = "particles_2d",
) -> pa.Table:
    """Entities of one kind, as they stood.

    Args:
        store: the store.
        kind: sample, micrograph, volume or particle.
        datasets: only of these collections; of all when empty.
        where: SQL condition over the columns of `micrograph_catalog`, `volume_catalog`, `samples`,
            or, for particles, over their table and the catalog of what they lie in.
        as_of: snapshot or time.
        particles: table that particles are taken from.

    Returns:
        Columns `dataset, entity_id, sample_id, session_id, acquired_at, content_hash, path`, in
        the order of the first two; `acquired_at` is local time as instruments print it.

    Raises:
        QueryError: the condition is wrong, or no snapshot is as old as `as_of`.
    """
    condition = where or "true"
    as_of = store.lake.moment(as_of)
    source, described = _source(kind, particles, at_clause(as_of))
    if datasets:
        # Inside, where no bracket that the condition closes can reach it.
        source = f"FROM ({source}) WHERE dataset IN ({', '.join(map(literal, datasets))})"
    # Parsed on its own first, so that it cannot close the bracket it will stand in.
    store.check_query(f"SELECT 1 FROM ({source}) WHERE ({condition}\n)")
    session, acquired, content, path = _COLUMNS[described]
    return store.table(
        f"""
        SELECT dataset, {KEYS[kind]} AS entity_id, sample_id, {session} AS session_id,
               {acquired} AS acquired_at, {content} AS content_hash, {path} AS path
        FROM ({source}) WHERE ({condition}
        ) ORDER BY dataset, entity_id
        """,
        as_of=as_of,
    )


def _source(kind: EntityKind, particles: ParticleTable, at: str) -> tuple[str, str]:
    """Query of all entities with every column, and where their descriptions come from."""
    if kind == "micrograph":
        return "FROM micrograph_catalog", "micrograph_catalog"
    if kind == "volume":
        return "FROM volume_catalog", "volume_catalog"
    if kind == "sample":
        return f"FROM {CATALOG}.samples{at}", "samples"
    parent, key = _PARENTS[particles]
    own = ", ".join(literal(name) for name in TABLES[particles].columns)
    query = f"""
        SELECT p.*, m.* FROM (FROM {CATALOG}.{particles}{at}) p
        JOIN (SELECT dataset AS parent_dataset, {key} AS parent_id,
                     COLUMNS(name -> name NOT IN ({own})) FROM {parent}) m
          ON m.parent_dataset = p.dataset AND m.parent_id = p.{key}
    """
    return query, parent
