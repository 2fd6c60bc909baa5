"""Electrode statistics: every row from numbers that can be worked out by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from models.measure.arrays import InvalidVolumeError
from models.measure.electrode_statistics import COLUMNS, electrode_statistics

PHASES = {0: 450, 1: 400, 2: 150}
NAMES = {0: "pore", 1: "active", 2: "binder"}


def particles() -> dict[str, np.ndarray]:
    depth = np.array([0.05, 0.15, 0.25, 0.95, 1.0, 0.5])
    diameter = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])
    return {
        "label": np.arange(1, 7),
        "equivalent_diameter_um": diameter,
        "volume_um3": np.pi / 6 * diameter**3,
        "damage": np.array([0.0, 0.1, 0.2, np.nan, 0.4, 0.9]),
        "detachment": np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.9]),
        "depth_fraction": depth,
        "touches_border": np.array([False] * 5 + [True]),
    }


def rows(columns: dict[str, np.ndarray], statistic: str) -> list[dict[str, object]]:
    chosen = np.flatnonzero(columns["statistic"] == statistic)
    return [{name: columns[name][i] for name in COLUMNS} for i in chosen]


def value(columns: dict[str, np.ndarray], statistic: str) -> float:
    (row,) = rows(columns, statistic)
    return float(row["value"])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> dict[str, np.ndarray]:
    return electrode_statistics(
        particles(), PHASES, spacing_um=(1, 1, 1), phase_names=NAMES, pore_phase=0
    )


def test_columns_have_types_and_equal_length(found: dict[str, np.ndarray]) -> None:
    assert tuple(found) == COLUMNS
    assert len({len(values) for values in found.values()}) == 1
    assert found["count"].dtype == np.int64
    assert found["value"].dtype == np.float64


def test_phases(found: dict[str, np.ndarray]) -> None:
    assert value(found, "porosity") == 0.45
    fractions = [value(found, f"phase_fraction_{name}") for name in NAMES.values()]
    assert fractions == [0.45, 0.4, 0.15]
    assert sum(fractions) == pytest.approx(1)


def test_percentiles_have_errors_that_confidence_widens() -> None:
    diameter = norm(10, 1).ppf((np.arange(400) + 0.5) / 400)
    known = {"equivalent_diameter_um": diameter, "volume_um3": np.pi / 6 * diameter**3}

    def error(confidence: float | None, statistic: str) -> float:
        told = {} if confidence is None else {"segmentation_confidence": np.full(400, confidence)}
        (row,) = rows(
            electrode_statistics(known | told, {0: 10**6}, spacing_um=(1, 1, 1)), statistic
        )
        return float(row["std"])  # type: ignore[arg-type]

    # of a median of N from a normal distribution: sigma sqrt(pi / 2 N)
    expected = np.sqrt(np.pi / 800)
    assert error(None, "diameter_d50_number") == pytest.approx(expected, rel=0.15)
    assert error(None, "diameter_d50_number") == error(1.0, "diameter_d50_number")
    for statistic in ("diameter_d50_number", "diameter_d50_volume"):
        wider = error(0.25, statistic) / error(1.0, statistic)
        assert wider == pytest.approx(2, rel=0.3)
    assert np.isnan(error(None, "diameter_geometric_mean"))


def test_population(found: dict[str, np.ndarray]) -> None:
    volumes = particles()["volume_um3"]
    assert value(found, "particle_count") == 6
    assert value(found, "particle_count_whole") == 5
    assert value(found, "border_volume_share") == pytest.approx(volumes[-1] / volumes.sum())
    assert value(found, "particle_volume_fraction") == pytest.approx(volumes.sum() / 1000)
    assert value(found, "diameter_d50_number") == 3
    assert 3 < value(found, "diameter_d50_volume") < 5
    (mean,) = rows(found, "diameter_mean")
    assert (mean["value"], mean["unit"], mean["count"]) == (3, "µm", 5)
    assert mean["std"] == pytest.approx(np.sqrt(2))


def test_means_leave_out_the_border_and_what_is_unknown(found: dict[str, np.ndarray]) -> None:
    (damage,) = rows(found, "damage_mean")
    assert damage["value"] == pytest.approx(0.175)
    assert damage["count"] == 4
    cubes = np.array([1, 8, 27, 125])
    assert value(found, "damage_mean_volume") == pytest.approx(
        cubes @ [0, 0.1, 0.2, 0.4] / cubes.sum()
    )
    assert value(found, "detachment_mean") == pytest.approx(0.5)
    (absent,) = rows(found, "packing_density_mean")
    assert np.isnan(absent["value"])
    assert absent["count"] == 0


def test_profiles(found: dict[str, np.ndarray]) -> None:
    depth = rows(found, "damage_against_depth")
    assert len(depth) == 10
    assert [row["count"] for row in depth] == [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]
    assert (depth[2]["bin_lower"], depth[2]["bin_upper"]) == pytest.approx((0.2, 0.3))
    assert depth[2]["value"] == pytest.approx(0.2)
    assert depth[-1]["value"] == pytest.approx(0.4)  # depth 1 belongs to the last class
    size = rows(found, "detachment_against_size")
    assert sum(row["count"] for row in size) == 5
    assert (size[0]["bin_lower"], size[-1]["bin_upper"]) == (1, 5)


def test_an_electrode_without_particles() -> None:
    none = {name: values[:0] for name, values in particles().items()}
    found = electrode_statistics(none, {0: 10}, spacing_um=(1, 1, 1))
    assert value(found, "particle_count") == 0
    assert value(found, "phase_fraction_0") == 1
    assert np.isnan(value(found, "porosity"))
    assert np.isnan(value(found, "diameter_d50_volume"))
    assert len(rows(found, "damage_against_depth")) == 10
    assert electrode_statistics({}, {}, spacing_um=(1, 1, 1))["statistic"].size


def test_doubling_the_spacing_doubles_nothing_but_the_volume_around() -> None:
    one = electrode_statistics(particles(), PHASES, spacing_um=(1, 1, 1))
    two = electrode_statistics(particles(), PHASES, spacing_um=(2, 2, 2))
    ratio = value(one, "particle_volume_fraction") / value(two, "particle_volume_fraction")
    assert ratio == pytest.approx(8)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidVolumeError, match="differ in length"):
        electrode_statistics({**particles(), "damage": np.zeros(3)}, PHASES, spacing_um=(1, 1, 1))
    with pytest.raises(InvalidVolumeError, match="negative"):
        electrode_statistics(particles(), {0: -1}, spacing_um=(1, 1, 1))
    with pytest.raises(InvalidVolumeError, match="spacing"):
        electrode_statistics(particles(), PHASES, spacing_um=(1, 0, 1))
