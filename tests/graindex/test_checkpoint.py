import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from graindex.checkpoint import Checkpoint
from graindex.location import Location
from schemas.arrow import arrow_schema
from schemas.tables import TABLES
from tests.graindex.rows import key, micrograph, micrographs

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def work(location):
    return Checkpoint(location, "micrographs", "a")


def keys(work):
    return sorted(work.load("micrographs")["micrograph_id"].to_pylist())


def test_nothing_was_saved(work):
    rows = work.load("micrographs")
    assert rows.num_rows == 0
    assert rows.schema.equals(arrow_schema(TABLES["micrographs"]))
    work.clear()


def test_batches_add_up_by_table_until_cleared(work, location):
    finding = {"dataset": "a", "micrograph_id": key(1), "finding": "f", "detail": "d"}
    work.save({"micrographs": [micrograph("a", 1)], "findings": [finding]})
    work.save({"micrographs": [micrograph("a", 2), micrograph("a", 3)], "findings": []})
    assert keys(work) == sorted(map(key, (1, 2, 3)))
    assert work.load("findings").to_pylist() == [finding]
    assert keys(Checkpoint(location, "micrographs", "b")) == []
    assert keys(Checkpoint(location, "image_quality", "a")) == []
    work.clear()
    assert keys(work) == []
    assert work.load("findings").num_rows == 0


def test_rows_come_back_as_they_went(work):
    record = micrograph("a", "한글 'x'", pixel_size_um=0.1, sample_id=None)
    work.save({"micrographs": [record]})
    back = work.load("micrographs").to_pylist()[0]
    assert {name: back[name] for name in record} == record


def test_arrow_tables_are_saved_like_records(work):
    rows = micrographs("a", ["x", "y"], pixel_size_um=0.1)
    work.save_tables({"micrographs": rows})
    work.save({"micrographs": [micrograph("a", "z")]})
    assert keys(work) == sorted(map(key, "xyz"))
    assert work.load("micrographs").schema.equals(rows.schema)
    assert rows.to_pylist()[0] in work.load("micrographs").to_pylist()


def test_a_half_written_file_is_passed_over(work, location):
    work.save({"micrographs": [micrograph("a", 1)]})
    folder = location.folder / "work" / "micrographs" / "a"
    (whole,) = folder.glob("*.micrographs.parquet")
    (folder / "0123.part").write_bytes(whole.read_bytes()[:100])
    assert keys(work) == [key(1)]


def test_arrays_come_back_by_name(work, location):
    rows = np.zeros(3, [("label", np.int64), ("sums", np.int64, (2, 13)), ("path", np.float64)])
    rows["label"], rows["sums"][1], rows["path"] = (4, 5, 6), 7, (0.1, np.nan, np.inf)
    assert work.load_arrays("abc") == []
    work.save_array("abc", rows[:1])
    work.save_array("abc", rows[1:])
    work.save_array("bc", rows[:0])
    found = sorted(work.load_arrays("abc"), key=len)
    assert {array.dtype for array in found} == {rows.dtype}
    assert np.concatenate(found).tobytes() == rows.tobytes()
    assert [len(array) for array in work.load_arrays("bc")] == [0]
    assert work.load("micrographs").num_rows == 0
    (folder,) = (location.folder / "work" / "micrographs").iterdir()
    (folder / "0123.part").write_bytes(b"half")
    assert len(work.load_arrays("abc")) == 2
    work.clear()
    assert work.load_arrays("abc") == []


def test_no_objects_are_kept(work):
    with pytest.raises(ValueError, match="allow_pickle"):
        work.save_array("abc", np.array([{}], dtype=object))


def save_for_ever(home):
    work = Checkpoint(Location.parse(home), "micrographs", "a")
    turn = 0
    while True:
        work.save({"micrographs": [micrograph("a", f"{turn}.{n}") for n in range(10)]})
        turn += 1
        time.sleep(0.005)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_finished_batches_outlive_a_kill(work, location):
    folder = location.folder / "work"
    seen = files = 0
    for _ in range(3):
        writer = SPAWN.Process(target=save_for_ever, args=(location.data,))
        writer.start()
        # Counted, not read: there are ever more files.
        while len(list(folder.rglob("*.parquet"))) < files + 3:
            assert writer.is_alive()
            time.sleep(0.05)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        before, seen = seen, len(keys(work))
        files = len(list(folder.rglob("*.parquet")))
        assert seen % 10 == 0
        assert seen >= before + 30
        assert len(set(keys(work))) * 3 >= seen
    work.clear()
    assert keys(work) == []
