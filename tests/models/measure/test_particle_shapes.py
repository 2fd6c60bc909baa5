"""Attributes of particles in volumes: shapes and electrodes whose answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from models.measure.particles_3d import MeasureOptions, measure_particles_3d
from models.phantoms.electrode import plan, render
from models.phantoms.electrode_config import ElectrodePhantom
from models.phantoms.solids import (
    ball,
    ball_with_binder,
    ellipsoid,
    penny_cracked_ball,
    random_rotation,
    slit_ball,
    touching_pair,
)

UNIT = (1.0, 1.0, 1.0)
SPACINGS = [UNIT, (0.2, 0.1, 0.1), (0.1, 0.12, 0.15)]
WHOLE = MeasureOptions(conduction=False)


def _shape(extent_um: float, spacing_um: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(math.ceil(extent_um / step) + 3 for step in spacing_um)


@pytest.mark.parametrize("spacing_um", SPACINGS)
@pytest.mark.parametrize("voxels", [8, 17])
def test_ball(voxels: float, spacing_um: tuple[float, float, float]) -> None:
    radius = voxels * max(spacing_um)
    body, truth = ball(_shape(2 * radius, spacing_um), spacing_um=spacing_um, radius_um=radius)
    particles = measure_particles_3d(body, spacing_um=spacing_um).particles
    (row,) = np.array(list(zip(*particles.values(), strict=True)))
    found = dict(zip(particles, row, strict=True))
    assert [found[name] for name in ("z_um", "y_um", "x_um")] == pytest.approx(
        truth.centre_um, abs=0.05 * max(spacing_um)
    )
    assert found["volume_um3"] == pytest.approx(truth.volume_um3, rel=0.015)
    assert found["surface_outer_um2"] == pytest.approx(truth.surface_um2, rel=0.015)
    assert found["equivalent_diameter_um"] == pytest.approx(2 * radius, rel=0.005)
    assert found["axis_major_um"] == pytest.approx(2 * radius, rel=0.01)
    assert found["sphericity"] == pytest.approx(1, rel=0.04)
    assert found["sphericity_wadell"] == pytest.approx(1, rel=0.015)
    assert found["vs_ratio"] == pytest.approx((36 * math.pi) ** (-1 / 6), rel=0.01)
    assert found["damage"] == found["crack_volume_um3"] == found["surface_inner_um2"] == 0
    assert 0.97 < found["roughness_outer"] < 1.01
    assert math.isnan(found["roughness_inner"])
    assert math.isnan(found["yaw_deg"])
    assert found["contact_fraction"] == 0


@pytest.mark.parametrize("spacing_um", SPACINGS)
def test_ellipsoid(spacing_um: tuple[float, float, float]) -> None:
    size = max(spacing_um)
    semi_axes = (9 * size, 13 * size, 20 * size)  # long along x before the rotation
    for seed in range(2):
        turn = random_rotation(seed)
        body, truth = ellipsoid(
            _shape(42 * size, spacing_um),
            spacing_um=spacing_um,
            semi_axes_um=semi_axes,
            rotation=turn,
        )
        found = measure_particles_3d(body, spacing_um=spacing_um).particles
        axes = [found[f"axis_{name}_um"][0] for name in ("major", "middle", "minor")]
        assert axes == pytest.approx(truth.axes_um, rel=0.01)
        assert found["elongation"][0] == pytest.approx(truth.elongation, rel=0.01)
        assert found["surface_outer_um2"][0] == pytest.approx(truth.surface_um2, rel=0.03)
        assert found["sphericity"][0] == pytest.approx(truth.sphericity, rel=0.05)
        yaw, pitch = np.radians([found["yaw_deg"][0], found["pitch_deg"][0]])
        long = (-math.sin(pitch), math.sin(yaw) * math.cos(pitch), math.cos(yaw) * math.cos(pitch))
        assert abs(np.dot(long, turn[:, 2])) == pytest.approx(1, abs=1e-3)
        assert found["damage"][0] < 0.001


@pytest.mark.parametrize("spacing_um", SPACINGS)
def test_cracks(spacing_um: tuple[float, float, float]) -> None:
    size = max(spacing_um)
    shape = _shape(44 * size, spacing_um)
    common = {"spacing_um": spacing_um, "radius_um": 20 * size, "rotation": random_rotation(5)}
    for body, truth in (
        penny_cracked_ball(shape, crack_radius_um=14 * size, opening_um=4 * size, **common),
        slit_ball(shape, opening_um=4 * size, **common),
    ):
        found = measure_particles_3d(body, spacing_um=spacing_um).particles
        assert found["damage"][0] == pytest.approx(truth.damage, abs=0.005)
        assert found["volume_um3"][0] == pytest.approx(truth.volume_um3, rel=0.01)
        assert found["body_volume_um3"][0] == pytest.approx(truth.body_volume_um3, rel=0.01)
        assert found["surface_outer_um2"][0] == pytest.approx(truth.surface_outer_um2, rel=0.015)
        assert found["surface_inner_um2"][0] == pytest.approx(truth.surface_inner_um2, rel=0.08)
        surface = truth.surface_outer_um2 + truth.surface_inner_um2
        assert found["sphericity"][0] == pytest.approx(
            36 * math.pi * truth.volume_um3**2 / surface**3, rel=0.06
        )
        assert found["axis_major_um"][0] == pytest.approx(40 * size, rel=0.01)
        assert 0.9 < found["roughness_inner"][0] < 1.03


def test_rough_surfaces_are_further_from_one() -> None:
    body, _ = ball((40, 40, 40), spacing_um=UNIT, radius_um=15)
    z, y, x = np.indices(body.shape)
    pits = (z + y + x) % 3 == 0
    inner, _ = ball((40, 40, 40), spacing_um=UNIT, radius_um=13.5)
    roughness = [
        measure_particles_3d(
            labels, spacing_um=UNIT, options=replace(WHOLE, closing_radius_um=0.1)
        ).particles["roughness_outer"][0]
        for labels in (body, inner | (body & ~pits))
    ]
    assert roughness[1] < 0.9 < roughness[0] <= 1.01


@pytest.mark.parametrize("spacing_um", SPACINGS)
@pytest.mark.parametrize("covered", [0.0, 0.2, 0.5, 1.0])
def test_detachment(covered: float, spacing_um: tuple[float, float, float]) -> None:
    size = max(spacing_um)
    labels, phases, truth = ball_with_binder(
        _shape(42 * size, spacing_um),
        spacing_um=spacing_um,
        radius_um=17 * size,
        covered=covered,
        thickness_um=3.5 * size,
    )
    found = measure_particles_3d(labels, spacing_um=spacing_um, phases=phases).particles
    assert found["detachment"][0] == pytest.approx(truth.detachment, abs=0.02)
    assert math.isnan(found["conduction_path_mean_um"][0]) == (covered == 0)
    if covered == 1:
        assert found["conduction_path_mean_um"][0] == pytest.approx(17 * size / 4, rel=0.02)
        assert found["conduction_path_max_um"][0] == pytest.approx(17 * size, rel=0.02)


@pytest.mark.parametrize("spacing_um", SPACINGS)
def test_touching_pair(spacing_um: tuple[float, float, float]) -> None:
    size = max(spacing_um)
    labels, truth = touching_pair(
        _shape(66 * size, spacing_um),
        spacing_um=spacing_um,
        radii_um=(18 * size, 15 * size),
        distance_um=26 * size,
    )
    measured = measure_particles_3d(labels, spacing_um=spacing_um, phases=labels * 0)
    found = measured.particles
    assert found["contact_fraction"] == pytest.approx(truth.contact_fractions, abs=0.02)
    assert found["detachment"] == pytest.approx(1 - found["contact_fraction"])
    assert measured.contacts["label_a"].tolist() == [1]
    assert measured.contacts["label_b"].tolist() == [2]
    assert measured.contacts["contact_area_um2"] == pytest.approx(
        [truth.contact_area_um2], rel=0.08
    )
    centres = [found[name] for name in ("z_um", "y_um", "x_um")]
    apart = np.linalg.norm(np.diff(centres, axis=1))
    assert found["distance_nearest_um"] == pytest.approx([apart, apart])
    assert found["neighbours"].tolist() == [1, 1]


def test_contact_ring() -> None:
    labels = np.zeros((20, 20, 20), np.int32)
    labels[8:12, 8:12, 4:8], labels[:, :, 10:] = 5, 9
    options = MeasureOptions(contact_ring_um=3.0)
    found = measure_particles_3d(labels, spacing_um=UNIT, options=options).particles
    z, y, x = (np.maximum(np.maximum(8 - i, i - 11), 0) for i in np.indices(labels.shape))
    x = np.maximum(np.maximum(4 - np.arange(20), np.arange(20) - 7), 0)
    ring = (z**2 + y**2 + x**2 <= 9) & (labels != 5)
    assert found["contact_fraction_ring"][0] == (labels[ring] == 9).mean()
    assert found["contact_fraction"][0] == 0


def test_boundary_voxels_replay_a_count() -> None:
    labels = np.zeros((14, 14, 14), np.int32)
    labels[2:12, 2:12, 2:12] = 1
    labels[5:8, 5:8, 5:8] = 0
    labels[2:12, 2:12, 12] = 2
    options = MeasureOptions(surface_estimator="boundary_voxels")
    found = measure_particles_3d(labels, spacing_um=(0.5,) * 3, options=options).particles
    assert found["surface_outer_um2"].tolist() == [(1000 - 512) / 4, 100 / 4]
    assert found["surface_inner_um2"].tolist() == [54 / 4, 0]
    assert found["contact_fraction"][0] == 100 / (1000 - 512)


@pytest.mark.slow
@pytest.mark.parametrize("voxel_size_um", [(0.35, 0.35, 0.35), (0.5, 0.25, 0.25)])
def test_electrode_of_known_truth(voxel_size_um: tuple[float, float, float]) -> None:
    config = ElectrodePhantom(seed=3, shape_voxels=(112, 200, 200), voxel_size_um=voxel_size_um)
    drawn = plan(config)
    block = render(drawn)
    found = measure_particles_3d(
        block.labels,
        spacing_um=voxel_size_um,
        phases=block.phases,
        options=MeasureOptions(electrode_extent_um=config.electrode_extent_um),
    ).particles
    at = np.searchsorted(drawn.truth["label"], found["label"])
    whole = ~found["touches_border"]
    assert whole.sum() > 50
    for name, bound in {
        "z_um": 0.02,
        "depth_fraction": 0.001,
        "damage": 0.006,
        "detachment": 0.03,
        "elongation": 0.03,
    }.items():
        departure = found[name] - drawn.truth[name][at]
        assert np.abs(departure[whole]).max() < bound, name
    for name in ("volume_um3", "surface_outer_um2", "axis_major_um", "axis_minor_um"):
        departure = found[name] / drawn.truth[name][at] - 1
        assert np.abs(departure[whole]).max() < 0.02, name
