"""Search on real micrographs: how often the nearest is of the same kind, and how long it takes.

Leave-one-out: each image asks for its nearest other image, over all collections or in its own.
These vectors are of a network that saw none of the images, so nothing was fitted; still, images
of one specimen count as neighbours of each other, and the table shows what is left without them.
Out of scope: throughput of encoding (`vectors.py`).
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from common import Record, publish, real_data, register_real

if TYPE_CHECKING:
    from graindex.store import Store

_NEAREST = """
SELECT avg((a.{label} = b.{label})::INT) AS precision_at_1, count(*) AS queries
FROM (
    SELECT v.micrograph_id AS query,
           arg_min(w.micrograph_id, array_cosine_distance(v.vector, w.vector)) AS hit
    FROM vectors.main.micrographs v
    JOIN vectors.main.micrographs w
      ON w.micrograph_id <> v.micrograph_id AND w.dataset = v.dataset
    JOIN micrograph_catalog p ON p.micrograph_id = v.micrograph_id
    JOIN micrograph_catalog q ON q.micrograph_id = w.micrograph_id
    WHERE v.dataset = '{dataset}' AND ({same} OR p.sample_id <> q.sample_id)
    GROUP BY v.micrograph_id
)
JOIN micrograph_catalog a ON a.micrograph_id = query
JOIN micrograph_catalog b ON b.micrograph_id = hit
"""


def main() -> None:
    """Run and publish."""
    from graindex.store import init_store
    from orchestration.run import run_catalog

    folder = real_data()
    rows: list[Record] = []
    with tempfile.TemporaryDirectory() as home:
        store = init_store(home)
        register_real(store, folder)
        run_catalog(store, store.datasets())
        for dataset, label in (
            ("uhcs", "primary_microconstituent"),
            ("llzto_llto_sem", "material"),
        ):
            for same, what in (("true", "all images"), ("false", "other specimens only")):
                query = _NEAREST.format(dataset=dataset, label=label, same=same)
                found = store.table(query).to_pylist()[0]
                rows.append({"collection": dataset, "label": label, "neighbours": what, **found})
        publish("search_precision", "Nearest neighbour has the same label", rows)
        publish("search_latency", "Time of one search", _latency(store, folder))


def _latency(store: "Store", folder: Path) -> list[Record]:
    """Seconds of `similar` in a fresh store object and warm, for files the store never saw."""
    unseen = sorted((folder / "emps" / "images").glob("*"))[:12]
    rows: list[Record] = []
    fresh = type(store)(store.location)
    started = time.perf_counter()
    fresh.similar(unseen[0], 10)
    rows.append({"what": "unseen file, first of a store", "median_s": _since(started)})
    seconds = []
    for path in unseen[1:]:
        started = time.perf_counter()
        fresh.similar(path, 10)
        seconds.append(_since(started))
    rows.append(_summary("unseen file, warm", seconds))
    ids = store.read("micrographs")["micrograph_id"].to_pylist()[:20]
    seconds = []
    for key in ids:
        started = time.perf_counter()
        fresh.similar(key, 10, "pixel_size_um IS NOT NULL")
        seconds.append(_since(started))
    rows.append(_summary("image of the store with a condition, warm", seconds))
    return rows


def _summary(what: str, seconds: list[float]) -> Record:
    return {
        "what": what,
        "searches": len(seconds),
        "median_s": statistics.median(seconds),
        "slowest_s": max(seconds),
    }


def _since(started: float) -> float:
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
