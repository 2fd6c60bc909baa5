"""Data docs: a folder of pages that shows how the checks of collections ended; works offline.

Suites and their results are Great Expectations' own pages; the front page shows every check, those
that are no expectations too. Out of scope: running the checks (`graindex.check_results`).
"""

import functools
import importlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graindex.docs_pages import escaped, front_page, offline
from graindex.errors import InputError
from graindex.rows_in_sql import SqlRows, lake_columns, of_collection
from graindex.store import Store
from graindex.validation import expectation_results, expectation_suite, great_expectations
from schemas.ddl import quote
from schemas.expectations import Expectation, suite
from schemas.table import Table
from schemas.tables import COMPANIONS, TABLES

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )

Record = dict[str, Any]
_FRONT = "index.html"


def build_data_docs(store: Store, datasets: Sequence[str], folder: Path) -> Path:
    """Write the pages of collections, with the results that their checks last had.

    Args:
        store: the store.
        datasets: names of collections.
        folder: where; made where it is not.

    Returns:
        The front page.

    Raises:
        InputError: the folder cannot be written.
    """
    results = {dataset: _results(store, dataset) for dataset in datasets}
    try:
        pages = {
            dataset: _validations(store, dataset, results[dataset], folder) for dataset in results
        }
        suites = {name: _suite(name, folder) for one in pages.values() for name in one}
        at = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        front = front_page(results, pages, suites, snapshot=store.snapshot(), at=at)
        _write(folder, _FRONT, front)
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror}; name another folder for --docs"
        raise InputError(message) from error
    return folder / _FRONT


def _validations(
    store: Store, dataset: str, results: Sequence[Record], folder: Path
) -> dict[str, str]:
    """Write what Great Expectations says of each checked table; addresses of the pages."""
    columns = lake_columns(store)
    addresses = {}
    for name in _tables(results, set(columns)):
        rows = of_collection(store, name, dataset, columns.get(name, {}))
        page = _page("ValidationResultsPageRenderer", validation_of(rows, TABLES[name], dataset))
        address = f"validations/{dataset}/{name}.html"
        addresses[name] = _write(folder, address, offline(page, "../../"))
    return addresses


def _suite(name: str, folder: Path) -> str:
    """Write what is expected of a table; address of the page."""
    page = _page("ExpectationSuitePageRenderer", expectation_suite(suite(TABLES[name]), name))
    return _write(folder, f"expectations/{name}.html", offline(page, "../"))


def _results(store: Store, dataset: str) -> list[Record]:
    """How the checks of a collection ended, with the rows that fail."""
    failures: dict[tuple[str, str], dict[str, list[Record]]] = defaultdict(dict)
    for row in store.read("check_failures", dataset).to_pylist():
        rules = failures[row["asset"], row["check_name"]]
        rules.setdefault(row["rule"], []).append(row)
    rows = store.read("check_results", dataset).to_pylist()
    rows.sort(key=lambda row: (row["passed"], not row["blocking"]))
    return [
        {
            **row,
            "ended": "passed" if row["passed"] else "failed" if row["blocking"] else "warned",
            "since": f"{row['checked_at']:%Y-%m-%d %H:%M}",
            "failures": failures[row["asset"], row["check_name"]],
        }
        for row in rows
    ]


def _tables(results: Sequence[Record], there: set[str]) -> list[str]:
    """The tables that the checked assets consist of."""
    assets = dict.fromkeys(row["asset"] for row in results)
    names = dict.fromkeys(name for one in assets for name in (one, *COMPANIONS.get(one, ())))
    return [name for name in names if name in there or (name in TABLES and TABLES[name].in_lance)]


def validation_of(rows: SqlRows, table: Table, dataset: str) -> "ExpectationSuiteValidationResult":
    """What Great Expectations says of all rows."""
    from great_expectations.core.expectation_validation_result import (  # noqa: PLC0415
        ExpectationSuiteValidationResult,
    )

    results: list[ExpectationValidationResult] = []
    for rules in _parts(table, rows):
        names = dict.fromkeys(name for rule in rules for name in rule.columns)
        chosen = ", ".join(quote(name) for name in names)
        frame = rows.ask(f"SELECT {chosen} FROM {rows.relation}").to_pandas()
        results += expectation_results(frame, rules, "SUMMARY", table.name).results
    for result in results:
        result.result = {name: escaped(found) for name, found in result.result.items()}
    passed = sum(bool(result.success) for result in results)
    return ExpectationSuiteValidationResult(
        success=passed == len(results),
        results=results,
        suite_name=table.name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100 * passed / len(results) if results else None,
        },
        meta={
            "run_id": {"run_name": dataset, "run_time": datetime.now(UTC).isoformat()},
            "great_expectations_version": great_expectations().__version__,
        },
    )


def _parts(table: Table, rows: SqlRows) -> Iterator[list[Expectation]]:
    """Rules over columns that the rows have: all at once, or of many rows a column at a time."""
    rules = [rule for rule in suite(table) if set(rule.columns) <= rows.columns.keys()]
    if rows.in_memory:
        yield rules
        return
    for columns in dict.fromkeys(rule.columns for rule in rules):
        yield [rule for rule in rules if rule.columns == columns]


def _page(renderer: str, told: object) -> str:
    """A page as Great Expectations renders it."""
    renderers = importlib.import_module(f"{great_expectations().__name__}.render.renderer")
    document = getattr(renderers, renderer)().render(told)
    return str(_view().render(document))


@functools.cache
def _view() -> Any:
    """Turns documents into HTML; compiles its templates once."""
    views = importlib.import_module(f"{great_expectations().__name__}.render.view")
    return views.DefaultJinjaPageView()


def _write(folder: Path, address: str, page: str) -> str:
    target = folder / address
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return address
