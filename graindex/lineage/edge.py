"""What one relation of lineage is: two kinds, and the query that gives all its edges.

Out of scope: which there are (`graindex.lineage.edges`).
"""

from dataclasses import dataclass
from string import Formatter

EDGE_COLUMNS = (
    "downstream_kind",
    "downstream_id",
    "upstream_kind",
    "upstream_id",
    "dataset",
    "code_version",
)


@dataclass(frozen=True, slots=True)
class Edge:
    """One relation between two kinds.

    Attributes:
        downstream: kind that was made.
        upstream: kind that it was made from.
        sql: query of `dataset, downstream_id, upstream_id, code_version`, tables in braces.
        of_downstream: whether `dataset` is the collection of the downstream end.
        of_upstream: the same for the upstream end.
        used: table that the feature set of a training row must read for there to be edges; "" for
            other relations.
    """

    downstream: str
    upstream: str
    sql: str
    of_downstream: bool = True
    of_upstream: bool = True
    used: str = ""

    @property
    def tables(self) -> frozenset[str]:
        """Names of the tables that the query reads."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.sql) if name)


def rows(
    table: str, downstream_id: str, upstream_id: str, version: str = "code_version", where: str = ""
) -> str:
    """Query of edges that stand in one table, one in each row that names an upstream end."""
    condition = f"{upstream_id} IS NOT NULL" + (f" AND {where}" if where else "")
    return f"""
        SELECT dataset, {downstream_id} AS downstream_id, {upstream_id} AS upstream_id,
               {version} AS code_version
        FROM {{{table}}} WHERE {condition}
    """
