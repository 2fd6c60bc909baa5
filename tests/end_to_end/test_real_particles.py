"""Published phase volumes and a holotomography slice, from `add` to particles with statistics.

Out of scope: whether each particle is right, for which no truth exists; the benchmark
`real_particles` draws them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

import graindex
from graindex.image_particles import load_mask
from graindex.store import Store
from orchestration.cli.main import main

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(600)]

NREL, TAUFACTOR, PART, HOLO = "nrel", "taufactor", "taufactor_part", "holotomography"
PART_SLICES = 112
FILES = {
    NREL: "nrel_nmc-1-cal_generatedCBD_bridge.tif",
    TAUFACTOR: "taufactor_electrode_256.tif",
    PART: "taufactor_part.tif",
    HOLO: "nmc_holotomography_slice_xy.tif",
}
VOLUME = ("--kind", "volumes", "--content", "phases")
OPTIONS = {
    NREL: (*VOLUME, "--phase", "1", "--voxel-size-um", "0.398"),
    TAUFACTOR: (*VOLUME, "--phase", "85", "--binder-phase", "170", "--voxel-size-um", "1"),
    PART: (*VOLUME, "--phase", "85", "--binder-phase", "170", "--voxel-size-um", "1"),
    HOLO: (
        "--modality", "X-ray", "--pixel-size-um", "0.07", "--polarity", "bright",
        "--min-diameter-px", "40", "--closing-px", "4",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Real:
    """A home that brings the collections in as they are asked for."""

    store: Store
    folder: Path
    parts: Path

    def path(self, dataset: str) -> Path:
        """Its file; a part is cut out of the whole when it is first asked for."""
        path = (self.parts if dataset == PART else self.folder) / FILES[dataset]
        if not path.exists():
            tifffile.imwrite(path, tifffile.imread(self.folder / FILES[TAUFACTOR])[:PART_SLICES])
        return path

    def materialize(self, dataset: str) -> None:
        """Add and materialise a collection, unless it is there."""
        if dataset in self.store.datasets():
            return
        home, path = self.store.location.home, str(self.path(dataset))
        assert main(["add", path, "--dataset", dataset, *OPTIONS[dataset], "--home", home]) == 0
        select = ["--select", "+key:electrode_statistics"]
        words = ["materialize", *select, "--strict", "--dataset", dataset, "--home", home]
        assert main(words) == 0

    def statistics(self, dataset: str) -> dict[str, float]:
        """Statistics of all particles, by name."""
        rows = self.store.read("electrode_statistics", dataset).to_pylist()
        return {row["statistic"]: row["value"] for row in rows if row["bin"] == 0}

    def voxels(self, dataset: str) -> np.ndarray:
        return np.asarray(tifffile.imread(self.path(dataset)))


@pytest.fixture(scope="module")
def real(
    real_data: Path, new_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> Real:
    parts = tmp_path_factory.mktemp("parts")
    return Real(graindex.open(new_home()), real_data / "nmc_tomography", parts)


@pytest.mark.parametrize(
    ("dataset", "fewest"),
    [
        pytest.param(NREL, 700, marks=pytest.mark.slow),
        pytest.param(TAUFACTOR, 500, marks=pytest.mark.slow),
        (PART, 200),
    ],
)
def test_a_phase_volume_is_measured_voxel_for_voxel(real: Real, dataset: str, fewest: int) -> None:
    real.materialize(dataset)
    voxels = real.voxels(dataset)
    values, counts = np.unique(voxels, return_counts=True)
    phases = {r["phase"]: r for r in real.store.read("volume_phases", dataset).to_pylist()}
    assert {key: row["phase_voxels"] for key, row in phases.items()} == dict(
        zip(values.tolist(), counts.tolist(), strict=True)
    )
    statistics = real.statistics(dataset)
    assert statistics["porosity"] == pytest.approx((voxels == 0).mean(), abs=1e-12)
    (labels,) = real.store.read("particle_labels_3d", dataset).to_pylist()
    stored = real.store.volume_store.open("labels", labels["label_volume"])[:]
    particle = 1 if dataset == NREL else 85
    assert (voxels[stored > 0] == particle).all(), "nothing but active material is particle"
    found = real.store.read("particles_3d", dataset)
    assert found.num_rows == labels["particle_count"] == stored.max() >= fewest
    assert sum(found["voxels"].to_pylist()) == np.count_nonzero(stored)
    # Only specks below the smallest diameter are left out.
    assert np.count_nonzero(stored) > 0.98 * (voxels == particle).sum()
    edge = stored.copy()
    edge[1:-1, 1:-1, 1:-1] = 0
    cut = set(np.unique(edge[edge > 0]).tolist())
    rows = found.select(["label", "touches_border"]).to_pylist()
    assert {row["label"] for row in rows if row["touches_border"]} == cut
    assert 0.2 < statistics["border_volume_share"] < 0.6
    assert (
        statistics["diameter_d10_volume"]
        < statistics["diameter_d50_volume"]
        < statistics["diameter_d90_volume"]
    )


@pytest.mark.slow
def test_sizes_of_the_calendered_electrode_are_those_of_nmc(real: Real) -> None:
    real.materialize(NREL)
    # Secondary particles of NMC532 are about 10 µm across.
    assert 8 < real.statistics(NREL)["diameter_d50_volume"] < 16


def test_a_holotomography_slice_gives_particles_in_micrometres(real: Real) -> None:
    real.materialize(HOLO)
    rows = real.store.read("particles_2d", HOLO).to_pylist()
    assert 40 <= len(rows) <= 80
    (mask,) = real.store.read("particle_masks_2d", HOLO).to_pylist()
    grey, labels = real.voxels(HOLO), load_mask(real.store, mask)
    assert labels.shape == grey.shape
    # Particles are the bright matter of the slice, cracks within them not counted.
    assert grey[labels > 0].mean() > grey[labels == 0].mean() + 20
    for row in rows:
        assert row["area_um2"] == pytest.approx(row["pixels"] * 0.07**2)
    diameters = [row["equivalent_diameter_um"] for row in rows if not row["touches_border"]]
    assert 6 < np.median(diameters) < 12
    assert real.statistics(HOLO)["ball_diameter_d50_number"] > 0
