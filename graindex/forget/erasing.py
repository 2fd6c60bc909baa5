"""Rows erased from every snapshot of the lake; all others stay readable at their snapshots.

A Parquet file that holds such rows is written anew without them and takes the place of the old one
in DuckLake's metadata, in one transaction over all tables, which also makes a snapshot that says
that these tables were altered: a writer that began before then conflicts with it, and tries again.
The old files are removed afterwards.

Out of scope: what marks the rows (`graindex.forget.marks`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from graindex.ducklake import retrying
from graindex.errors import WriteConflictError
from graindex.forget.lake_files import METADATA, LakeFile, LakeFiles, parquet
from graindex.forget.marks import Marks
from graindex.forget.rewriting import without_places, without_rows
from graindex.forget.swapping import MovedError, Plan, commit
from schemas.ddl import literal, quote

_TRIES = 20


def erase(
    files: LakeFiles,
    marks: Marks,
    *,
    author: str,
    message: str,
    before_commit: Callable[[], None] | None = None,
) -> int | None:
    """Erase rows from all snapshots, and texts from rows of something else.

    Args:
        files: the lake.
        marks: what to erase.
        author: who erases.
        message: for the list of snapshots.
        before_commit: called once the new files are written.

    Returns:
        Number of the snapshot that was made; None where there was nothing to erase.

    Raises:
        WriteConflictError: other processes kept writing.
    """
    for _ in range(_TRIES):
        plan = _planned(files, marks)
        if not plan.tables:
            _clean_messages(files, marks)
            return None
        if before_commit is not None:
            before_commit()
        try:
            made = retrying(partial(commit, files, marks, plan, author, message))
        except MovedError:
            _discard(files, plan)
            continue
        for old, _new in (*plan.rows, *plan.places):
            old.path.unlink(missing_ok=True)
        _clean_messages(files, marks)
        return made
    told = "other processes keep writing to the lake: run it again when they are done"
    raise WriteConflictError(told)


def _discard(files: LakeFiles, plan: Plan) -> None:
    """Remove new files, but for those that the metadata name: a commit may succeed and fail."""
    files.look_again()
    named = {file.path for file in (*files.data_files, *files.delete_files)}
    for path in plan.written():
        if path not in named:
            path.unlink(missing_ok=True)


def remove_unnamed(files: LakeFiles, marks: Marks) -> int:
    """Remove files that no snapshot shows and that hold such rows; returns how many."""
    files.look_again()
    marks.register(files.connection)
    found = holding(files, list(files.unnamed()), marks)
    for path in found:
        path.unlink(missing_ok=True)
        name = literal(path.name)
        files.rows(
            f"DELETE FROM {METADATA}.ducklake_files_scheduled_for_deletion "
            f"WHERE path = {name} OR ends_with(path, '/' || {name})"
        )
    return len(found)


def holding(files: LakeFiles, paths: Sequence[Path], marks: Marks) -> list[Path]:
    """Those of some Parquet files that hold rows of what is withdrawn, or mention it."""
    found: list[Path] = []
    of_table: dict[str, list[Path]] = {}
    for path in paths:
        of_table.setdefault(path.relative_to(files.folder).parts[1], []).append(path)
    for table, several in of_table.items():
        source = parquet(several)
        columns = files.columns(source)
        condition = f"{marks.doomed(table, columns)} OR {marks.mentioned(table, columns)}"
        sql = f"SELECT DISTINCT filename FROM {source} WHERE {condition} ORDER BY ALL"
        found += [Path(name) for name in files.column(sql)]
    return found


def _planned(files: LakeFiles, marks: Marks) -> Plan:
    """Find the rows and write the new files."""
    files.look_again()
    marks.register(files.connection)
    plan = Plan(files.column(f"SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot")[0])
    of_table: dict[str, list[LakeFile]] = {}
    for file in files.data_files:
        of_table.setdefault(file.table, []).append(file)
    for table, several in of_table.items():
        _plan_rows(files, marks, plan, table, several)
    for file in files.delete_files:
        gone = plan.gone.get(file.of_file or 0)
        if gone is not None:
            of_rows = next(new for old, new in plan.rows if old.number == file.of_file)
            path = file.path if of_rows is None else of_rows.path
            new = None
            if of_rows is not None:
                new = without_places(files.connection, file.path, gone, path)
            plan.places.append((file, new))
    for table, inlined in files.inlined:
        columns = files.inlined_columns(inlined)
        doomed, mentioned = marks.doomed(table, columns), marks.mentioned(table, columns)
        found = f"SELECT 1 FROM {METADATA}.{quote(inlined)} WHERE {doomed} OR {mentioned} LIMIT 1"
        if (doomed, mentioned) != ("false", "false") and files.rows(found):
            plan.inlined[inlined] = table
            plan.tables[table] = files.tables[table]
    return plan


def _plan_rows(
    files: LakeFiles, marks: Marks, plan: Plan, table: str, several: list[LakeFile]
) -> None:
    source = parquet([file.path for file in several])
    columns = files.columns(source)
    doomed, mentioned = marks.doomed(table, columns), marks.mentioned(table, columns)
    if (doomed, mentioned) == ("false", "false"):
        return
    found = files.connection.execute(
        f"""
        SELECT filename, list(file_row_number ORDER BY file_row_number) FILTER ({doomed})
        FROM {source} WHERE {doomed} OR {mentioned} GROUP BY ALL
        """
    ).fetchall()
    by_path = {str(file.path): file for file in several}
    for name, places in found:
        file = by_path[name]
        gone = np.array(places or [], np.int64)
        new = without_rows(files.connection, file.path, gone, marks.cleaned(columns))
        plan.gone[file.number] = gone
        plan.rows.append((file, new))
        plan.tables[table] = file.table_id


def _clean_messages(files: LakeFiles, marks: Marks) -> None:
    """Take the withdrawn things out of what was said of snapshots."""
    columns = dict.fromkeys(("author", "commit_message", "commit_extra_info"), "VARCHAR")
    target = f"{METADATA}.ducklake_snapshot_changes"
    for name, told in marks.cleaned(columns).items() if marks.replacements else ():
        mentioned = marks.mentioned("", {name: "VARCHAR"})
        files.rows(f"UPDATE {target} SET {name} = {told} WHERE {mentioned}")
