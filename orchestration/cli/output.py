"""What commands print: a table for people, CSV or JSON for programs; progress on standard error.

Out of scope: what is printed.
"""

import csv
import json
import math
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from graindex.location import DEFAULT_HOME, HOME_VARIABLE
from graindex.progress import listening

if TYPE_CHECKING:
    import pyarrow as pa

Record = Mapping[str, object]
_UNLIMITED_WIDTH = 10_000


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


HomeOption = Annotated[
    str | None,
    typer.Option(
        "--home",
        envvar=HOME_VARIABLE,
        help=f"Home of the store: a folder or a server address [default: ./{DEFAULT_HOME}].",
        show_default=False,
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print rows.")]
DatasetsOption = Annotated[
    list[str] | None,
    typer.Option("--dataset", help="Only this collection; may be repeated.", show_default=False),
]

notes = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
"""For everything that is not the answer."""


def answer() -> Console:
    """Standard output; as wide as it takes when nobody looks at it."""
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False)
    return Console(highlight=False, markup=False, width=_UNLIMITED_WIDTH)


def emit(rows: Sequence[Record], how: Format, columns: Sequence[str], title: str = "") -> None:
    """Print rows to standard output.

    Args:
        rows: records.
        how: table, CSV or JSON (a list of records and nothing else).
        columns: order of the columns, also where there are no rows.
        title: heading of a table.
    """
    if how is Format.JSON:
        plain = [{name: json_value(row.get(name)) for name in columns} for row in rows]
        sys.stdout.write(json.dumps(plain, ensure_ascii=False, indent=1) + "\n")
        return
    if how is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_csv_value(row.get(name)) for name in columns] for row in rows)
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for name in columns:
        numeric = any(isinstance(row.get(name), int | float) for row in rows)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(name))) for name in columns))
    answer().print(table)


def cell(value: object) -> str:
    """A value for people: four significant digits, times without a fraction of a second."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list) and len(value) > 8:
        return f"[{', '.join(cell(v) for v in value[:4])}, … {len(value)} values]"
    return str(value)


def json_value(value: object) -> object:
    """A value that JSON can hold: times as ISO 8601, not-a-number as null."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): json_value(item) for name, item in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def _csv_value(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def write_table(rows: "pa.Table", output: Path) -> None:
    """Write rows by the file's suffix; the file appears whole or not at all.

    Raises:
        InputError: unknown suffix, or the file cannot be written.
    """
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    from graindex.errors import InputError

    suffix = output.suffix.lower()
    if suffix not in {".parquet", ".csv", ".json"}:
        message = f"{output}: write to a .parquet, .csv or .json file"
        raise InputError(message)
    aside = output.with_name(f".{output.name}.{uuid.uuid4().hex}.part")
    try:
        if suffix == ".parquet":
            pq.write_table(rows, aside)
        elif suffix == ".csv":
            pa_csv.write_csv(rows, aside)
        else:
            plain = [json_value(row) for row in rows.to_pylist()]
            aside.write_text(json.dumps(plain, ensure_ascii=False, indent=1), encoding="utf-8")
        aside.replace(output)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror or error}"
        raise InputError(message) from error
    finally:
        with suppress(OSError):  # as where a file stands for a folder
            aside.unlink(missing_ok=True)


@contextmanager
def progress_bars() -> Iterator[None]:
    """Show the progress of long work on standard error while the block runs."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    silent = not console.is_terminal  # a log would only gain empty lines
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        tasks = {}

        def show(what: str, done: int, total: int) -> None:
            if total == 0:
                return
            if done == 0 or what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        with listening(show):
            yield
