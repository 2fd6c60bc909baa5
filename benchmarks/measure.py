"""Additive attributes of particles beside SimpleITK and porespy, and how their time scales.

The same volume for all: touching balls on a jittered grid, labels int32, grey uint16.
- ours: sweep, surfaces, principal axes, grey statistics and contacts between particles;
- SimpleITK: LabelShapeStatistics with perimeter, and LabelStatistics; it has no contacts;
- porespy: regionprops_3D with every property it has, on a smaller volume of particles as large;
- reading: the sums of both arrays by NumPy, on one processor, the least that anything can do.
Voxels, grey means and centroids must agree with SimpleITK, volumes with porespy.
Out of scope: closing, neighbours and paths inside particles.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import REPOSITORY, Record, publish

SPACING_UM = (0.1, 0.1, 0.1)
_COMPILE = """
import time, numpy as np
from models.measure.sweep import sweep
ones = np.ones((4, 4, 4), dtype=np.int32)
begin = time.perf_counter()
sweep(ones, grey=ones.astype(np.uint16))
print(time.perf_counter() - begin)
"""


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--largest", type=int, default=768, help="side of the largest volume")
    parser.add_argument("--side", type=int, default=256, help="side of the volume for SimpleITK")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    ours(*volume(16, 1))
    comparison = compare(options.side, options.repeats)
    sides = [side for side in (128, 192, 256, 384, 512, 768) if side <= options.largest]
    # particles of the same size first, then the same volume in ever more of them
    cases = [(side, round((side / 48) ** 3)) for side in sides]
    middle = sides[-2] if len(sides) > 1 else sides[0]
    cases += [(middle, count) for count in (10, 100, 1000, 5000, 20000)]
    rows = [scale(side, count, options.repeats) for side, count in cases]
    publish("measure", "Additive attributes, nanoseconds per voxel", comparison, compile_seconds())
    publish("measure_scaling", "Additive attributes over volume and number of particles", rows)


def compare(side: int, repeats: int) -> list[Record]:
    """All sides on one volume each; figures per voxel."""
    count = round((side / 48) ** 3)
    labels, grey = volume(side, count)
    read = best(lambda: read_once(labels, grey), repeats)[0]
    seconds, table = best(lambda: ours(labels, grey), repeats)
    itk_seconds, itk = best(simple_itk(labels, grey), repeats)
    check_against_itk(table, itk)
    small, small_grey = volume(96, 8)
    porespy_seconds, volumes = best(lambda: porespy(small), 1)
    small_table = ours(small, small_grey)
    assert dict(zip(small_table["label"].tolist(), small_table["voxels"], strict=True)) == volumes
    rows = []
    for name, spent, voxels in (
        ("reading both arrays", read, labels.size),
        ("ours", seconds, labels.size),
        ("SimpleITK", itk_seconds, labels.size),
        ("porespy", porespy_seconds, small.size),
    ):
        per_voxel = spent / voxels * 1e9
        rows.append(
            {
                "side": name,
                "voxels": voxels,
                "seconds": spent,
                "ns per voxel": per_voxel,
                "over ours": per_voxel / (seconds / labels.size * 1e9),
                "over reading": per_voxel / (read / labels.size * 1e9),
            }
        )
    return rows


def scale(side: int, count: int, repeats: int) -> Record:
    """One volume: the pass over the voxels and the tables made of it, each for itself."""
    from models.measure.additive import additive_table, contacts_table
    from models.measure.sweep import sweep

    labels, grey = volume(side, count)
    read = best(lambda: read_once(labels, grey), repeats)[0]
    seconds, swept = best(lambda: sweep(labels, grey=grey), repeats)
    assert int(swept.voxels.sum()) == int(np.count_nonzero(labels))
    particles, contacts = (
        best(lambda make=make: make(swept, spacing_um=SPACING_UM), 1)[0]
        for make in (additive_table, contacts_table)
    )
    return {
        "side": side,
        "million voxels": labels.size / 1e6,
        "particles": len(swept.labels),
        "contacts": len(swept.pairs),
        "sweep s": seconds,
        "sweep ns per voxel": seconds / labels.size * 1e9,
        "sweep over reading": seconds / read,
        "particle table s": particles,
        "contact table s": contacts,
        "load": os.getloadavg()[0],
    }


def volume(side: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Balls on a jittered grid, each voxel of whichever centre is nearest, and noise for grey."""
    rng = np.random.default_rng(count)
    per_axis = max(1, round(count ** (1 / 3)))
    cells = np.stack(np.meshgrid(*[np.arange(per_axis)] * 3, indexing="ij"), axis=-1)
    # on a grid not filled up, cells are left out at random
    cells = rng.permutation(cells.reshape(-1, 3))[:count]
    pitch = side / per_axis
    centres = (cells + 0.5 + rng.uniform(-0.25, 0.25, cells.shape)) * pitch
    labels = np.zeros((side,) * 3, dtype=np.int32)
    nearest = np.full(labels.shape, np.inf, dtype=np.float32)
    for label, centre in enumerate(centres, start=1):
        first = np.maximum(np.floor(centre - 0.6 * pitch), 0).astype(int)
        last = np.minimum(np.ceil(centre + 0.6 * pitch) + 1, side).astype(int)
        box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        squares = [
            np.square(np.arange(a, b) - c, dtype=np.float32)
            for a, b, c in zip(first, last, centre, strict=True)
        ]
        distance = squares[0][:, None, None] + squares[1][:, None] + squares[2]
        closer = (distance < nearest[box]) & (distance <= (0.6 * pitch) ** 2)
        np.copyto(nearest[box], distance, where=closer)
        np.copyto(labels[box], label, where=closer)
    return labels, rng.integers(0, 4000, labels.shape, dtype=np.uint16)


