"""Several processes on one lake: writers, readers, and writers that are killed."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from graindex.store import init_store, open_store
from tests.graindex.rows import micrographs, samples

SPAWN = multiprocessing.get_context("spawn")
TURNS = 5
ROWS = 20


def version(turn):
    return {"samples": samples("d", range(ROWS), {"turn": float(turn)})}


def write(home, dataset, start):
    store = open_store(home)
    store.snapshot()
    start.wait()
    for turn in range(TURNS):
        rows = samples(dataset, [f"{turn}.{n}" for n in range(ROWS)])
        store.lake.replace({"samples": rows}, dataset, author=dataset, message=str(turn))


def watch(home, start, done, answers):
    """Read until told to stop; report every state of a partition that no writer made."""
    store = open_store(home)
    store.sql("SELECT 1").fetchall()
    start.wait()
    wrong, reads = [], 0
    while not done.is_set():
        states = store.sql(
            "SELECT dataset, count(*), count(DISTINCT split_part(sample, '.', 1)) "
            "FROM samples GROUP BY dataset"
        ).fetchall()
        wrong += [state for state in states if state[1:] != (ROWS, 1)]
        reads += 1
    answers.put((reads, wrong))


def test_four_writers_and_a_reader(tmp_path):
    home = tmp_path / "home"
    store = init_store(home)
    start, done, answers = SPAWN.Barrier(5), SPAWN.Event(), SPAWN.Queue()
    writers = [SPAWN.Process(target=write, args=(home, f"d{n}", start)) for n in range(4)]
    reader = SPAWN.Process(target=watch, args=(home, start, done, answers))
    for process in (*writers, reader):
        process.start()
    for process in writers:
        process.join()
    done.set()
    reads, wrong = answers.get(timeout=60)
    reader.join()
    assert [process.exitcode for process in (*writers, reader)] == [0] * 5
    assert wrong == []
    assert reads > 0
    for n in range(4):
        rows = store.lake.read("samples", f"d{n}")
        assert set(rows["sample"].to_pylist()) == {f"{TURNS - 1}.{k}" for k in range(ROWS)}
    made = store.sql("SELECT author, count(*) FROM snapshots() GROUP BY author").fetchall()
    assert {(f"d{n}", TURNS) for n in range(4)} <= set(made)


def replace_same(home, who, start):
    store = open_store(home)
    store.snapshot()
    start.wait()
    for turn in range(3):
        rows = samples("d", range(ROWS), {"turn": float(10 * who + turn)})
        store.lake.replace({"samples": rows}, "d", author=str(who), message="m")


def test_writers_of_one_partition_that_was_empty_leave_the_rows_of_one(tmp_path):
    home = tmp_path / "home"
    store = init_store(home)
    start = SPAWN.Barrier(3)
    writers = [SPAWN.Process(target=replace_same, args=(home, n, start)) for n in range(3)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    assert [process.exitcode for process in writers] == [0] * 3
    rows = store.lake.read("samples", "d")
    assert rows.num_rows == ROWS
    assert len(set(rows["turn"].to_pylist())) == 1


def make_home(home, start):
    start.wait()
    store = init_store(home)
    assert store.lake.read("samples").num_rows == 0


def test_a_home_made_by_four_processes_at_once(tmp_path):
    home = tmp_path / "home"
    start = SPAWN.Barrier(4)
    makers = [SPAWN.Process(target=make_home, args=(home, start)) for _ in range(4)]
    for process in makers:
        process.start()
    for process in makers:
        process.join()
    assert [process.exitcode for process in makers] == [0] * 4
    tables = open_store(home).sql("SELECT count(*) FROM duckdb_tables() WHERE table_name='samples'")
    assert tables.fetchall() == [(1,)]


def replace_for_ever(home, flag):
    store = open_store(home)
    turn = 0
    while True:
        names = [f"{turn}.{n}" for n in range(ROWS)]
        tables = {"samples": samples("d", names), "micrographs": micrographs("d", names)}
        store.lake.replace(tables, "d", author="t", message=str(turn))
        turn += 1
        Path(flag).write_text(str(turn))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_a_killed_writer_leaves_one_version_and_a_home_that_opens(tmp_path, kills):
    home, flag = tmp_path / "home", tmp_path / "flag"
    init_store(home)
    for turn in range(kills):
        flag.unlink(missing_ok=True)
        writer = SPAWN.Process(target=replace_for_ever, args=(home, flag))
        writer.start()
        while not flag.exists():
            assert writer.is_alive()
            time.sleep(0.01)
        time.sleep(0.037 * turn)  # at another point of the transaction each time
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        store = open_store(home)
        found = store.lake.read("samples", "d")["sample"].to_pylist()
        images = store.lake.read("micrographs", "d")["path"].to_pylist()
        assert len(found) == len(set(found)) == ROWS
        assert len({name.split(".")[0] for name in found}) == 1
        assert {name.removesuffix(".tif") for name in images} == set(found)
        # and it can be written at once: nobody holds a lock
        names = [f"{-turn}.{n}" for n in range(ROWS)]
        tables = {"samples": samples("d", names), "micrographs": micrographs("d", names)}
        store.lake.replace(tables, "d", author="t", message="after")
        assert set(store.lake.read("samples", "d")["sample"].to_pylist()) == set(names)
