"""Engines are shared, and what one connection wrote the next one reads."""

import sqlite3
import subprocess
import sys
from contextlib import closing

from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy import text
from sqlalchemy.pool import NullPool

from orchestration import engines
from orchestration.engines import keep_engines


def test_one_engine_for_each_database_and_no_more_than_are_kept(tmp_path):
    keep_engines()
    keep_engines()
    make = sqlite_event_log.create_engine
    addresses = [f"sqlite:///{tmp_path}/{n}.db" for n in range(engines._KEPT + 1)]
    first, *others = (make(address, poolclass=NullPool) for address in addresses)
    assert len({id(engine) for engine in (first, *others)}) == len(addresses)
    assert make(addresses[-1], poolclass=NullPool) is others[-1]
    assert make(addresses[0], poolclass=NullPool) is not first, "the oldest was let go"


def test_an_engine_that_was_disposed_of_is_used_again(tmp_path):
    keep_engines()
    address = f"sqlite:///{tmp_path}/runs.db"
    for number in range(3):
        engine = sqlite_event_log.create_engine(address, poolclass=NullPool)
        with engine.connect() as connection, connection.begin():
            connection.execute(text("CREATE TABLE IF NOT EXISTS numbers (n INTEGER)"))
            connection.execute(text(f"INSERT INTO numbers VALUES ({number})"))
            found = connection.execute(text("SELECT count(*) FROM numbers")).scalar()
        engine.dispose()
        assert found == number + 1


def test_the_log_of_a_database_outlives_each_connection_and_a_kill(tmp_path):
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA journal_mode = WAL")
    script = f"""
import os, signal
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy import text
from sqlalchemy.pool import NullPool
from orchestration.engines import keep_engines

keep_engines()
for words in ("CREATE TABLE numbers (n)", "INSERT INTO numbers VALUES (1)"):
    engine = sqlite_event_log.create_engine("sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection, connection.begin():
        connection.execute(text(words))
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1
    engine.dispose()
    assert os.path.getsize("{path}-wal") > 0, "the last connection took the log along"
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT n FROM numbers").fetchall() == [(1,)]
