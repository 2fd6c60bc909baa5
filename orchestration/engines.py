"""SQLAlchemy's engines, kept while a process lives.

Dagster's SQLite storages make an engine for each connection, and with it an empty cache of compiled
statements: a fifth of the time of a run that computes nothing (Dagster 1.13, 2026-11).
Dagster has no setting for it, so its modules are given another `create_engine`; where a later
version has none to replace, it merely takes longer.
Out of scope: connections, of which each is still a new one.
"""

from collections.abc import Callable
from importlib import import_module
from threading import Lock
from typing import Any

_MODULES = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
)
_MAKER = "create_engine"

_KEPT = 64
"""Engines to keep: each run has a database of its own, and a daemon sees many runs."""


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
        self._engines: dict[str, Any] = {}
        self._lock = Lock()

    def __call__(self, address: str, **options: object) -> Any:
        with self._lock:
            engine = self._engines.pop(address, None) or self._make(address, **options)
            self._engines[address] = engine  # the newest stands last
            if len(self._engines) > _KEPT:
                del self._engines[next(iter(self._engines))]
        return engine
