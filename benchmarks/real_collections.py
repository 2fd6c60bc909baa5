"""Three real collections from folder to catalog: what was found, against what is known of them.

Known: the scale bars measured by hand (100 µm = 375 px, SEC; 267 px, JEOL), the SEC sidecars.
Out of scope: speed of the single steps (`vectors.py`).
"""

import tempfile
import time

from common import COLLECTIONS, Record, publish, real_data, register_real

TRUE_PIXEL_SIZE_UM = {"ncm622_cycled_sem": 100 / 375, "llzto_llto_sem": 100 / 267}
_AGREE = """
SELECT quantity, count(*) AS images,
       max(abs(a.value_number - b.value_number)) AS largest_difference,
       max(abs(epoch(a.value_time) - epoch(b.value_time))) AS largest_difference_s
FROM acquisition_readings a JOIN acquisition_readings b USING (dataset, micrograph_id, quantity)
WHERE dataset = '{dataset}' AND a.reading_source = 'sidecar' AND b.reading_source = 'databar'
  AND quantity IN
      ('magnification', 'accelerating_voltage_kv', 'working_distance_mm', 'acquired_at')
GROUP BY quantity ORDER BY quantity
"""


def main() -> None:
    """Run and publish."""
    from graindex.store import init_store
    from orchestration.run import run_catalog

    rows: list[Record] = []
    agreement: list[Record] = []
    with tempfile.TemporaryDirectory() as home:
        store = init_store(home)
        register_real(store, real_data())
        for dataset in COLLECTIONS:
            started = time.perf_counter()
            report = run_catalog(store, [dataset])
            seconds = time.perf_counter() - started
            again = run_catalog(store, [dataset])
            images = store.read("micrographs", dataset).to_pylist()
            truth = TRUE_PIXEL_SIZE_UM.get(dataset)
            sizes = [row["pixel_size_um"] for row in images if row["pixel_size_um"] is not None]
            findings = store.read("findings", dataset)["finding"].to_pylist()
            rows.append(
                {
                    "collection": dataset,
                    "images": len(images),
                    "refused": len(report.refused),
                    "specimens": store.read("samples", dataset).num_rows,
                    "pixel sizes": len(sizes),
                    "largest error %": 100 * max(abs(s / truth - 1) for s in sizes)
                    if truth and sizes
                    else None,
                    "size disagreements": findings.count("pixel_size_um_disagreement"),
                    "mag": _filled(images, "magnification"),
                    "kV": _filled(images, "accelerating_voltage_kv"),
                    "WD": _filled(images, "working_distance_mm"),
                    "time": _filled(images, "acquired_at"),
                    "seconds": seconds,
                    "recomputed by a second run": sum(done.computed for done in again.assets),
                    "blocking checks failed": sum(
                        c.blocking and not c.passed for c in report.checks
                    ),
                }
            )
            found = store.table(_AGREE.format(dataset=dataset)).to_pylist()
            agreement += [{"collection": dataset, **row} for row in found]
    publish("real_collections", "Real collections", rows, {"sidecar_against_databar": agreement})
    publish("sidecar_against_databar", "Sidecar against databar", agreement)


def _filled(images: list[Record], column: str) -> int:
    return sum(row[column] is not None for row in images)


if __name__ == "__main__":
    main()
