"""Tables as SQL: what DuckLake is told when a home is made or grows a column.

Out of scope: executing it, which is `graindex.lake`.
"""

from schemas.arrow import describe
from schemas.fields import Kind
from schemas.table import Table

SQL_TYPES: dict[Kind, str] = {
    Kind.TEXT: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.LOCAL_TIME: "TIMESTAMP",
    Kind.INSTANT: "TIMESTAMP WITH TIME ZONE",
}


def quote(identifier: str) -> str:
    """An SQL identifier in double quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL text literal in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def create_statements(table: Table, catalog: str) -> list[str]:
    """Statements that make `table` in the attached `catalog`, partitioned by collection."""
    target = f"{catalog}.{quote(table.name)}"
    columns = ", ".join(
        f"{quote(field.name)} {SQL_TYPES[field.kind]}"
        + (" NOT NULL" if field.name in table.never_null else "")
        for field in table.fields
    )
    partitions = [] if table.of_store else [f"ALTER TABLE {target} SET PARTITIONED BY (dataset)"]
    return [
        f"CREATE TABLE {target} ({columns})",
        *partitions,
        f"COMMENT ON TABLE {target} IS {literal(f'One row per {table.row}.')}",
        *(comment_statement(table, name, catalog) for name in table.columns),
    ]


def add_column_statements(table: Table, name: str, sql_type: str, catalog: str) -> list[str]:
    """Statements that add a column to an existing table, with its comment where declared."""
    add = f"ALTER TABLE {catalog}.{quote(table.name)} ADD COLUMN {quote(name)} {sql_type}"
    return [add, comment_statement(table, name, catalog)] if describe(name) else [add]


def comment_statement(table: Table, name: str, catalog: str) -> str:
    """Statement that puts a column's meaning and unit into the catalog."""
    column = f"{catalog}.{quote(table.name)}.{quote(name)}"
    return f"COMMENT ON COLUMN {column} IS {literal(describe(name))}"
