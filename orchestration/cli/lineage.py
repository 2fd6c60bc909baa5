"""Command on lineage: from any number back to the files, and forward to all that rests on one.

Out of scope: how it is found (`graindex.lineage`).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.output import DatasetsOption, Format, HomeOption, answer, emit, notes


class LineageFormat(StrEnum):
    """How lineage is printed."""

    TREE = "tree"
    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(lineage)


def lineage(
    name: Annotated[
        str,
        typer.Argument(
            help="Model, model@version:id of a prediction, key, table.column, collection or file."
        ),
    ],
    forward: Annotated[
        bool, typer.Option("--forward", help="What rests on it, not what it comes from.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw it into this .svg or .png file too.", show_default=False),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="Snapshot: a number, a tag or a time.", show_default=False),
    ] = None,
    dataset: DatasetsOption = None,
    how: Annotated[
        LineageFormat, typer.Option("--format", help="How to print it.")
    ] = LineageFormat.TREE,
    home: HomeOption = None,
) -> None:
    """Show what a number comes from, down to the files, or what would change with it."""
    from graindex.lineage.kinds import spoken
    from graindex.store import open_store

    found = open_store(home).lineage(
        name, forward=forward, as_of=as_of, datasets=tuple(dataset or ())
    )
    if how is LineageFormat.TREE:
        answer().print(found.tree(), soft_wrap=True, markup=False)
    else:
        columns = found.edges.column_names
        emit(found.edges.to_pylist(), Format(how.value), columns)
    if picture is not None:
        found.draw(picture)
        notes.print(f"drawn into {picture}")
    direction = "rest on it" if forward else "lead to it"
    counted = ", ".join(spoken(kind, count) for kind, count in found.counts.items())
    notes.print(f"{direction}: {counted or 'nothing'}")
    if found.data_at is not None:
        notes.print(f"data as of snapshot {found.data_at}")
