"""Commands on the history of a store: snapshots, diff, tag, restore, gc and compact.

Out of scope: what makes snapshots.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated

import typer

from orchestration.cli.output import (
    DatasetsOption,
    Format,
    FormatOption,
    HomeOption,
    emit,
    notes,
)

_SNAPSHOT_HELP = "A snapshot's number, a tag, or a time such as 2026-11-26T18:00."
_UNITS = ("B", "kB", "MB", "GB", "TB")
_KEPT_SHOWN = 20
_LISTED = 4


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(snapshots)
    app.command()(diff)
    app.command()(tag)
    app.command()(restore)
    app.command()(gc)
    app.command()(compact)


def snapshots(how: FormatOption = Format.TABLE, home: HomeOption = None) -> None:
    """List snapshots: when, by whom, what they changed, and what needs them."""
    from graindex.history.pins import needs
    from graindex.history.snapshots import snapshots as list_snapshots
    from graindex.store import open_store

    store = open_store(home)
    needed = needs(store)
    rows = [
        {
            "snapshot": each.number,
            "made_at": each.made_at,
            "author": each.author,
            "message": each.message,
            "tables": _listed(sorted(each.tables), how),
            "needed_by": _listed(needed.get(each.number, []), how),
        }
        for each in list_snapshots(store.lake)
    ]
    emit(rows, how, ["snapshot", "made_at", "author", "message", "tables", "needed_by"])


def diff(
    first: Annotated[str, typer.Argument(help=_SNAPSHOT_HELP)],
    second: Annotated[
        str | None, typer.Argument(help="Another one [default: the newest].", show_default=False)
    ] = None,
    dataset: DatasetsOption = None,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """Show what differs between two snapshots: rows by key, and columns."""
    from graindex.history.difference import differences
    from graindex.history.snapshots import resolve
    from graindex.store import open_store

    store = open_store(home)
    before, after = resolve(store, first), resolve(store, second)
    rows = [
        {
            "table": each.table,
            "dataset": each.dataset,
            "added": each.added,
            "removed": each.removed,
            "changed": each.changed,
            "columns_changed": _counted(each.columns, how),
            "columns_added": _listed(list(each.new_columns), how),
        }
        for each in differences(store, before, after, dataset or ())
    ]
    columns = ["table", "dataset", "added", "removed", "changed", "columns_changed"]
    emit(rows, how, [*columns, "columns_added"])
    if not rows:
        notes.print(f"nothing differs between snapshots {before} and {after}")


def tag(
    name: Annotated[str, typer.Argument(help="Name to give, or to take away.")],
    snapshot: Annotated[
        str | None,
        typer.Argument(help=f"{_SNAPSHOT_HELP} [default: the newest]", show_default=False),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Take the name away.")] = False,
    note: Annotated[str | None, typer.Option(help="Remark for people.")] = None,
    home: HomeOption = None,
) -> None:
    """Name a snapshot, which keeps it from being removed."""
    from graindex.authors import user
    from graindex.history.snapshots import resolve
    from graindex.history.tags import delete_tag, set_tag
    from graindex.store import open_store

    store = open_store(home)
    if delete:
        if snapshot is not None:
            message = "--delete takes the name alone"
            raise typer.BadParameter(message, param_hint="SNAPSHOT")
        delete_tag(store, name, author=user())
        notes.print(f"tag {name} removed")
        return
    number = resolve(store, snapshot)
    set_tag(store, name, number, author=user(), note=note)
    notes.print(f"snapshot {number} is {name}")


def restore(
    snapshot: Annotated[str, typer.Argument(help=_SNAPSHOT_HELP)],
    dataset: DatasetsOption = None,
    home: HomeOption = None,
) -> None:
    """Make collections what they were, as a new snapshot; labels and models stay."""
    from graindex.authors import user
    from graindex.history.restoring import restore as restore_collections
    from graindex.history.snapshots import resolve
    from graindex.store import open_store

    store = open_store(home)
    number = resolve(store, snapshot)
    before = store.snapshot()
    made = restore_collections(store, number, dataset or (), author=user())
    if made == before:
        notes.print(f"nothing differs from snapshot {number}")
    else:
        notes.print(f"snapshot {made} holds what stood in {number}")


def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without, only show.")] = False,
    keep_days: Annotated[
        float, typer.Option(min=0, help="Keep snapshots younger than so many days.")
    ] = 30,
    keep_last: Annotated[
        int, typer.Option(min=1, help="Keep at least so many of the newest snapshots.")
    ] = 1,
    grace_minutes: Annotated[
        float,
        typer.Option(min=0, help="Leave what is younger: another process may be at work on it."),
    ] = 60,
    how: FormatOption = Format.TABLE,
    home: HomeOption = None,
) -> None:
    """Show what no kept snapshot needs, and remove it with --yes."""
    from graindex.history.garbage import collect_garbage
    from graindex.history.pins import Retention, needs
    from graindex.store import open_store

    rules = Retention(timedelta(days=keep_days), keep_last, timedelta(minutes=grace_minutes))
    store = open_store(home)
    done = collect_garbage(store, rules, dry_run=not yes)
    rows = [
        {"removed" if yes else "would_remove": what, "count": count, "size_bytes": size}
        for what, (count, size) in done.removed.items()
    ]
    emit(rows, how, ["removed" if yes else "would_remove", "count", "size_bytes"])
    _tell_kept(list(done.kept), needs(store))
    total = _size(sum(size for _, size in done.removed.values()))
    if done.lost:
        notes.print(f"{done.lost} vectors of kept snapshots are gone, since before")
    notes.print(f"{total} removed" if yes else f"{total} would go; remove with: graindex gc --yes")


def compact(how: FormatOption = Format.TABLE, home: HomeOption = None) -> None:
    """Merge small files; every snapshot stays what it was."""
    from graindex.authors import user
    from graindex.history.compaction import compact as compact_store
    from graindex.store import open_store

    done = compact_store(open_store(home), author=user())
    rows = [
        {"table": each.table, "files_before": each.files_before, "files_after": each.files_after}
        for each in done
    ]
    emit(rows, how, ["table", "files_before", "files_after"])
    notes.print("replaced files go with: graindex gc --yes" if rows else "nothing to merge")


def _tell_kept(kept: Sequence[int], needed: Mapping[int, list[str]]) -> None:
    """Say which snapshots stay, those that something needs with what it is."""
    wanted = [number for number in kept if number in needed]
    for number in wanted[:_KEPT_SHOWN]:
        notes.print(f"kept: snapshot {number}, needed by {', '.join(needed[number])}")
    if len(wanted) > _KEPT_SHOWN:
        notes.print(f"kept: {len(wanted) - _KEPT_SHOWN} more that something needs")
    if len(kept) > len(wanted):
        notes.print(f"kept: {len(kept) - len(wanted)} because they are young or the newest")


def _listed(items: list[str], how: Format) -> object:
    """A list for JSON, one text for people and CSV; people get the first few."""
    if how is Format.JSON:
        return items
    if how is Format.TABLE and len(items) > _LISTED:
        return f"{', '.join(items[: _LISTED - 1])} and {len(items) - _LISTED + 1} more"
    return ", ".join(items)


def _counted(counts: Mapping[str, int], how: Format) -> object:
    """Counts by name for JSON, one text for people and CSV."""
    return counts if how is Format.JSON else ", ".join(f"{k} {n}" for k, n in counts.items())


def _size(size_bytes: float) -> str:
    """Bytes for people."""
    for unit in _UNITS[:-1]:
        if size_bytes < 1000:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.3g} {_UNITS[-1]}"
