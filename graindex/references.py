"""Rows that name a row of another table that is not there.

Out of scope: which columns refer to what, which tables declare (`schemas.table.Reference`), and
tables in LanceDB, whose rows and images are compared one to one (`graindex.checks`).
"""

from graindex.checking import SHOWN, Problem
from graindex.rows_in_sql import SqlRows
from graindex.store import Store
from schemas.ddl import literal, quote
from schemas.table import Reference
from schemas.tables import TABLES

_ADVICE = "Run `graindex materialize` for the whole collection, not for single assets."


def dangling(store: Store, table: str, rows: SqlRows, dataset: str | None = None) -> list[Problem]:
    """Rows whose references lead nowhere, one problem for each reference.

    Args:
        store: the store.
        table: the table of the lake that refers.
        rows: its rows of the collection, or all.
        dataset: the collection; None for tables of the store as a whole.

    Raises:
        QueryError: the home lacks a table or column.
    """
    problems: list[Problem] = []
    for reference in TABLES[table].references:
        if not _leads_nowhere(store, rows, reference, dataset):
            continue
        wrong = store.lake.query(_dangling(table, reference, dataset)).to_pylist()
        lines = tuple((row["id"], f"no {row['named']}") for row in wrong)
        problems.append(Problem(_rule(reference), wrong[0]["total"], lines, _ADVICE))
    return problems


def _leads_nowhere(store: Store, rows: SqlRows, reference: Reference, dataset: str | None) -> bool:
    """Whether any value names no row; much cheaper than to say which rows hold it."""
    named = rows.ask(
        f"SELECT DISTINCT {_list(reference.columns)} FROM {rows.relation} "
        f"WHERE {_holds(reference, dataset)}"
    )
    if not named.num_rows:
        return False
    there = store.lake.query(
        f"SELECT DISTINCT {_list(reference.target)} FROM {_target(reference, dataset)}"
    )
    return bool(
        named.join(there, list(reference.columns), list(reference.target), "left anti").num_rows
    )


def _rule(reference: Reference) -> str:
    columns = ", ".join(name for name in reference.columns if name != "dataset") or "dataset"
    return f"{columns} is in {reference.table}"


def _dangling(table: str, reference: Reference, dataset: str | None) -> str:
    """SQL for the key of rows that lead nowhere, what they name, and how many there are."""
    pairs = zip(reference.columns, reference.target, strict=True)
    same = " AND ".join(f"a.{quote(name)} = b.{quote(target)}" for name, target in pairs)
    return (
        f"SELECT concat_ws(' ', {_list(TABLES[table].key, 'a.')}) AS id, "
        f"concat_ws(' ', {_list(reference.columns, 'a.')}) AS named, count(*) OVER () AS total "
        f"FROM (FROM lake.{quote(table)} WHERE {_holds(reference, dataset)}) a "
        f"ANTI JOIN {_target(reference, dataset)} b ON {same} ORDER BY id LIMIT {SHOWN}"
    )


def _holds(reference: Reference, dataset: str | None) -> str:
    """Condition of rows that name another one."""
    conditions = [f"{quote(name)} IS NOT NULL" for name in reference.columns]
    if reference.when is not None:
        conditions.append(f"{quote(reference.when[0])} = {literal(reference.when[1])}")
    if dataset is not None:
        conditions.append(f"dataset = {literal(dataset)}")
    return " AND ".join(conditions)


def _target(reference: Reference, dataset: str | None) -> str:
    """The rows that may be named."""
    pairs = zip(reference.columns, reference.target, strict=True)
    within = dataset is not None and ("dataset", "dataset") in pairs
    where = f" WHERE dataset = {literal(str(dataset))}" if within else ""
    return f"(FROM lake.{quote(reference.table)}{where})"


def _list(names: tuple[str, ...], prefix: str = "") -> str:
    return ", ".join(prefix + quote(name) for name in names)
