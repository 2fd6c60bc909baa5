"""Following lineage: level by level from one thing to all that it comes from, or that rests on it.

Out of scope: what a name stands for (`graindex.lineage.names`), showing what was found.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from graindex.lineage.edge import EDGE_COLUMNS, Edge
from graindex.lineage.edges import edges_from
from graindex.lineage.kinds import Node
from graindex.lineage.reading import LineageReading
from graindex.lineage.training_edges import USES
from schemas.ddl import literal

# So few ids stand in the query itself, where they let DuckDB pass over most of a table.
_FEW = 100


@dataclass(frozen=True, slots=True)
class _Front:
    """Things of one kind that were reached last.

    Attributes:
        ids: their ids; None where they are many.
        datasets: collections to look in; None where some are of none, or most collections hold
            some.
    """

    ids: tuple[str, ...] | None
    datasets: tuple[str, ...] | None


def walk(
    reading: LineageReading, start: Node, *, forward: bool, datasets: tuple[str, ...] = ()
) -> pa.Table:
    """Every edge on the way from one thing.

    Args:
        reading: the tables.
        start: where to begin.
        forward: to what rests on it; to what it comes from when False.
        datasets: forward, training sets without a row of these collections are not followed.

    Returns:
        Columns of `EDGE_COLUMNS` and `depth`, the number of steps to the edge from 1; each edge
        once, the nearest first.
    """
    columns = ", ".join(f"{name} VARCHAR" for name in EDGE_COLUMNS)
    reading.execute(f"CREATE TEMP TABLE found ({columns}, depth INTEGER)")
    reading.execute("CREATE TEMP TABLE reached (kind VARCHAR, id VARCHAR)")
    reading.execute("CREATE TEMP TABLE front (kind VARCHAR, id VARCHAR, dataset VARCHAR)")
    reading.execute(f"INSERT INTO front VALUES ({literal(start.kind)}, {literal(start.id)}, NULL)")
    collections = reading.query(f"SELECT count(*) AS n FROM {reading['datasets']}")["n"][0].as_py()
    depth = 0
    while fronts := _fronts(reading, collections):
        depth += 1
        reading.execute(f"CREATE OR REPLACE TEMP TABLE step ({columns})")
        reading.execute("CREATE OR REPLACE TEMP TABLE ahead AS FROM front LIMIT 0")
        used = _used(reading) if "training_row" in fronts and not forward else frozenset()
        for edge in edges_from(set(fronts), forward=forward):
            if edge.used and not forward and edge.used not in used:
                continue  # reading 10 million particles to find none takes seconds
            front = fronts[edge.upstream if forward else edge.downstream]
            _follow(reading, edge, front, forward=forward, datasets=datasets)
        reading.execute("INSERT INTO reached SELECT DISTINCT kind, id FROM front")
        reading.execute(f"INSERT INTO found SELECT DISTINCT *, {depth} FROM step")
        reading.execute(
            """
            CREATE OR REPLACE TEMP TABLE front AS
            SELECT kind, id, max(dataset) AS dataset FROM ahead
            ANTI JOIN reached USING (kind, id) GROUP BY ALL
            """
        )
    return reading.query(f"FROM found ORDER BY depth, {', '.join(EDGE_COLUMNS)}")


def _fronts(reading: LineageReading, collections: int) -> dict[str, _Front]:
    """What was reached last, by kind."""
    counted = reading.query(
        """
        SELECT kind, count(*) AS things, bool_and(dataset IS NOT NULL) AS are_placed,
               list(DISTINCT dataset ORDER BY dataset) AS datasets
        FROM front GROUP BY kind
        """
    ).to_pylist()
    few = tuple(row["kind"] for row in counted if row["things"] <= _FEW)
    listed = reading.query(
        f"""
        SELECT kind, list(id ORDER BY id) AS ids FROM front
        WHERE kind IN ({_listed(few or ("",))}) GROUP BY kind
        """
    )
    ids = {row["kind"]: tuple(row["ids"]) for row in listed.to_pylist()}
    # Comparing names row by row takes longer than the join, and pays where it passes over files.
    worthwhile = collections // 2
    return {
        row["kind"]: _Front(
            ids.get(row["kind"]),
            tuple(row["datasets"])
            if row["are_placed"] and len(row["datasets"]) <= max(1, worthwhile)
            else None,
        )
        for row in counted
    }


def _used(reading: LineageReading) -> frozenset[str]:
    """Tables that the training sets of the rows that were reached last read."""
    found = reading.query(
        f"""
        SELECT DISTINCT used FROM ({reading.sql(USES)}) WHERE training_set_id IN (
            SELECT DISTINCT split_part(id, ':', 1) FROM front WHERE kind = 'training_row'
        )
        """
    )
    return frozenset(found["used"].to_pylist())


def _follow(
    reading: LineageReading, edge: Edge, front: _Front, *, forward: bool, datasets: tuple[str, ...]
) -> None:
    """Add the edges of one relation that begin at the front, and what they lead to."""
    conditions = " AND ".join(_conditions(edge, front, forward=forward))
    if forward and datasets and edge.downstream == "training_set":
        conditions += f"""
            AND downstream_id IN (SELECT training_set_id FROM {reading["training_rows"]}
                                  WHERE dataset IN ({_listed(datasets)}))
        """
    rows = reading.sql(edge.sql)
    count = reading.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE here AS
        SELECT DISTINCT downstream_id, upstream_id, dataset, code_version
        FROM ({rows}) WHERE {conditions}
        """
    )
    if count == 0:
        return
    reading.execute(
        f"""
        INSERT INTO step SELECT '{edge.downstream}', downstream_id, '{edge.upstream}', upstream_id,
                                dataset, code_version FROM here
        """
    )
    kind, side = (edge.downstream, "downstream") if forward else (edge.upstream, "upstream")
    is_placed = edge.of_downstream if forward else edge.of_upstream
    dataset = "dataset" if is_placed else "NULL"
    reading.execute(f"INSERT INTO ahead SELECT DISTINCT '{kind}', {side}_id, {dataset} FROM here")


def _conditions(edge: Edge, front: _Front, *, forward: bool) -> Iterator[str]:
    near, kind = ("upstream", edge.upstream) if forward else ("downstream", edge.downstream)
    if front.ids is None:
        yield f"{near}_id IN (SELECT id FROM front WHERE kind = '{kind}')"
    else:
        yield f"{near}_id IN ({_listed(front.ids)})"
    is_placed = edge.of_upstream if forward else edge.of_downstream
    if is_placed and front.datasets is not None:
        yield f"dataset IN ({_listed(front.datasets)})"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(literal(value) for value in values)