def ours(labels: np.ndarray, grey: np.ndarray) -> dict[str, np.ndarray]:
    """Everything additive."""
    from models.measure.additive import additive_table, contacts_table
    from models.measure.sweep import sweep

    swept = sweep(labels, grey=grey)
    contacts = contacts_table(swept, spacing_um=SPACING_UM)
    return additive_table(swept, spacing_um=SPACING_UM) | contacts


def simple_itk(labels: np.ndarray, grey: np.ndarray) -> Callable[[], dict[str, Any]]:
    """What to time: images are made beforehand."""
    import SimpleITK as sitk

    images = [sitk.GetImageFromArray(array) for array in (labels, grey)]
    for image in images:
        image.SetSpacing(SPACING_UM[::-1])

    def run() -> dict[str, Any]:
        shape = sitk.LabelShapeStatisticsImageFilter()
        shape.ComputePerimeterOn()
        shape.Execute(images[0])
        levels = sitk.LabelStatisticsImageFilter()
        levels.Execute(images[1], images[0])
        return {"shape": shape, "grey": levels}

    return run


def check_against_itk(table: dict[str, np.ndarray], itk: dict[str, Any]) -> None:
    """Same particles, voxels, centroids and grey means; surfaces close to those of SimpleITK."""
    labels = table["label"].tolist()
    assert labels == list(itk["shape"].GetLabels())
    voxels = [itk["shape"].GetNumberOfPixels(label) for label in labels]
    means = [itk["grey"].GetMean(label) for label in labels]
    centroids = [itk["shape"].GetCentroid(label) for label in labels]
    surfaces = np.array([itk["shape"].GetPerimeter(label) for label in labels])
    np.testing.assert_array_equal(table["voxels"], voxels)
    np.testing.assert_allclose(table["grey_mean"], means)
    np.testing.assert_allclose(np.stack([table[f"{axis}_um"] for axis in "xyz"], 1), centroids)
    np.testing.assert_allclose(table["surface_um2"], surfaces, rtol=0.08)


def porespy(labels: np.ndarray) -> dict[int, int]:
    """Every property of each region."""
    from porespy.metrics import regionprops_3D

    regions = regionprops_3D(labels)
    for region in regions:
        for name in ("volume", "surface_area", "sphericity", "centroid", "inertia_tensor"):
            getattr(region, name)
    return {region.label: int(region.volume) for region in regions}


def read_once(labels: np.ndarray, grey: np.ndarray) -> int:
    """Touch every byte of both arrays."""
    return int(labels.sum()) + int(grey.sum())


def best(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Least seconds of several runs: the others waited for whoever shares the machine."""
    seconds, result = float("inf"), None
    for _ in range(repeats):
        begin = time.perf_counter()
        result = work()
        seconds = min(seconds, time.perf_counter() - begin)
    return seconds, result


def compile_seconds() -> Record:
    """Seconds of the first sweep with nothing compiled before, and with it all in the cache."""
    with tempfile.TemporaryDirectory() as cache:
        first, again = (
            float(
                subprocess.run(
                    [sys.executable, "-c", _COMPILE],
                    cwd=REPOSITORY,
                    env={**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(REPOSITORY)},
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            for _ in range(2)
        )
    print(f"first sweep: {first:.1f} s to compile, {again:.2f} s from the cache")
    return {"compile_seconds": first, "cached_seconds": again}


if __name__ == "__main__":
    main()
