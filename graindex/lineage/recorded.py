"""Which assets were read for each materialisation: rows of the table `lineage`.

They are written in the transaction of the materialisation, so that DuckLake's column `snapshot_id`
of a row is the snapshot that was made. Writing what already stands records nothing.
Out of scope: lineage of single rows (`graindex.lineage.walk`).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from graindex.ducklake import CATALOG
from schemas.arrow import from_records
from schemas.tables import COMPANIONS, LAKE_ASSETS, TABLES

TABLE = "lineage"
_ASSET_AND_RUN = re.compile(r"([a-z0-9_]+) run ([0-9a-f-]{36})")
_OF_MODELS = frozenset({"training_sets", "model_runs"})
_ASSET_OF = {
    companion: asset for asset, companions in COMPANIONS.items() for companion in companions
}


def record(cursor: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table], author: str) -> None:
    """Record what was read for rows that are being written, where an asset's run writes them.

    Args:
        cursor: within the transaction that writes the rows.
        tables: the rows, by table.
        author: who writes.
    """
    match = _ASSET_AND_RUN.fullmatch(author)
    if match is None:
        return
    asset, run_id = match.groups()
    snapshot = cursor.execute(f"SELECT id FROM {CATALOG}.current_snapshot()").fetchone()
    assert snapshot is not None
    shared = {
        "asset": asset,
        "run_id": run_id,
        "upstream_snapshot": snapshot[0],
        "recorded_at": datetime.now(UTC),
    }
    found = {
        (part, upstream, upstream_part): version
        for part, upstream, upstream_part, version in _read(cursor, tables, asset)
    }
    records = [
        {
            **shared,
            "part_of": part,
            "upstream_asset": upstream,
            "upstream_part": upstream_part,
            "code_version": version,
        }
        for (part, upstream, upstream_part), version in found.items()
    ]
    if records:
        cursor.register("read_for", from_records(TABLES[TABLE], records))
        key = ", ".join(TABLES[TABLE].key)
        # A run that writes in several goes keeps the last one.
        cursor.execute(
            f"DELETE FROM {CATALOG}.{TABLE} WHERE ({key}) IN (SELECT {key} FROM read_for)"
        )
        cursor.execute(f"INSERT INTO {CATALOG}.{TABLE} BY NAME FROM read_for")
        cursor.unregister("read_for")


def upstream_assets(table: str) -> set[str]:
    """Assets that the rows of a table are computed from, as the dictionary says."""
    declared = TABLES[table]
    tables = {one.split(".")[0] for sources in declared.lineage.values() for one in sources}
    tables |= {reference.table for reference in declared.references}
    assets = {_ASSET_OF.get(one, one) for one in tables}
    return {one for one in assets if one in LAKE_ASSETS or one == "micrograph_vectors"}


Found = Iterator[tuple[str, str, str, str]]


def _read(cursor: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table], asset: str) -> Found:
    """Part, asset read, part of that, and code version."""
    for name, rows in tables.items():
        if "training_set_id" in rows.column_names and name in _OF_MODELS:
            yield from _for_models(cursor, name, rows, tables)
        elif not TABLES[name].of_store:
            version = _version(rows)
            for dataset in rows["dataset"].unique().to_pylist():
                for upstream in sorted(upstream_assets(name) - {asset}):
                    yield dataset, upstream, dataset, version


def _version(rows: pa.Table) -> str:
    """Code version that the rows state, the newest where they differ; "" where they state none."""
    if "code_version" not in rows.column_names:
        return ""
    stated = [one for one in rows["code_version"].unique().to_pylist() if one is not None]
    return max(stated, key=lambda one: (len(one), one), default="")


def _for_models(
    cursor: duckdb.DuckDBPyConnection,
    name: str,
    rows: pa.Table,
    tables: Mapping[str, pa.Table],
) -> Found:
    for row in rows.to_pylist():
        version = row["code_version"]
        if name == "model_runs":
            part = f"{row['model']}@{row['model_version']}"
            yield part, "training_sets", row["training_set_id"], version
            continue
        part = row["training_set_id"]
        members = tables.get("training_rows")
        datasets = [] if members is None else sorted(members["dataset"].unique().to_pylist())
        for upstream in sorted(_features_from(cursor, row) | {"samples"}):
            for dataset in datasets:
                yield part, upstream, dataset, version


def _features_from(
    cursor: duckdb.DuckDBPyConnection, training_set: Mapping[str, object]
) -> set[str]:
    """Assets whose tables a registered feature set reads."""
    found = cursor.execute(
        f"""
        SELECT DISTINCT split_part(source_column, '.', 1)
        FROM {CATALOG}.feature_set_columns WHERE feature_set = ? AND feature_set_version = ?
        """,
        [training_set["feature_set"], training_set["feature_set_version"]],
    ).fetchall()
    return {_ASSET_OF.get(name, name) for (name,) in found}
