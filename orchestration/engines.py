"""SQLAlchemy's engines, kept while a process lives, and one idle connection to each database.

Dagster's SQLite storages make an engine for each connection, and with it an empty cache of compiled
statements: a fifth of the time of a run that computes nothing (Dagster 1.13, 2026-11).
They also open and close a connection for each event. Whoever closes a database last has SQLite
copy its log into it and wait for the disk, and so does every commit: half of the time of such a
run. So an idle connection stays open, and commits leave it to the log's next copy to wait. A
killed process loses nothing by that; a machine that loses power may lose its latest events, and
the database stays whole.
Dagster has no setting for it, so its modules are given another `create_engine`; where a later
version has none to replace, it merely takes longer.
Out of scope: connections at work, of which each is still a new one.
"""

import sqlite3
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import event

_MODULES = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
)
_MAKER = "create_engine"

_KEPT = 64
"""Engines to keep, with a connection each: each run has a database of its own, and a daemon sees
many runs."""


def keep_engines() -> None:
    """Let Dagster's storages of events and runs share one engine for each database."""
    for name in _MODULES:
        try:
            names = vars(import_module(name))
        except ModuleNotFoundError:
            continue
        if _MAKER in names and not isinstance(names[_MAKER], _Kept):
            names[_MAKER] = _Kept(names[_MAKER])


class _Kept:
    """Makes an engine for a database that was not asked for lately."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self._engines: dict[str, tuple[Any, sqlite3.Connection | None]] = {}
        self._lock = Lock()

    def __call__(self, address: str, **options: object) -> Any:
        with self._lock:
            engine, idle = self._engines.pop(address, (None, None))
            if engine is None:
                engine = self._make(address, **options)
                event.listen(engine, "connect", _wait_for_no_disk)
            self._engines[address] = engine, idle or _idle_connection(engine)
            if len(self._engines) > _KEPT:  # the newest stands last
                _, idle = self._engines.pop(next(iter(self._engines)))
                if idle is not None:
                    idle.close()
        return engine


def _wait_for_no_disk(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL").close()


def _idle_connection(engine: Any) -> sqlite3.Connection | None:
    """A connection that keeps the log open; None before there is a database with one."""
    path = engine.url.database
    if not path or path.startswith("file:") or not Path(path).is_file():
        return None
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal":
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
    except sqlite3.Error:  # busy, or half made: the next one will do
        pass
    connection.close()
    return None
