"""Connections to DuckLake: attached, in transactions, and patient with other processes.

Out of scope: what is read and written (`graindex.lake`, `graindex.query`).
"""

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import duckdb

from graindex.errors import HomeError, WriteConflictError
from graindex.extensions import connect, load
from graindex.location import Location
from schemas.ddl import literal

CATALOG = "lake"

# What DuckLake and SQLite say when another process was quicker; anything else is an error.
_CONFLICTS = ("transaction conflict", "database is locked", "could not serialize", "busy")
_NO_SNAPSHOT = re.compile(r"No snapshot found at (version|timestamp) ([^\n]+)")
_NO_TABLE = re.compile(r"Table with name (\S+) does not exist at version (\d+)")
_ATTEMPTS = 60
_LONGEST_WAIT_S = 1.0

T = TypeVar("T")


def attach(
    location: Location, *, read_only: bool, lance: bool = False
) -> duckdb.DuckDBPyConnection:
    """A fresh in-memory DuckDB with the lake attached as `lake`.

    Raises:
        HomeError: the store cannot be opened.
    """
    connection = connect()
    backend = "postgres_scanner" if location.catalog.startswith("postgres:") else "sqlite_scanner"
    load(connection, backend, "ducklake", *(["httpfs"] if location.is_remote else []))
    if lance:
        load(connection, "lance")
    options = [f"DATA_PATH {literal(location.under('lake') + '/')}"]
    if backend == "sqlite_scanner":
        # With a write-ahead log readers never wait for a writer, and a killed writer leaves
        # the last commit in place.
        options += ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 30000"]
        # A home may have been moved or copied since its tables were made.
        options.append("OVERRIDE_DATA_PATH true")
    if read_only:
        options.append("READ_ONLY")
    statement = f"ATTACH {literal('ducklake:' + location.catalog)} AS {CATALOG}"
    try:
        retrying(lambda: connection.execute(f"{statement} ({', '.join(options)})"))
    except duckdb.Error as error:
        message = f"home {location.home!r} cannot be opened: {first_line(error)}"
        raise HomeError(message) from error
    return connection


@contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A transaction that commits at the end and rolls back on any exception."""
    cursor.begin()
    try:
        yield cursor
        cursor.commit()
    except BaseException:
        _roll_back(cursor)
        raise


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.TransactionException:
        return  # a failed commit has already ended the transaction


def sign(cursor: duckdb.DuckDBPyConnection, author: str, message: str) -> None:
    """Say who makes the snapshot of the open transaction, and what it is."""
    cursor.execute(f"CALL {CATALOG}.set_commit_message({literal(author)}, {literal(message)})")


def retrying(action: Callable[[], T]) -> T:
    """Result of `action`, tried again with growing random pauses while others are quicker.

    Raises:
        WriteConflictError: they were quicker every time.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return action()
        except duckdb.Error as error:
            if not any(word in str(error).lower() for word in _CONFLICTS):
                raise
            last = error
        time.sleep(random.uniform(0.3, 1) * min(_LONGEST_WAIT_S, 0.02 * 1.5**attempt))
    message = f"gave up after {_ATTEMPTS} tries, other processes keep writing: {first_line(last)}"
    raise WriteConflictError(message) from last


def first_line(error: BaseException) -> str:
    """First line of an error's message, or its type where it has none."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return without_jargon(line)


def without_jargon(line: str) -> str:
    """What DuckLake says of a snapshot or table that is not there, with what to do about it."""
    older = _NO_TABLE.search(line)
    if older is not None:
        table, number = older.groups()
        return f"snapshot {number} is older than table {table}; graindex snapshots lists later ones"
    absent = _NO_SNAPSHOT.search(line)
    if absent is None:
        return line
    kind, which = absent.groups()
    told = f"snapshot {which}" if kind == "version" else f"snapshot as old as {which}"
    return f"there is no {told}; graindex snapshots lists those that are kept"
