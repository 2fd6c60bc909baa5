"""Several processes at once, and processes killed at any moment.

Out of scope: the lake's own transactions (`tests.graindex.test_lake_processes`), and kills in the
middle of particles (`tests.graindex`).
"""

import multiprocessing
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

import graindex
from assets.resources import LANCE_POOL
from graindex.location import Location
from graindex.registration import register_collection
from graindex.store import Store
from orchestration.cli.main import main
from orchestration.instance import open_instance
from tests.end_to_end.commands import SELECTED, by_asset, finish, one_vector_each, phantom, start
from tests.end_to_end.commands import graindex as run

IMAGES = 8
PER_IMAGE = ("micrographs", "image_quality", "micrograph_vectors")
LAKE_TABLES = ("datasets", "samples", "micrographs", "acquisition_readings", "image_quality")


@pytest.mark.slow  # tests/graindex/test_lake_processes.py writes from four processes at once
@pytest.mark.parametrize("names", ["ab", "abcd"])
def test_processes_write_while_another_asks(
    tmp_path: Path, new_home: Callable[[], Path], names: str
) -> None:
    home, sizes = new_home(), {name: number for number, name in enumerate(names, start=3)}
    for number, (name, size) in enumerate(sizes.items()):
        for seed in range(size):
            phantom(tmp_path / name / f"{seed}.png", 100 * number + seed, databar=seed == 0)
        register_collection(graindex.open(home), str(tmp_path / name), dataset=name)
    writers = {
        name: start("materialize", *SELECTED, "--dataset", name, "--format", "json", home=home)
        for name in sizes
    }
    query = "SELECT dataset, count(*) FROM micrograph_catalog GROUP BY ALL"
    image, known, asked = tmp_path / "a" / "1.png", graindex.open(home), 0
    while any(writer.poll() is None for writer in writers.values()):
        for store in (known, graindex.open(home)):
            # A collection appears whole or not at all.
            assert dict(store.sql(query).fetchall()).items() <= sizes.items()
        if known.vectors.has("micrographs"):
            hits = known.similar(image, k=100)["distance"].to_pylist()
            assert hits == sorted(hits) and len(hits) <= sum(sizes.values())
            asked += len(hits) > 0
        time.sleep(0.5)
    assert asked
    for name, writer in writers.items():
        answer = finish(writer)
        assert answer.code == 0, answer
        assert "lock" not in answer.err and "failed" not in answer.err, answer
        counted = by_asset(answer.rows, name)
        assert {counted[asset]["computed"] for asset in PER_IMAGE} == {sizes[name]}
    assert dict(known.sql(query).fetchall()) == sizes
    one_vector_each(known)
    assert leftovers(home) == []
    answer = run("similar", image, "--k", 1, "--format", "json", home=home)
    assert [(hit["dataset"], hit["path"]) for hit in answer.rows] == [("a", "1.png")]
    assert answer.rows[0]["distance"] == pytest.approx(0, abs=1e-6)


def open_at_once(homes: list[Path], together: Barrier) -> None:
    for home in homes:
        together.wait(60)
        open_instance(Location.parse(home)).dispose()


@pytest.mark.slow
def test_processes_may_make_one_dagster_instance_at_once(tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(2)]
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(4)
    processes = [context.Process(target=open_at_once, args=(homes, together)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]


@dataclass(frozen=True)
class Victim:
    """A home with one settled collection and one whose images change before every kill.

    Attributes:
        home: the store.
        folder: images of the changing collection.
        duration_s: how long a whole run takes, about.
    """

    home: Path
    folder: Path
    duration_s: float

    @property
    def store(self) -> Store:
        return graindex.open(self.home)

    def settled(self) -> dict[str, pa.Table]:
        return {table: self.store.read(table, "settled") for table in LAKE_TABLES}

    def generations(self, table: str) -> list[str]:
        """Which generation each row of the changing collection belongs to."""
        query = f"""
            SELECT m.path FROM micrographs m JOIN {table} t USING (dataset, micrograph_id)
            WHERE m.dataset = 'changing'
        """
        return [path.split()[0] for (path,) in self.store.sql(query).fetchall()]


@pytest.fixture
def victim(tmp_path: Path, new_home: Callable[[], Path]) -> Victim:
    home, folder = new_home(), tmp_path / "changing"
    make_generation(folder, 0)
    for seed in range(3):
        phantom(tmp_path / "settled" / f"{seed}.png", seed)
    for name in ("settled", "changing"):
        register_collection(graindex.open(home), str(tmp_path / name), dataset=name)
    # The first run also waits for what is compiled and cached once.
    assert main(["materialize", *SELECTED, "--dataset", "settled", "--home", str(home)]) == 0
    started = time.perf_counter()
    assert run("materialize", *SELECTED, "--dataset", "changing", home=home).code == 0
    return Victim(home, folder, time.perf_counter() - started)


def make_generation(folder: Path, generation: int) -> None:
    """Replace every image; all of one generation carry its number in their names."""
    for old in folder.glob("*.png"):
        old.unlink()
    for number in range(IMAGES):
        path = folder / f"{generation} {number}.png"
        phantom(path, 1000 * generation + number, databar=number < 2)


def leftovers(home: Path) -> list[Path]:
    """Files of unfinished work."""
    return [path for path in (home / "work").rglob("*") if path.is_file()]


def kill_at(victim: Victim, moment_s: float) -> bool:
    """Start a materialisation and kill it; False where it was quicker."""
    process = start("materialize", *SELECTED, "--dataset", "changing", home=victim.home)
    try:
        process.communicate(timeout=moment_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}
    return process.returncode != 0


def outlive_kills(victim: Victim, count: int) -> None:
    """Kill a materialisation at random moments; look at the store after each, and at the end."""
    settled, first = victim.settled(), victim.store.read("micrographs", "changing")
    snapshot = victim.store.snapshot()
    # One in each of `count` equal parts of a run, so that every stage of it is hit.
    parts = [(part + random.random()) / count for part in range(count)]
    random.shuffle(parts)
    killed = []
    for generation, part in enumerate(parts, start=1):
        make_generation(victim.folder, generation)
        killed.append(kill_at(victim, part * victim.duration_s))
        assert victim.settled() == settled
        assert victim.store.read("micrographs", "changing", as_of=snapshot) == first
        images = victim.generations("micrographs")
        assert images == [images[0]] * IMAGES, (parts, killed)
        assert len(victim.generations("image_quality")) in {0, IMAGES}, (parts, killed)
        assert len(victim.generations("vectors.main.micrographs")) <= IMAGES, (parts, killed)
    assert any(killed), "every run was quicker than its kill"

    answer = run("materialize", *SELECTED, "--format", "json", "--strict", home=victim.home)
    assert answer.code == 0, answer
    assert by_asset(answer.rows, "settled")["micrographs"]["computed"] == 0
    for table in ("micrographs", "image_quality", "vectors.main.micrographs"):
        assert victim.generations(table) == [str(count)] * IMAGES
    one_vector_each(victim.store)
    assert victim.settled() == settled
    assert leftovers(victim.home) == []
    with open_instance(victim.store.location) as instance:
        states = {record.status for record in instance.get_runs()}
        assert states <= {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
        pool = instance.event_log_storage.get_concurrency_info(LANCE_POOL)
        assert (pool.active_slot_count, pool.pending_step_count) == (0, 0)


def test_kills_leave_every_row_whole(victim: Victim) -> None:
    outlive_kills(victim, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_kills_leave_every_row_whole(victim: Victim) -> None:
    outlive_kills(victim, 10)
