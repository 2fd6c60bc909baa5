"""Tables of particles in volumes: columns, invariances, chunks, empty and odd input."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import zarr

from models.measure.arrays import InvalidVolumeError
from models.measure.particles_3d import Measured3D, MeasureOptions, measure_particles_3d
from models.phantoms.solids import ellipsoid, random_rotation

UNIT = (1.0, 1.0, 1.0)
WHOLE = MeasureOptions(conduction=False)
INTEGERS = {"label", "voxels", "neighbours", "grey_not_finite_voxels"}
NAMES = """
    x_um y_um z_um yaw_deg pitch_deg roll_deg electron_density_mean electron_density_mean_body
    electron_density_std homogeneity surface_inner_um2 surface_outer_um2 volume_um3 body_volume_um3
    crack_volume_um3 damage axis_major_um axis_middle_um axis_minor_um elongation
    equivalent_diameter_um sphericity sphericity_wadell vs_ratio roughness_inner roughness_outer
    contact_fraction contact_fraction_ring packing_density packing_clipped_fraction
    distance_nearest_um elongation_std_neighbours volume_std_neighbours_um3
    sphericity_std_neighbours orientation_isotropy orientation_std_neighbours_deg detachment
    conduction_path_mean_um conduction_path_max_um touches_border depth_fraction
