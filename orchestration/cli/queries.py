"""Commands that ask: sql and similar.

Out of scope: everything that writes.
"""

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.output import Format, FormatOption, HomeOption, emit, notes, write_table


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(sql)
    app.command()(similar)


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT, DESCRIBE, SUMMARIZE or SHOW.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write to a .parquet, .csv or .json file instead."),
    ] = None,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """Run read-only SQL over tables and vectors.

    Tables: `SHOW ALL TABLES`. Images with their specimen and quality: `micrograph_catalog`;
    volumes with their specimen and particle count: `volume_catalog`.
    Vectors: `vectors.main.micrographs`.
    """
    from graindex.store import open_store

    rows = open_store(home).table(query)
    if output is None:
        emit(rows.to_pylist(), how, rows.column_names)
    else:
        write_table(rows, output)
        notes.print(f"{rows.num_rows} rows written to {output}")


def similar(
    image: Annotated[str, typer.Argument(help="A micrograph_id, or an image file.")],
    k: Annotated[int, typer.Option(help="How many neighbours.")] = 10,
    where: Annotated[
        str | None,
        typer.Option(help="SQL condition over the columns of `micrograph_catalog`."),
    ] = None,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """List the images most like one of the store, or like a file that it has never seen."""
    from graindex.store import open_store

    rows = open_store(home).similar(image, k, where)
    emit(rows.to_pylist(), how, rows.column_names)
