"""Tables as Dagster shows them: column schema, column lineage, counts.

Out of scope: pictures (`assets.previews`).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from graindex.outcome import Outcome
from schemas.arrow import describe
from schemas.fields import Field
from schemas.table import Table
from schemas.tables import TABLES

Metadata = dict[str, dg.MetadataValue[Any]]

RECALIBRATED = "recalibration"
"""Entry of a materialisation that followed a new pixel or voxel size: what it did."""


def table_schema(table: Table, extra: Mapping[str, str] | None = None) -> dg.TableSchema:
    """Dagster's schema of a table: types, meanings with units, constraints.

    Args:
        table: the table.
        extra: columns that a collection added, with their types.
    """
    unique = table.key[0] if len(table.key) == 1 else None
    columns = [
        dg.TableColumn(
            field.name,
            field.kind.value,
            describe(field.name),
            dg.TableColumnConstraints(
                nullable=field.name not in table.never_null,
                unique=field.name == unique,
                other=_admissible(field),
            ),
        )
        for field in table.fields
    ]
    added = [
        dg.TableColumn(name, kind, "Label of the collection.")
        for name, kind in (extra or {}).items()
    ]
    return dg.TableSchema([*columns, *added])


def _admissible(field: Field) -> list[str]:
    """What values a column may hold, short enough for a label."""
    if field.values:
        return [f"one of {', '.join(field.values)}"]
    if field.pattern:
        return [f"matches {field.pattern}"]
    above = ">" if field.exclusive_lower else "≥"
    bounds = ((above, field.lower), ("≤", field.upper))
    return [f"{sign} {bound:g}" for sign, bound in bounds if bound is not None]


def column_lineage(table: Table) -> dg.TableColumnLineage:
    """Which columns of other tables each column is computed from."""
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(dg.AssetKey(upstream.split(".")[0]), upstream.split(".")[1])
                for upstream in sources
            ]
            for column, sources in table.lineage.items()
        }
    )


def definition_metadata(name: str) -> Metadata:
    """Metadata that an asset has before it ever ran."""
    table = TABLES[name]
    where = f"vectors.main.{name}" if table.in_lance else f"lake.{name}"
    return {
        "dagster/column_schema": dg.MetadataValue.table_schema(table_schema(table)),
        "dagster/table_name": dg.MetadataValue.text(where),
        "one row per": dg.MetadataValue.text(table.row),
    }


def outcome_metadata(name: str, outcome: Outcome, rows: pa.Table | None = None) -> Metadata:
    """Metadata of one materialisation.

    Args:
        name: the table.
        outcome: what the refresh did.
        rows: the rows, where the table is open and may have gained columns.
    """
    table = TABLES[name]
    extra = {} if rows is None else _extra_columns(table, rows)
    metadata: Metadata = {
        "dagster/row_count": dg.MetadataValue.int(outcome.rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(table_schema(table, extra)),
        "dagster/column_lineage": dg.MetadataValue.column_lineage(column_lineage(table)),
        "rows computed": dg.MetadataValue.int(outcome.computed),
        "rows kept": dg.MetadataValue.int(outcome.kept),
        "rows dropped": dg.MetadataValue.int(outcome.dropped),
        "refused": dg.MetadataValue.json(outcome.refused),
    }
    if outcome.recalibration is not None:
        metadata[RECALIBRATED] = dg.MetadataValue.text(str(outcome.recalibration))
    if outcome.snapshot is not None:
        label = "vector version" if table.in_lance else "lake snapshot"
        metadata[label] = dg.MetadataValue.int(outcome.snapshot)
    return metadata


def warn_of_refused(context: dg.AssetExecutionContext, name: str, outcome: Outcome) -> None:
    """Log what an asset could not use, with the reason."""
    for what, reason in outcome.refused.items():
        context.log.warning(f"{name}: refused {what}: {reason}")


def _extra_columns(table: Table, rows: pa.Table) -> dict[str, str]:
    return {
        field.name: "number" if pa.types.is_floating(field.type) else "text"
        for field in rows.schema
        if field.name not in table.columns and rows[field.name].null_count < rows.num_rows
    }
