"""Commands that bring collections up to date: materialize, status, check.

Out of scope: registering them (`add`), and the work itself.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.output import (
    DatasetsOption,
    Format,
    FormatOption,
    HomeOption,
    emit,
    notes,
    progress_bars,
)

if TYPE_CHECKING:
    from graindex.checking import Problem
    from orchestration.run import CheckReport

DATA_FAILED = 1


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(materialize)
    app.command()(status)
    app.command()(check)


def materialize(
    dataset: DatasetsOption = None,
    select: Annotated[
        str | None,
        typer.Option(help="Assets, in Dagster's selection syntax, such as `key:micrographs+`."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when any input was refused.")
    ] = False,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> int:
    """Bring collections up to date and check them; only what changed is computed."""
    from graindex.store import open_store

    store = open_store(home)
    names = _chosen(store.datasets(), dataset)
    from orchestration.run import run_catalog

    started = time.perf_counter()
    with progress_bars():
        report = run_catalog(store, names, select)
    columns = ("dataset", "asset", "rows", "computed", "kept", "dropped", "refused", "snapshot")
    rows = [
        {
            "dataset": done.dataset,
            "asset": done.asset,
            "rows": done.rows,
            "computed": done.computed,
            "kept": done.kept,
            "dropped": done.dropped,
            "refused": len(done.refused),
            "snapshot": done.snapshot,
            "seconds": round(done.seconds, 2),
        }
        for done in report.assets
    ]
    emit(rows, how, (*columns, "seconds"))
    for done in report.assets:
        if done.recalibration:
            notes.print(f"{done.dataset} {done.asset}: {done.recalibration}")
    for path, reason in report.refused.items():
        notes.print(f"quarantined {path}: {reason}")
    for result in report.checks:
        if not result.passed:
            level = "failed" if result.blocking else "warning"
            notes.print(
                f"check {level}: {result.dataset} {result.asset}.{result.check}: "
                f"{result.failing} rows; graindex check --dataset {result.dataset} lists them"
            )
    for failure in report.failures:
        notes.print(f"failed: {failure}")
    passed = sum(result.passed for result in report.checks)
    notes.print(
        f"{sum(done.computed for done in report.assets)} rows computed, "
        f"{passed} of {len(report.checks)} checks passed, {len(report.refused)} inputs refused, "
        f"{time.perf_counter() - started:.1f} s"
    )
    return DATA_FAILED if report.blocked or (strict and report.refused) else 0


def status(
    dataset: DatasetsOption = None, how: FormatOption = Format.TABLE, home: HomeOption = None
) -> None:
    """Show what the store holds, what is out of date, and how the last checks ended."""
    from graindex.store import open_store
    from orchestration.status import collection_status

    store = open_store(home)
    rows = collection_status(store, _chosen(store.datasets(), dataset, allow_none=True))
    columns = (
        "dataset", "asset", "rows", "stale", "why", "last_materialized_at", "checks_passed",
        "checks_warned", "checks_failed",
    )  # fmt: skip
    emit(rows, how, columns)


def check(
    dataset: DatasetsOption = None,
    select: Annotated[
        str | None,
        typer.Option(help="Assets, in Dagster's selection syntax, such as `key:particles_2d`."),
    ] = None,
    docs: Annotated[
        Path | None,
        typer.Option(help="Write the results as pages into this folder; they work offline."),
    ] = None,
    accept_counts: Annotated[
        bool,
        typer.Option("--accept-counts", help="Take the numbers of rows for what they should be."),
    ] = False,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> int:
    """Run every check, list the failing rows by id and say what to do; computes nothing."""
    from graindex.check_results import accept_counts as accept
    from graindex.generated_checks import store_problems
    from graindex.store import open_store

    store = open_store(home)
    names = _chosen(store.datasets(), dataset)
    from orchestration.run import run_checks

    if accept_counts:
        for name in names:
            accept(store, name, author="graindex check")
    with progress_bars():
        report = run_checks(store, names, select)
    failing = [result for result in report.checks if not result.passed]
    rows = [row for result in failing for row in _rows_of(result)]
    whole = [] if dataset or select else store_problems(store)
    rows += [row for table, problem in whole for row in _rows_of_table(table, problem)]
    columns = ("dataset", "asset", "check", "level", "rule", "failing", "id", "found")
    if rows or how is not Format.TABLE:
        emit(rows, how, columns)
    for result in failing:
        level = "failed" if result.blocking else "warning"
        notes.print(
            f"check {level}: {result.dataset} {result.asset}.{result.check}: "
            f"{result.failing} rows; {result.advice}"
        )
    for failure in report.failures:
        notes.print(f"failed: {failure}")
    for table, problem in whole:
        notes.print(f"check failed: {table}: {problem.rule}: {problem.count} rows")
    if docs is not None:
        from graindex.data_docs import build_data_docs

        notes.print(f"written to {build_data_docs(store, names, docs)}")
    passed = sum(result.passed for result in report.checks)
    notes.print(f"{passed} of {len(report.checks)} checks passed")
    return DATA_FAILED if report.blocked or whole else 0


def _rows_of(result: "CheckReport") -> list[dict[str, object]]:
    """What a failing check found, a row for each key and rule."""
    return [
        {
            "dataset": result.dataset,
            "asset": result.asset,
            "check": result.check,
            "level": "error" if result.blocking else "warning",
            "rule": problem["rule"],
            "failing": problem["count"],
            "id": key,
            "found": found,
        }
        for problem in result.problems
        for key, found in problem["rows"]
    ]


def _rows_of_table(table: str, problem: "Problem") -> list[dict[str, object]]:
    """The same of a table of the store as a whole."""
    told = {"dataset": "", "asset": table, "check": "dictionary", "level": "error"}
    return [
        {**told, "rule": problem.rule, "failing": problem.count, "id": key, "found": found}
        for key, found in problem.rows
    ]


def _chosen(known: list[str], wanted: list[str] | None, *, allow_none: bool = False) -> list[str]:
    """The collections asked for, or all.

    Raises:
        CollectionError: one is not registered, or there is none at all.
    """
    from graindex.errors import CollectionError

    if not known and not allow_none:
        message = "no collection is registered; run: graindex add PATH --dataset NAME"
        raise CollectionError(message)
    unknown = [name for name in wanted or [] if name not in known]
    if unknown:
        message = f"dataset {unknown[0]!r} is not registered (known: {', '.join(known) or 'none'})"
        raise CollectionError(message)
    return list(dict.fromkeys(wanted)) if wanted else known