"""
COLUMNS = INTEGERS | set(NAMES.split())


@pytest.fixture(scope="module")
def scene() -> dict[str, np.ndarray]:
    """Seven cracked ellipsoids, coated in part, one of them cut by the border."""
    shape = (40, 48, 56)
    labels = np.zeros(shape, np.int32)
    phases = np.zeros(shape, np.uint8)
    centres = [(9, 10, 10), (9, 24, 28), (10, 38, 44), (28, 12, 40), (27, 30, 12), (27, 37, 32)]
    for number, centre in enumerate([*centres, (39, 20, 26)], start=1):
        turn = random_rotation(number)
        grid = {"spacing_um": UNIT, "centre_um": centre, "rotation": turn}
        body, _ = ellipsoid(shape, semi_axes_um=(7, 8, 9.5), **grid)
        coat, _ = ellipsoid(shape, semi_axes_um=(9, 10, 11.5), **grid)
        slit, _ = ellipsoid(shape, semi_axes_um=(1.2, 5, 9), **grid)
        phases[coat & (np.indices(shape)[number % 3] > centre[number % 3])] = 2
        labels[body & ~slit & (labels == 0)] = number * 3
    phases[labels > 0] = 1
    grey = np.random.default_rng(1).normal(1.3, 0.1, shape).astype(np.float32) * (labels > 0)
    grey[::5, ::4, ::3] = np.nan
    return {"labels": labels, "phases": phases, "grey": grey}


OPTIONS = MeasureOptions(packing_cube_um=30, contact_ring_um=3.0)


@pytest.fixture(scope="module")
def measured(scene: dict[str, np.ndarray]) -> Measured3D:
    return _measure(scene)


def _measure(scene: dict[str, np.ndarray], **more: object) -> Measured3D:
    arguments = {"spacing_um": UNIT, "options": OPTIONS} | more
    return measure_particles_3d(
        scene["labels"], grey=scene["grey"], phases=scene["phases"], **arguments
    )


def _assert_equal(
    found: Measured3D, expected: Measured3D, ignored: set[str] | None = None, rel: float = 1e-9
) -> None:
    for mine, theirs in (
        (found.particles, expected.particles),
        (found.contacts, expected.contacts),
    ):
        assert mine.keys() == theirs.keys()
        for name in mine.keys() - (ignored or set()):
            assert mine[name] == pytest.approx(theirs[name], rel=rel, abs=1e-9, nan_ok=True), name


def test_columns_and_types(measured: Measured3D) -> None:
    particles = measured.particles
    assert particles.keys() == COLUMNS
    for name, column in particles.items():
        kind = np.int64 if name in INTEGERS else np.float64
        assert column.dtype == (bool if name == "touches_border" else kind), name
        assert len(column) == 7
    assert particles["label"].tolist() == [3, 6, 9, 12, 15, 18, 21]
    assert not any(np.isinf(column).any() for column in particles.values())


def test_scene_is_within_bounds(measured: Measured3D) -> None:
    found = measured.particles
    assert (found["damage"] > 0.02).all()
    assert (found["damage"] < 0.2).all()
    assert found["volume_um3"] == pytest.approx(
        found["body_volume_um3"] + found["crack_volume_um3"]
    )
    for name in ("detachment", "contact_fraction", "contact_fraction_ring", "packing_density"):
        assert ((found[name] >= 0) & (found[name] <= 1)).all(), name
    assert (found["conduction_path_max_um"] >= found["conduction_path_mean_um"]).all()
    assert found["touches_border"].tolist() == [False] * 6 + [True]
    assert found["neighbours"].tolist() == [6] * 7


def test_grey_over_filled_and_body(scene: dict[str, np.ndarray], measured: Measured3D) -> None:
    found = measured.particles
    for at, label in enumerate(found["label"]):
        levels = scene["grey"][scene["labels"] == label].astype(float)
        finite = levels[np.isfinite(levels)]
        assert found["electron_density_mean_body"][at] == pytest.approx(finite.mean())
        assert found["grey_not_finite_voxels"][at] >= levels.size - finite.size > 0
        assert found["electron_density_mean"][at] < finite.mean()  # cracks are dark
    assert found["homogeneity"] == pytest.approx(1 / found["electron_density_std"])


def test_chunked_volumes_give_the_same_table(
    scene: dict[str, np.ndarray], measured: Measured3D
) -> None:
    chunked = {}
    for name, array in scene.items():
        chunked[name] = zarr.create_array(
            store={}, shape=array.shape, chunks=(16, 20, 13), dtype=array.dtype
        )
        chunked[name][:] = array
    _assert_equal(_measure(chunked), measured)


def test_labels_of_other_numbers_and_types(
    scene: dict[str, np.ndarray], measured: Measured3D
) -> None:
    for dtype in (np.uint8, np.uint16, np.int64, np.uint64):
        labels = scene["labels"].astype(dtype)
        _assert_equal(_measure(scene | {"labels": labels}), measured)
    far = np.where(scene["labels"] > 0, 2**40 - scene["labels"].astype(np.int64), 0)
    renamed = _measure(scene | {"labels": far})
    assert (renamed.particles["label"] == 2**40 - measured.particles["label"][::-1]).all()
    for name in COLUMNS - {"label"}:
        assert renamed.particles[name][::-1] == pytest.approx(
            measured.particles[name], nan_ok=True
        ), name


def test_moved(scene: dict[str, np.ndarray]) -> None:
    """Away from the border nothing depends on the place."""
    roomy = {
        name: np.pad(np.where(scene["labels"] == 21, 0, array), 12) for name, array in scene.items()
    }
    options = replace(OPTIONS, packing_cube_um=12)
    here = _measure(roomy, options=options)
    there = {name: np.roll(array, (3, -5, 7), (0, 1, 2)) for name, array in roomy.items()}
    moved = _measure(there, options=options)
    _assert_equal(moved, here, ignored={"z_um", "y_um", "x_um", "depth_fraction"})
    assert moved.particles["y_um"] == pytest.approx(here.particles["y_um"] - 5)


def test_axes_swapped(scene: dict[str, np.ndarray], measured: Measured3D) -> None:
    turned = {name: array.transpose(2, 0, 1) for name, array in scene.items()}
    angles = {"yaw_deg", "pitch_deg", "roll_deg", "orientation_std_neighbours_deg"}
    places = {"x_um", "y_um", "z_um", "depth_fraction"}
    paths = {"conduction_path_mean_um", "conduction_path_max_um"}
    found = _measure(turned)
    _assert_equal(found, measured, ignored=angles | places | paths, rel=2e-3)
    assert found.particles["z_um"] == pytest.approx(measured.particles["x_um"])
    for name in paths:  # ties in the front are broken in another order
        assert found.particles[name] == pytest.approx(measured.particles[name], rel=0.01)
    spacing = (0.2, 0.3, 0.4)
    options = replace(OPTIONS, closing_radius_um=2.0, packing_cube_um=8, contact_ring_um=0.9)
    first = _measure(scene, spacing_um=spacing, options=options)
    second = _measure(turned, spacing_um=(0.4, 0.2, 0.3), options=options)
    _assert_equal(second, first, ignored=angles | places | paths, rel=2e-3)


def test_twice_the_spacing(scene: dict[str, np.ndarray], measured: Measured3D) -> None:
    options = replace(OPTIONS, packing_cube_um=60, contact_ring_um=6.0)
    doubled = _measure(scene, spacing_um=(2, 2, 2), options=options)
    for name, column in measured.particles.items():
        power = {"um": 1, "um2": 2, "um3": 3}.get(name.rsplit("_", 1)[-1], 0)
        power = 3 if name == "volume_std_neighbours_um3" else power
        assert doubled.particles[name] == pytest.approx(column * 2**power, rel=1e-6, nan_ok=True), (
            name
        )
    assert doubled.contacts["contact_area_um2"] == pytest.approx(
        4 * measured.contacts["contact_area_um2"]
    )


def test_a_killed_run_is_taken_up_again(scene: dict[str, np.ndarray], measured: Measured3D) -> None:
    kept: list[np.ndarray] = []
    _measure(scene, keep=kept.append)
    rows = np.concatenate(kept)
    assert sorted(rows["label"]) == measured.particles["label"].tolist()
    again: list[np.ndarray] = []
    _assert_equal(_measure(scene, known=rows[[5, 1, 2]], keep=again.append), measured)
    assert sorted(np.concatenate(again)["label"]) == sorted(rows["label"][[0, 3, 4, 6]])
    _assert_equal(_measure(scene, known=rows, keep=pytest.fail), measured)
    with pytest.raises(ValueError, match="other columns"):
        _measure(scene, known=rows[["label", "crack_voxels"]])


def test_progress_runs_to_the_end(scene: dict[str, np.ndarray]) -> None:
    steps: list[tuple[int, int]] = []
    _measure(scene, progress=lambda done, total: steps.append((done, total)))
    assert all(first <= second for first, second in pairwise(steps))
    assert steps[-1][0] == steps[-1][1]


def test_without_grey_and_phases(scene: dict[str, np.ndarray]) -> None:
    found = measure_particles_3d(scene["labels"], spacing_um=UNIT).particles
    assert found.keys() == COLUMNS
    for name in COLUMNS:
        unknown = name.startswith(("electron", "homogen", "detach", "conduction"))
        if unknown or name == "contact_fraction_ring":
            assert np.isnan(found[name]).all(), name
    assert (found["grey_not_finite_voxels"] == 0).all()


def test_no_particles() -> None:
    labels = np.zeros((4, 5, 6), np.uint16)
    measured = measure_particles_3d(labels, spacing_um=UNIT, grey=labels, phases=labels)
    assert measured.particles.keys() == COLUMNS
    for name, column in measured.particles.items():
        kind = np.int64 if name in INTEGERS else np.float64
        assert column.shape == (0,)
        assert column.dtype == (bool if name == "touches_border" else kind), name
    assert all(len(column) == 0 for column in measured.contacts.values())


def test_one_voxel_and_a_full_volume() -> None:
    labels = np.zeros((3, 3, 3), np.int32)
    labels[1, 1, 1] = 4
    found = measure_particles_3d(labels, spacing_um=UNIT, grey=labels * np.nan).particles
    assert found["volume_um3"].tolist() == [1]
    assert found["elongation"][0] == pytest.approx(1)
    assert found["roughness_outer"].tolist() == [0]
    assert np.isnan(found["electron_density_mean"][0])
    assert found["grey_not_finite_voxels"].tolist() == [1]
    full = np.ones((6, 6, 6), bool)
    found = measure_particles_3d(full, spacing_um=UNIT, phases=full.astype(int)).particles
    assert found["touches_border"].tolist() == [True]
    assert found["damage"].tolist() == [0]
    assert found["packing_density"].tolist() == [1]
    assert np.isnan(found["detachment"]).all()  # nothing but the outside is seen


def test_cut_faces_do_not_count_as_detached() -> None:
    labels = np.zeros((12, 20, 20), np.int32)
    labels[:6, 5:15, 5:15] = 1
    phases = np.where(labels == 0, 2, 1)
    found = measure_particles_3d(labels, spacing_um=UNIT, phases=phases).particles
    assert found["touches_border"].tolist() == [True]
    assert found["detachment"].tolist() == [0]


def test_depth() -> None:
    labels = np.zeros((40, 5, 5), np.int32)
    labels[2:4, 2, 2], labels[19:21, 2, 2], labels[38, 2, 2] = 1, 2, 3
    spacing = (0.5, 0.1, 0.1)
    low = measure_particles_3d(labels, spacing_um=spacing, options=WHOLE).particles
    assert low["depth_fraction"] == pytest.approx([3 / 40, 1 / 2, 38.5 / 40])
    options = replace(WHOLE, collector_side="z_high", electrode_extent_um=(1.25, 11.25))
    high = measure_particles_3d(labels, spacing_um=spacing, options=options).particles
    assert high["depth_fraction"] == pytest.approx([1, 1 - 8.5 / 10, np.nan], nan_ok=True)


def test_refuses() -> None:
    labels = np.ones((3, 3, 3), np.int32)
    with pytest.raises(InvalidVolumeError, match="spacing"):
        measure_particles_3d(labels, spacing_um=(1, 1))
    with pytest.raises(InvalidVolumeError, match="grey has shape"):
        measure_particles_3d(labels, spacing_um=UNIT, grey=np.zeros((2, 3, 3)))
    with pytest.raises(InvalidVolumeError, match="below 0"):
        measure_particles_3d(-labels, spacing_um=UNIT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"closing_radius_um": 0}, "closing_radius_um"),
        ({"packing_cube_um": math.nan}, "packing_cube_um"),
        ({"contact_ring_um": -1}, "contact_ring_um"),
        ({"electrode_extent_um": (2, 1)}, "electrode"),
    ],
)
def test_options_that_are_no_lengths_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidVolumeError, match=message):
        MeasureOptions(**options)
