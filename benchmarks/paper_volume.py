"""Time and memory for every attribute of a volume as large as the largest published one.

An electrode of 1324 × 1985 × 492 voxels of 0.1 µm with some 2000 cracked particles is rendered
into chunked Zarr arrays (labels, phases, electron density), then measured in a process of its own,
and once more through a store, from `add` to statistics:

    python benchmarks/paper_volume.py [--scale 1] [--keep FOLDER]

`--scale 0.25` takes a quarter of each extent; `--keep` leaves the volume there and takes it up
again. Needs 2 GB of disk.

Out of scope: accuracy beyond a look at damage, volume, surface and detachment.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import zarr
from common import Record, publish

from models.measure.particles_3d import Measured3D, MeasureOptions, measure_particles_3d
from models.phantoms.electrode import plan, render
from models.phantoms.electrode_config import ElectrodePhantom

SHAPE = (1324, 1985, 492)
CHUNKS = (128, 128, 128)
STAGES = {0.2: "sweep_s", 0.95: "close_ups_s", 1.0: "packing_s"}
COMPARED = ("volume_um3", "surface_outer_um2", "damage", "detachment")


def electrode(scale: float) -> ElectrodePhantom:
    """The electrode at a share of its extents."""
    z, y, x = (max(round(n * scale), 128) for n in SHAPE)
    return ElectrodePhantom(shape_voxels=(z, y, x), voxel_size_um=(0.1, 0.1, 0.1))


def make(folder: Path, config: ElectrodePhantom) -> None:
    """Render the electrode slab by slab, and save its truth."""
    drawn = plan(config)
    group = zarr.open_group(folder, mode="w")
    shape = config.shape_voxels
    dtypes = {"labels": np.int32, "phases": np.uint8, "grey": np.float32}
    arrays = {
        name: group.create_array(name, shape=shape, chunks=CHUNKS, dtype=dtype)
        for name, dtype in dtypes.items()
    }
    for z in range(0, shape[0], CHUNKS[0]):
        slab = (slice(z, min(z + CHUNKS[0], shape[0])), slice(None), slice(None))
        block = render(drawn, slab)
        arrays["labels"][slab] = block.labels.astype(np.int32)
        arrays["phases"][slab] = block.phases
        arrays["grey"][slab] = drawn.density_by_label[block.labels]
        print(f"rendered {slab[0].stop} of {shape[0]} planes", flush=True)
    np.savez(folder / "truth.npz", **drawn.truth)


def measure(folder: Path, config: ElectrodePhantom, *, conduction: bool) -> Record:
    """Measure the volume in this process: seconds by stage, peak memory, errors."""
    group = zarr.open_group(folder, mode="r")
    begin = time.perf_counter()
    ends: dict[str, float] = {}

    def progress(done: int, total: int) -> None:
        stage = next(name for share, name in STAGES.items() if done <= share * total)
        ends[stage] = time.perf_counter()

    options = MeasureOptions(conduction=conduction, electrode_extent_um=config.electrode_extent_um)
    measured = measure_particles_3d(
        group["labels"],
        spacing_um=config.voxel_size_um,
        grey=group["grey"],
        phases=group["phases"],
        options=options,
        progress=progress,
    )
    seconds = time.perf_counter() - begin
    starts = [begin, *ends.values()]
    return {
        "conduction": conduction,
        "particles": len(measured.particles["label"]),
        "mvoxels": round(np.prod(config.shape_voxels) / 1e6),
        "mvoxels_per_box": _mean_box(measured) / 1e6,
        "seconds": seconds,
        **{name: end - start for (name, end), start in zip(ends.items(), starts, strict=False)},
        "peak_gib": _peak_gib(),
        **_errors(measured, dict(np.load(folder / "truth.npz"))),
    }


def through_store(folder: Path, scratch: Path, config: ElectrodePhantom) -> list[Record]:
    """The same by a store in this process: seconds of each asset, peak memory."""
    from graindex.registration import register_collection
    from graindex.store import init_store
    from orchestration.run import run_catalog

    files = scratch / "files"
    files.mkdir()
    for name in ("labels", "phases", "grey"):
        (files / f"electrode_{name}.zarr").symlink_to(folder.absolute() / name)
    store = init_store(scratch / "home")
    register_collection(
        store,
        str(files),
        dataset="electrode",
        kind="volumes",
        declared_voxel_size_um=config.voxel_size_um,
        measurement={"electrode_extent_um": config.electrode_extent_um},
    )
    report = run_catalog(store, ["electrode"])
    assert not report.blocked, report.failures
    peak = _peak_gib()
    return [
        {
            "asset": done.asset,
            "rows": done.rows,
            "computed": done.computed,
            "seconds": done.seconds,
            "peak_gib of the process": peak,
        }
        for done in report.assets
    ]


def _peak_gib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, of bytes on macOS
    return peak / 2**20 / (2**10 if sys.platform == "darwin" else 1)


def _mean_box(measured: Measured3D) -> float:
    sweep = measured.sweep
    return float(np.prod(sweep.upper - sweep.lower, axis=1).mean())


def _errors(measured: Measured3D, truth: Record) -> Record:
    """Root mean square departure from the truth of particles that the border does not cut."""
    particles = measured.particles
    at = np.searchsorted(truth["label"], particles["label"])
    whole = ~particles["touches_border"]
    return {
        f"rms {name}": float(np.sqrt(np.mean((particles[name] - truth[name][at])[whole] ** 2)))
        for name in COMPARED
    }


def main() -> None:
    """Make the volume, measure it with and without conduction paths, and through a store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    config = electrode(arguments.scale)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch) / "electrode"
        if not (folder / "truth.npz").exists():
            make(folder, config)
        rows = []
        for conduction in (False, True):
            # a process of its own: the peak of its memory is that of measuring alone
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=context) as process:
                rows.append(process.submit(measure, folder, config, conduction=conduction).result())
        with ProcessPoolExecutor(1, mp_context=context) as process:
            assets = process.submit(through_store, folder, Path(scratch), config).result()
    publish("paper_volume", "Attributes of a volume of published size", rows)
    publish("paper_volume_store", "The same through a store", assets)


if __name__ == "__main__":
    main()
