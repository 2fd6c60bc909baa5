"""Two cycled phantom electrodes from files to SQL: what was planted is what the tables say.

Out of scope: single files without a store (`test_particle_files`), bad ones (`test_bad_volumes`).
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graindex
from graindex.store import Store
from models.phantoms.electrode import ElectrodePlan, plan, render
from models.phantoms.electrode_config import cycled_electrode
from models.phantoms.tomography import DENSITIES, UINT16_RANGE
from orchestration.cli.demo_collections import ELECTRODES, register_electrodes, write_electrodes
from orchestration.cli.main import main
from tests.end_to_end.commands import by_asset

DERIVED = (
    "particle_labels_3d",
    "particles_3d",
    "contacts",
    "electrode_statistics",
    "phase_peaks",
    "conduction_maps",
    "detachment_groups",
)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Electrodes:
    """A home with the two electrodes in it, and the folder they lie in."""

    home: Path
    folder: Path

    @property
    def store(self) -> Store:
        return graindex.open(self.home)

    def sql(self, query: str) -> Rows:
        rows: Rows = self.store.table(query).to_pylist()
        return rows


@pytest.fixture(scope="module")
def electrodes(
    tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[], Path]
) -> Electrodes:
    home, folder = new_home(), tmp_path_factory.mktemp("electrodes")
    assert write_electrodes(folder) == 2
    register_electrodes(graindex.open(home), folder)
    assert main(["materialize", "--strict", "--home", str(home)]) == 0
    return Electrodes(home, folder)


@pytest.fixture(scope="module")
def truths() -> dict[float, ElectrodePlan]:
    return {float(cycles): plan(cycled_electrode(cycles, 1)) for cycles in (10, 50)}


def test_each_electrode_is_one_volume_of_two_files(electrodes: Electrodes) -> None:
    rows = electrodes.sql("SELECT * FROM volume_catalog ORDER BY cycles")
    assert [row["cycles"] for row in rows] == [10, 50]
    for row in rows:
        assert row["path"] == f"after_{row['cycles']:.0f}_cycles_grey.tif"
        assert (row["size_z_voxels"], row["size_y_voxels"], row["size_x_voxels"]) == (128, 160, 160)
        assert [row[f"voxel_size_{axis}_um"] for axis in "zyx"] == pytest.approx([0.35] * 3)
        assert row["voxel_size_source"] == "metadata"
        assert row["segmentation_source"] == "phases"
        assert row["grey_hash"] and row["phases_hash"] and row["labels_hash"] is None


def test_particles_are_those_that_were_planted(
    electrodes: Electrodes, truths: dict[float, ElectrodePlan]
) -> None:
    # By centroid: a particle found whole lies within a quarter of its diameter of the planted one.
    for cycles, made in truths.items():
        found = electrodes.sql(
            f"SELECT x_um, y_um, z_um, volume_um3, damage, detachment, touches_border "
            f"FROM particles_3d JOIN volume_catalog USING (dataset, volume_id) "
            f"WHERE cycles = {cycles}"
        )
        truth = made.truth
        whole = ~truth["touches_border"]
        planted = np.stack([truth[f"{axis}_um"] for axis in "zyx"], axis=1)
        centres = np.array([[row[f"{axis}_um"] for axis in "zyx"] for row in found])
        distance = np.linalg.norm(planted[:, None] - centres[None], axis=2)
        nearest = distance.argmin(axis=1)
        volume = np.array([row["volume_um3"] for row in found])[nearest] / truth["volume_um3"]
        diameter = truth["equivalent_diameter_um"]
        met = whole & (distance.min(axis=1) < diameter / 4) & (np.abs(volume - 1) < 0.1)
        assert met.sum() >= 0.8 * whole.sum()
        damage = np.array([row["damage"] for row in found])[nearest]
        assert np.median(np.abs(damage - truth["damage"])[met]) < 0.01
        assert np.corrcoef(damage[met], truth["damage"][met])[0, 1] > 0.9
        detachment = np.array([row["detachment"] for row in found])[nearest]
        assert np.corrcoef(detachment[met], truth["detachment"][met])[0, 1] > 0.8


def test_more_cycles_more_damage(electrodes: Electrodes) -> None:
    rows = electrodes.sql(
        "SELECT cycles, damage_planted, avg(damage) AS damage FROM particles_3d "
        "JOIN volume_catalog USING (dataset, volume_id) WHERE NOT touches_border "
        "GROUP BY ALL ORDER BY cycles"
    )
    assert [row["damage"] for row in rows] == pytest.approx(
        [row["damage_planted"] for row in rows], abs=0.02
    )


def test_questions_that_analysts_ask(electrodes: Electrodes) -> None:
    worst = electrodes.sql(
        "SELECT particle_id, damage, volume_um3, z_um, depth_fraction FROM particles_3d "
        "ORDER BY damage DESC LIMIT 10"
    )
    assert len(worst) == 10
    damage = [row["damage"] for row in worst]
    assert damage == sorted(damage, reverse=True)
    assert all(row["volume_um3"] > 0 and 0 <= row["depth_fraction"] <= 1 for row in worst)
    deciles = electrodes.sql(
        "SELECT dataset, size_decile, median(sphericity) AS sphericity, count(*) AS particles "
        "FROM (SELECT *, ntile(10) OVER (PARTITION BY dataset ORDER BY equivalent_diameter_um) "
        "AS size_decile FROM particles_3d) GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert [row["size_decile"] for row in deciles] == list(range(1, 11))
    assert all(0 < row["sphericity"] <= 1 for row in deciles)


def test_contacts_join_particles_on_both_ends(electrodes: Electrodes) -> None:
    rows = electrodes.sql(
        "SELECT count(*) AS contacts, count(a.particle_id) AS first, "
        "count(b.particle_id) AS second "
        "FROM contacts c "
        "LEFT JOIN particles_3d a ON a.particle_id = c.particle_a_id AND a.label = c.label_a "
        "LEFT JOIN particles_3d b ON b.particle_id = c.particle_b_id AND b.label = c.label_b"
    )
    assert rows[0]["contacts"] > 50
    assert len(set(rows[0].values())) == 1


def test_statistics_agree_with_the_planted_electrode(
    electrodes: Electrodes, truths: dict[float, ElectrodePlan]
) -> None:
    rows = electrodes.sql(
        "SELECT cycles, statistic, value FROM electrode_statistics "
        "JOIN volume_catalog ON volume_id = entity_id WHERE bin = 0"
    )
    values = {(row["cycles"], row["statistic"]): row["value"] for row in rows}
    for cycles, made in truths.items():
        voxels = render(made).phases
        assert values[cycles, "porosity"] == pytest.approx((voxels == 0).mean(), abs=1e-12)
        fractions = [v for (c, s), v in values.items() if c == cycles and "phase_fraction" in s]
        assert sum(fractions) == pytest.approx(1, abs=1e-12)
        whole = made.truth["equivalent_diameter_um"][~made.truth["touches_border"]]
        assert values[cycles, "diameter_d50_number"] == pytest.approx(np.median(whole), rel=0.05)


def test_detachment_is_grouped_by_cycles_and_nothing_planted_is_found(
    electrodes: Electrodes,
) -> None:
    groups = electrodes.sql("SELECT * FROM detachment_groups WHERE size_class = 0")
    told = {row["group_name"]: (row["group_by"], row["volume_count"]) for row in groups}
    assert told == {"10": ("cycles", 1), "50": ("cycles", 1), "all": ("cycles", 2)}
    (found,) = electrodes.sql(
        "SELECT * FROM detachment_comparisons WHERE compared_by = 'group' AND within = 'all'"
    )
    assert found["level"] == "particles" and found["p_value"] > 0.05
    follows = electrodes.sql(
        "SELECT * FROM detachment_correlations "
        "WHERE x_attribute = 'detachment' AND correlated_of = 'volume'"
    )
    assert len(follows) == 2
    assert all(row["slope_lower"] < 0 < row["slope_upper"] for row in follows)


def test_peaks_of_phases_lie_at_their_densities(electrodes: Electrodes) -> None:
    low, high = UINT16_RANGE
    rows = electrodes.sql("SELECT * FROM phase_peaks ORDER BY volume_id, phase")
    assert len(rows) == 2 * len(DENSITIES)
    for row in rows:
        density = low + row["peak_grey"] * (high - low) / 65535
        # fringes and the spread of particles move peaks a little
        assert density == pytest.approx(DENSITIES[row["phase"]], abs=0.08)
    width = {row["phase_name"]: row["fwhm_grey"] * (high - low) / 65535 for row in rows[:4]}
    assert width["phase 3"] == pytest.approx(0.053, abs=0.01)  # noise alone
    assert width["particles"] > 2 * width["phase 3"]


def test_figures_of_detachment_become_files(
    electrodes: Electrodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["detachment", ELECTRODES, "-o", str(tmp_path), "--format", "json"]
    capsys.readouterr()
    assert main([*words, "--home", str(electrodes.home)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["group_name"] for row in rows} == {"10", "50", "all"}
    names = sorted(file.name.split("_")[0] for file in tmp_path.iterdir())
    assert names == ["conduction", "conduction", "density", "detachment", "phase"]
    assert all(file.stat().st_size > 10_000 for file in tmp_path.iterdir())


def test_a_second_run_computes_nothing(
    electrodes: Electrodes, capsys: pytest.CaptureFixture[str]
) -> None:
    before = electrodes.store.snapshot()
    words = ["materialize", "--strict", "--format", "json", "--home", str(electrodes.home)]
    capsys.readouterr()
    assert main(words) == 0
    done = by_asset(json.loads(capsys.readouterr().out), ELECTRODES)
    assert set(done) == {"datasets", "samples", "volumes", *DERIVED}
    assert {name: row["computed"] for name, row in done.items()} == dict.fromkeys(done, 0)
    assert electrodes.store.snapshot() == before
    assert main(["status", "--format", "json", "--home", str(electrodes.home)]) == 0
    states = json.loads(capsys.readouterr().out)
    assert {row["asset"] for row in states} == set(done)
    assert [row for row in states if row["stale"] or row["checks_failed"]] == []
    assert main(["check", "--home", str(electrodes.home)]) == 0


@pytest.mark.slow  # tests/graindex/test_volume_labels.py has each step
def test_only_what_a_change_touches_is_computed_again(
    electrodes: Electrodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(electrodes.home, home)
    store = graindex.open(home)
    labels = store.read("particle_labels_3d").to_pylist()

    def materialize(*more: str) -> dict[str, dict[str, Any]]:
        capsys.readouterr()
        assert main(["materialize", "--format", "json", "--home", str(home), *more]) == 0
        return by_asset(json.loads(capsys.readouterr().out), ELECTRODES)

    recipe = store.recipe(ELECTRODES)
    options = ["add", recipe.location_uri, "--dataset", ELECTRODES, "--kind", "volumes"]
    options += ["--label-pattern", str(recipe.label_pattern), "--samples", str(recipe.samples_uri)]
    options += ["--phase", "1", "--min-diameter-px", "10", "--neck", "0.8", "--closing-px", "1.5"]
    options += ["--packing-cube-um", "20", "--home", str(home)]
    assert main(options) == 0
    done = materialize()
    assert done["volumes"]["computed"] == done["particle_labels_3d"]["computed"] == 0
    assert done["particles_3d"]["kept"] == 0 < done["particles_3d"]["computed"]
    assert store.read("particle_labels_3d").to_pylist() == labels
    # Particles and contacts come out of one sweep: either selects both, and nothing else.
    assert set(materialize("--select", "key:contacts")) == {"particles_3d", "contacts"}


def test_assets_of_images_are_not_of_volumes(
    electrodes: Electrodes, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["materialize", "--select", "key:image_quality", "--home", str(electrodes.home)]
    capsys.readouterr()
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the selection has no asset of collections of volumes")
    assert len(error.splitlines()) == 1
