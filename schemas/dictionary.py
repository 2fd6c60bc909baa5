"""The data dictionary as Markdown: `python -m schemas.dictionary` writes `docs/data-dictionary.md`.

Out of scope: prose about how the store works, which is `docs/architecture.md`.
"""

from pathlib import Path

from schemas.fields import Field
from schemas.measured import MEASURED
from schemas.table import Table
from schemas.tables import TABLES

TARGET = Path("docs/data-dictionary.md")


def render() -> str:
    """The whole dictionary."""
    head = (
        "# Data dictionary\n\n"
        "Generated from `schemas/` by `make dictionary`; do not edit. Every column is defined "
        "once and means the same in every table that holds it. Tables lie in the lake unless "
        "they say LanceDB; each is partitioned by `dataset`, or is of the store as a whole.\n"
    )
    files = (
        "\n# Particles measured from files\n\n"
        "What `graindex measure` writes from one label image or volume. Lengths are null where no "
        "pixel size is known.\n"
    )
    stored = "".join(_table(table) for table in TABLES.values())
    return head + stored + files + "".join(_table(table) for table in MEASURED.values())


def _table(table: Table) -> str:
    where = " Lies in LanceDB as `vectors.main.micrographs`." if table.in_lance else ""
    more = " Labels of a collection add columns of their own." if table.is_open else ""
    more += " Of the store as a whole." if table.of_store else ""
    key = f" Key: {', '.join(f'`{name}`' for name in table.key)}." if table.key else ""
    lines = [
        f"\n## {table.name}\n",
        f"One row per {table.row}.{key}{where}{more}{_references(table)}\n",
        "| column | type | unit | null | meaning | bounds | formula, source |",
        "|---|---|---|---|---|---|---|",
        *(_row(table, field) for field in table.fields),
    ]
    return "\n".join(lines) + "\n"


def _references(table: Table) -> str:
    told = []
    for reference in table.references:
        columns = ", ".join(f"`{name}`" for name in reference.columns)
        when = " where `{}` is {}".format(*reference.when) if reference.when else ""
        told.append(f"{columns} to [{reference.table}](#{reference.table}){when}")
    return f" Refers by {'; by '.join(told)}." if told else ""


def _row(table: Table, field: Field) -> str:
    cells = (
        f"`{field.name}`",
        field.kind.value,
        field.unit or "",
        "" if field.name in table.never_null else "yes",
        field.description,
        _bounds(field),
        "; ".join(part for part in (field.formula, field.source) if part),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _bounds(field: Field) -> str:
    if field.values:
        return ", ".join(field.values)
    if field.lower is None and field.upper is None:
        return ""
    lower = "" if field.lower is None else f"{field.lower:g}"
    upper = "" if field.upper is None else f"{field.upper:g}"
    if not upper:
        return f"{'>' if field.exclusive_lower else '≥'} {lower}"
    return f"{lower} … {upper}"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
