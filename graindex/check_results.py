"""Running the checks of an asset, and what came of them as rows: `check_results`, `check_failures`.

Out of scope: what is checked, and Dagster, which shows the same (`orchestration.checks`).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from graindex.checking import Check, Problem
from graindex.errors import GraindexError
from graindex.freshness import row_count
from graindex.store import Store
from schemas.arrow import from_records
from schemas.tables import TABLES

VOLUME_OF_ROWS = "row_count"
"""Name of the check of an asset's number of rows; its last good result holds what was accepted."""

CHECKS_CODE_VERSION = "1"

Record = dict[str, Any]
_RESULTS, _FAILURES = "check_results", "check_failures"
_SINCE = ("checked_at", "lake_snapshot")
"""Columns that say since when a result stands; they stay while everything else does."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check of one collection ended.

    Attributes:
        check: the check.
        dataset: the collection.
        problems: what is wrong.
        checked_count: how many rows the asset has, or had when their number was last accepted.
        error: why the check could not be made, in one line; "" where it could.
    """

    check: Check
    dataset: str
    problems: tuple[Problem, ...]
    checked_count: int
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether all is well."""
        return not self.problems and not self.error

    @property
    def failing(self) -> int:
        """How many rows are wrong, each counted once for every rule that it breaks."""
        return sum(problem.count for problem in self.problems)

    @property
    def advice(self) -> str:
        """What to do about what is wrong, or what to do if something were."""
        told = [problem.advice or self.check.advice for problem in self.problems]
        return " ".join(dict.fromkeys(told)) or self.check.advice


def run_checks(store: Store, checks: Sequence[Check], dataset: str) -> list[CheckResult]:
    """Run checks of one collection; one that cannot be made keeps no other from running."""
    counts = {asset: row_count(store, asset, dataset) for asset in {one.asset for one in checks}}
    return [_run(store, check, dataset, counts[check.asset]) for check in checks]


def _run(store: Store, check: Check, dataset: str, count: int) -> CheckResult:
    try:
        problems = tuple(check.body(store, dataset))
    except GraindexError as error:
        return CheckResult(check, dataset, (), count, str(error))
    if check.name == VOLUME_OF_ROWS:
        count += sum(problem.count for problem in problems)
    return CheckResult(check, dataset, problems, count)


def record_results(
    store: Store, results: Sequence[CheckResult], names: Collection[str], *, author: str
) -> int:
    """Write how the checks of one asset and collection ended.

    A result that is what it was before keeps its row, so that checking again makes no snapshot.

    Args:
        store: the store.
        results: at least one; of one asset and collection.
        names: names of all checks that the asset has; rows of others are dropped.
        author: who checked.

    Returns:
        Number of the snapshot that holds the rows.
    """
    dataset, asset = results[0].dataset, results[0].check.asset
    made = {result.check.name for result in results if not result.error}
    stays = set(names) - made
    before = {name: _rows(store, name, dataset) for name in (_RESULTS, _FAILURES)}
    kept = {
        name: [row for row in rows if row["asset"] != asset or row["check_name"] in stays]
        for name, rows in before.items()
    }
    known = {row["check_name"]: row for row in before[_RESULTS] if row["asset"] == asset}
    snapshot = store.snapshot()
    now = {"checked_at": datetime.now(UTC), "lake_snapshot": snapshot}
    ended = [result for result in results if not result.error]
    kept[_RESULTS] += [_since(known.get(one.check.name), _result(one) | now) for one in ended]
    kept[_FAILURES] += [row for result in ended for row in _failures(result)]
    if all(_same(before[name], kept[name]) for name in before):
        return snapshot
    tables = {name: from_records(TABLES[name], rows) for name, rows in kept.items()}
    message = f"checks of {asset} of {dataset}"
    return store.lake.replace(tables, dataset, author=author, message=message)


def _rows(store: Store, table: str, dataset: str) -> list[Record]:
    rows = store.read(table, dataset).to_pylist()
    return [{name: row.get(name) for name in TABLES[table].columns} for row in rows]


def _same(before: Sequence[Record], after: Sequence[Record]) -> bool:
    as_sets = [{tuple(row.items()) for row in rows} for rows in (before, after)]
    return as_sets[0] == as_sets[1]


def _since(before: Record | None, row: Record) -> Record:
    """The earlier row where it says the same."""
    if before is None:
        return row
    same = all(before[name] == row[name] for name in row if name not in _SINCE)
    return before if same else row


def _result(result: CheckResult) -> Record:
    return {
        "dataset": result.dataset,
        "asset": result.check.asset,
        "check_name": result.check.name,
        "passed": result.passed,
        "blocking": result.check.blocking,
        "failing_count": result.failing,
        "checked_count": result.checked_count,
        "advice": result.advice,
        "code_version": CHECKS_CODE_VERSION,
    }


def _failures(result: CheckResult) -> Iterator[Record]:
    """One row for each rule and key; a key that fails a rule twice is told once."""
    for problem in result.problems:
        for key, found in dict(reversed(problem.rows)).items():
            yield {
                "dataset": result.dataset,
                "asset": result.check.asset,
                "check_name": result.check.name,
                "rule": problem.rule,
                "failing_count": problem.count,
                "failing_id": key,
                "found": found,
            }


def dropped_rows(asset: str, store: Store, dataset: str) -> list[Problem]:
    """More rows gone than the recipe allows, counted from when their number was last accepted."""
    accepted = _accepted(store, asset, dataset)
    count = row_count(store, asset, dataset)
    allowed = store.recipe(dataset).checks.max_drop_fraction
    if accepted is None or count >= accepted * (1 - allowed):
        return []
    line = (dataset, f"{count} rows, {accepted} were accepted")
    return [Problem(f"at most {allowed:.0%} of the rows gone", accepted - count, (line,))]


def _accepted(store: Store, asset: str, dataset: str) -> int | None:
    for row in _rows(store, _RESULTS, dataset):
        if (row["asset"], row["check_name"]) == (asset, VOLUME_OF_ROWS):
            return int(row["checked_count"])
    return None


def accept_counts(store: Store, dataset: str, *, author: str) -> None:
    """Take the numbers of rows that there are for what there should be, from the next check on."""
    rows = [row for row in _rows(store, _RESULTS, dataset) if row["check_name"] != VOLUME_OF_ROWS]
    tables = {_RESULTS: from_records(TABLES[_RESULTS], rows)}
    message = f"accept the numbers of rows of {dataset}"
    store.lake.replace(tables, dataset, author=author, message=message)
