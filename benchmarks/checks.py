"""What checking costs: millions of particles under every check, and ten thousand images and one.

Rows are made, not measured, and keep every rule, so that nothing ends a check early. Each part runs
in a process of its own, whose peak memory is told. The same suites are timed as Great Expectations
runs them on whole data frames. Out of scope: whether checks find what is wrong, which tests show.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import Record, publish
from made_rows import DATASET, PARTICLES, make_images, make_particles, write_images


def main() -> None:
    """Run the part that the command line names in a home, or all of them, and publish."""
    if len(sys.argv) > 1:
        print(json.dumps(PARTS[sys.argv[1]](Path(sys.argv[2]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        homes = {name: str(Path(folder) / name) for name in ("particles", "images", "image")}
        _apart("make_particles", homes["particles"])
        _apart("make_images", homes["images"])
        _apart("make_image", homes["image"])
        rows = [
            *_apart("check_particles", homes["particles"]),
            *_apart("screened", homes["particles"]),
            *_apart("whole_frames", homes["particles"]),
            *_apart("check_images", homes["images"]),
            *_apart("check_image", homes["image"]),
        ]
    publish("checks", "Checks", rows)


def _apart(part: str, home: str) -> list[Record]:
    command = [sys.executable, __file__, part, home]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{part} failed: {done.stderr}")
    found: list[Record] = json.loads(done.stdout.splitlines()[-1])
    return found


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _timed(what: str, rows: int, action: Callable[[], tuple[int, int]]) -> Record:
    started, worked = time.perf_counter(), time.process_time()
    checks, failed = action()
    return {
        "what": what,
        "rows": rows,
        "checks": checks,
        "failed": failed,
        "seconds": time.perf_counter() - started,
        "processor_s": time.process_time() - worked,
        "peak_gib": _peak_gib(),
    }


def _checks(home: Path, assets: tuple[str, ...]) -> tuple[int, int]:
    """Run and record all checks of some assets; how many, and how many failed."""
    from graindex.check_results import record_results, run_checks
    from graindex.store import open_store
    from orchestration.checks import DECLARED

    store = open_store(home)
    ended = 0
    failed = []
    for asset in assets:
        checks = [check for check in DECLARED if check.asset == asset]
        results = run_checks(store, checks, DATASET)
        record_results(store, results, [check.name for check in checks], author="benchmark")
        ended += len(results)
        failed += [result for result in results if not result.passed]
    for result in failed:
        told = result.error or result.problems[0]
        print(f"{result.check.asset}.{result.check.name}: {told}"[:300], file=sys.stderr)
    return ended, len(failed)


def check_images(home: Path) -> list[Record]:
    """Check images, check them again, add one and check once more."""
    from graindex.store import open_store

    images = (
        "datasets", "samples", "micrographs", "image_quality", "micrograph_vectors",
        "particle_masks_2d", "particles_2d", "electrode_statistics",
    )  # fmt: skip
    store = open_store(home)
    store.encoder_id  # noqa: B018 -- converted once in the life of a home
    count = store.read("micrographs")
    rows = [_timed("first check of images", len(count), lambda: _checks(home, images))]
    rows.append(_timed("the same again", len(count), lambda: _checks(home, images)))
    write_images(store, store.recipe(DATASET), len(count) + 1)
    rows.append(_timed("one image more", len(count) + 1, lambda: _checks(home, images)))
    return rows


def check_particles(home: Path) -> list[Record]:
    """Every check of the three tables."""
    sizes = {"particles_2d": PARTICLES, "particles_3d": PARTICLES, "contacts": PARTICLES // 2}
    rows = [
        _timed(f"every check of {table}", count, lambda table=table: _checks(home, (table,)))
        for table, count in sizes.items()
    ]
    summed = ("rows", "checks", "failed", "seconds", "processor_s")
    total = {name: sum(row[name] for row in rows) for name in summed}
    return [*rows, {"what": "every check of all three", **total, "peak_gib": _peak_gib()}]


def screened(home: Path) -> list[Record]:
    """The dictionary's checks of the same tables alone: schema, suite and references."""
    from graindex.generated_checks import dictionary_problems
    from graindex.store import open_store

    store = open_store(home)

    def run(name: str) -> tuple[int, int]:
        return 1, len(dictionary_problems(name, store, DATASET))

    return [
        _timed(f"dictionary of {name}, screened", PARTICLES, lambda name=name: run(name))
        for name in ("particles_2d", "particles_3d")
    ]


def whole_frames(home: Path) -> list[Record]:
    """Their suites as Great Expectations runs them on whole data frames."""
    from graindex.store import open_store
    from graindex.validation import great_expectations, judge
    from schemas.expectations import suite
    from schemas.tables import TABLES

    store = open_store(home)
    great_expectations()

    def run(name: str) -> tuple[int, int]:
        rows = store.read(name, DATASET)
        return 1, len(judge(rows, suite(TABLES[name]), TABLES[name].key, rows.num_rows))

    return [
        _timed(f"suite of {name}, whole frame", PARTICLES, lambda name=name: run(name))
        for name in ("particles_2d", "particles_3d")
    ]


PARTS: dict[str, Callable[[Path], list[Record]]] = {
    "make_particles": make_particles,
    "make_images": make_images,
    "make_image": lambda home: make_images(home, 1),
    "check_particles": check_particles,
    "check_images": check_images,
    "check_image": check_images,
    "screened": screened,
    "whole_frames": whole_frames,
}

if __name__ == "__main__":
    main()
