"""The command that withdraws images and volumes: forget.

Out of scope: what it does (`graindex.forget`).
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.output import Format, FormatOption, HomeOption, emit, notes

if TYPE_CHECKING:
    from graindex.forget.touched import Touched
    from graindex.forget.withdrawal import Withdrawal


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(forget)


def forget(
    names: Annotated[
        list[str],
        typer.Argument(help="A micrograph_id or volume_id, or DATASET:PATH.", metavar="ID..."),
    ],
    reason: Annotated[str, typer.Option(help="Why; the quarantine tells it.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """Show what an image touches, and remove it everywhere: all snapshots, vectors, files."""
    from graindex.authors import user
    from graindex.forget.lake_files import LakeFiles
    from graindex.forget.target import targets_of
    from graindex.forget.touched import touched
    from graindex.forget.withdraw import withdraw
    from graindex.forget.withdrawal import noted
    from graindex.store import open_store
    from orchestration.forget_runs import forget_runs, refuse_at_work, runs_of

    store = open_store(home)
    store.lake.create()
    cut_short = noted(store.location)
    begun = {name for each in cut_short for name in each.target.names}
    with LakeFiles(store.location) as files:
        targets = targets_of(store, files, [name for name in names if name not in begun])
        found = [touched(store, files, target) for target in targets]
    refuse_at_work(store.location)
    collections = {each.dataset for each in (*targets, *(one.target for one in cut_short))}
    ids = [key for each in (*targets, *(one.target for one in cut_short)) for key in each.ids]
    runs = runs_of(store.location, collections, ids)
    _show(found, len(runs), how)
    for each in cut_short:
        notes.print(f"the withdrawal of {', '.join(each.target.ids)} was cut short: it is finished")
    if not yes and not _agreed():
        notes.print("nothing was removed; remove with: --yes")
        return
    forget_runs(store.location, runs)
    _tell(withdraw(store, targets, reason, author=user()))


def _show(found: Sequence["Touched"], runs: int, how: Format) -> None:
    rows: list[dict[str, object]] = [
        {
            "id": each.target.ids[0],
            "dataset": each.target.dataset,
            "what": thing.what,
            "now": thing.now,
            "snapshots": thing.snapshots,
            "note": thing.note,
        }
        for each in found
        for thing in each.things
    ]
    if runs:
        note = "of its collections, or that name it: their events hold pictures"
        rows.append({"what": "runs of Dagster", "now": runs, "note": note})
    emit(rows, how, ("id", "dataset", "what", "now", "snapshots", "note"))
    for each in found:
        for note in each.notes:
            notes.print(f"note: {note}")


def _agreed() -> bool:
    return sys.stdin.isatty() and typer.confirm("Remove it?", err=True)


def _tell(done: Sequence["Withdrawal"]) -> None:
    for each in done:
        notes.print(f"{', '.join(each.target.ids)} of {each.target.dataset} is withdrawn")
        if each.models:
            told = ", ".join(f"{name}@{version}" for name, version in each.models)
            notes.print(f"models that saw it: {told}; graindex replay tells what they lack")
    for dataset in sorted({each.target.dataset for each in done}):
        notes.print(
            f"statistics and comparisons still count it until: graindex materialize "
            f"--dataset {dataset}"
        )
