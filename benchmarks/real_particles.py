"""Two published phase volumes and a holotomography slice, from `add` to statistics of particles.

Reports how many particles there are, how large, how much the border cuts, and writes pictures to
look at beside the JSON. No file states a size: pixels of the slice are 70 nm in the code of its
paper, voxels of the NREL electrode are taken as 0.398 µm, and TauFactor's lengths are in voxels.
Out of scope: whether each particle is right, for which no truth exists.
"""

import tempfile
import time
from typing import Any

from common import RESULTS, Record, publish, real_data

_FOLDER = "nmc_tomography"
COLLECTIONS: dict[str, dict[str, Any]] = {
    "nrel_nmc": {
        "file": "nrel_nmc-1-cal_generatedCBD_bridge.tif",
        "kind": "volumes",
        "declared_voxel_size_um": (0.398, 0.398, 0.398),
        "volumes": {"content": "phases"},
        "segmentation": {"phase_values": (1,)},
    },
    "taufactor": {
        "file": "taufactor_electrode_256.tif",
        "kind": "volumes",
        "declared_voxel_size_um": (1.0, 1.0, 1.0),
        "volumes": {"content": "phases"},
        "segmentation": {"phase_values": (85,)},
        "measurement": {"phase_binder": 170},
    },
    "holotomography": {
        "file": "nmc_holotomography_slice_xy.tif",
        "modality": "X-ray",
        "declared_pixel_size_um": 0.07,
        "segmentation": {"polarity": "bright", "min_diameter_px": 40, "closing_px": 4},
    },
}
_STATISTICS = (
    "particle_count", "particle_count_whole", "border_volume_share", "porosity",
    "particle_volume_fraction", "diameter_d10_volume", "diameter_d50_volume",
    "diameter_d90_volume", "damage_mean", "detachment_mean", "section_count", "border_area_share",
    "section_diameter_d50_number", "ball_diameter_d50_volume",
)  # fmt: skip


def main() -> None:
    """Run and publish."""
    from graindex.registration import register_collection
    from graindex.store import init_store
    from orchestration.run import run_catalog

    pictures = RESULTS / "real_particles"
    pictures.mkdir(parents=True, exist_ok=True)
    found: list[Record] = []
    summary: list[Record] = []
    with tempfile.TemporaryDirectory() as home:
        store = init_store(home)
        for dataset, options in COLLECTIONS.items():
            fields = {name: value for name, value in options.items() if name != "file"}
            path = real_data() / _FOLDER / options["file"]
            register_collection(store, str(path), dataset=dataset, **fields)
            started = time.perf_counter()
            report = run_catalog(store, [dataset])
            seconds = time.perf_counter() - started
            again = run_catalog(store, [dataset])
            table = "particle_labels_3d" if fields.get("kind") else "particle_masks_2d"
            (row,) = store.read(table, dataset).to_pylist()
            (pictures / f"{dataset}.jpg").write_bytes(store.files.get(row["overlay"]))
            summary.append(
                {
                    "collection": dataset,
                    "particles": row["particle_count"],
                    "share of area or volume": row["particle_fraction"],
                    "refused": len(report.refused),
                    "checks passed": sum(check.passed for check in report.checks),
                    "checks": len(report.checks),
                    "seconds": seconds,
                    "recomputed by a second run": sum(done.computed for done in again.assets),
                }
            )
            statistics = store.read("electrode_statistics", dataset).to_pylist()
            found += [
                {
                    "collection": dataset,
                    "statistic": each["statistic"],
                    "value": each["value"],
                    "sd": each["std"],
                    "unit": each["unit"],
                    "particles or voxels": each["count"],
                }
                for name in _STATISTICS
                for each in statistics
                if each["statistic"] == name and each["bin"] == 0
            ]
    publish("real_particles", "Particles found", summary)
    publish("real_particles_statistics", "Their statistics", found)


if __name__ == "__main__":
    main()
