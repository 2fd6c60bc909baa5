"""Columns go to µm and back without loss, and what lengths decide besides follows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.measure.arrays import InvalidVolumeError
from models.measure.calibration import (
    calibrated,
    crack_places,
    in_units,
    length_power,
    measured,
    spacing_ratios,
)
from models.measure.neighbours import occupancy
from models.measure.particles_3d import MeasureOptions, measure_particles_3d, placement
from models.measure.sweep import sweep_volume
from schemas.fields import FIELDS
from schemas.particle_columns import PARTICLES_3D
from schemas.tables import TABLES

NUMBERS = st.builds(math.copysign, st.floats(1e-12, 1e12), st.sampled_from([-1, 1]))
SIZES = st.floats(1e-4, 1e3)
POWERS = {"z_um": 1, "surface_outer_um2": 2, "volume_um3": 3, "damage": 0}


def shells():
    """Three balls with a hole off their middle, and one without."""
    labels = np.zeros((24, 40, 44), np.uint8)
    at = np.indices(labels.shape).transpose(1, 2, 3, 0)
    for number, centre in enumerate([(11, 10, 10), (12, 28, 12), (11, 20, 32)], start=1):
        labels[np.linalg.norm(at - centre, axis=-1) <= 8] = number
    for centre in [(11, 10, 13), (9, 26, 12)]:
        labels[np.linalg.norm(at - centre, axis=-1) <= 2] = 0
    return labels


@given(st.lists(NUMBERS, min_size=1), st.lists(SIZES, min_size=1, max_size=6))
def test_any_way_through_voxel_sizes_ends_where_it_began(numbers, sizes):
    numbers = np.array([*numbers, 0.0, math.nan])
    start = measured(dict.fromkeys(POWERS, numbers))
    found = start
    for size in sizes:
        found = measured(calibrated(found, size), size)
        for name in POWERS:
            assert found[name].tobytes() == start[name].tobytes()
    # Nor is anything lost of the numbers themselves, to 14 digits.
    for name in POWERS:
        np.testing.assert_allclose(start[name], numbers, rtol=4e-15)


@given(SIZES, SIZES)
def test_columns_follow_by_the_power_of_their_unit(size, factor):
    for name, power in POWERS.items():
        numbers = measured({name: np.array([1.0, math.pi, 1e-7])})
        small, large = (calibrated(numbers, by)[name] for by in (size, size * factor))
        np.testing.assert_allclose(large, small * factor**power, rtol=1e-14)


def test_powers_are_those_of_the_names():
    suffixes = {"_um": 1, "_um2": 2, "_um3": 3}
    for name in (*PARTICLES_3D, *TABLES["contacts"].columns):
        ending = next((s for s in suffixes if name.endswith(s)), "")
        assert length_power(name) == suffixes.get(ending, 0)
        assert (FIELDS[name].unit or "").startswith("µm") == bool(ending)


@given(st.tuples(SIZES, SIZES, SIZES), SIZES)
def test_ratios_stay_where_all_sizes_grow_alike(spacing, factor):
    grown = tuple(step * factor for step in spacing)
    assert spacing_ratios(grown) == pytest.approx(spacing_ratios(spacing), rel=2e-12)
    assert spacing_ratios(spacing)[0] == 1


def test_ratios_of_sizes_as_people_write_them():
    expected = spacing_ratios((0.3, 0.1, 0.1))
    assert expected == pytest.approx((1, 1 / 3, 1 / 3))
    for size in ((0.6, 0.2, 0.2), (0.9, 0.3, 0.3), (2.1, 0.7, 0.7), (0.03, 0.01, 0.01)):
        assert spacing_ratios(size) == expected
    assert spacing_ratios((0.3, 0.1001, 0.1)) != expected
    with pytest.raises(InvalidVolumeError, match="above zero"):
        spacing_ratios((0.3, 0.0, 0.1))


def test_options_in_units():
    options = MeasureOptions(contact_ring_um=2, electrode_extent_um=(-1, 9), phase_binder=7)
    halves = in_units(options, 0.5)
    assert (halves.contact_ring_um, halves.packing_cube_um) == (4, 200)
    assert (halves.electrode_extent_um, halves.closing_radius_um) == ((-2, 18), None)
    assert (halves.phase_binder, halves.conduction) == (7, True)
    some = in_units(options, 0.5, ("contact_ring_um",))
    assert (some.contact_ring_um, some.packing_cube_um) == (4, 100)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 0.4, 0.4)])
def test_placement_follows_from_rows_and_labels(spacing):
    labels = shells()
    options = MeasureOptions(packing_cube_um=9, electrode_extent_um=(1, 20), conduction=False)
    found = measure_particles_3d(labels, spacing_um=spacing, options=options)
    particles = measured(found.particles)
    assert (particles["crack_volume_um3"] > 0).tolist() == [True, True, False]
    swept = sweep_volume(labels)
    places, voxels = crack_places(particles, swept, spacing)
    assert (
        voxels.tolist()
        == np.rint(found.particles["crack_volume_um3"][:2] / np.prod(spacing)).tolist()
    )
    assert places[0] == pytest.approx((11, 10, 13), abs=1.5)
    again = placement(
        particles,
        occupancy(labels, cracks=(places, voxels)),
        spacing_um=spacing,
        options=options,
    )
    direct = placement(particles, found.filled, spacing_um=spacing, options=options)
    for name, values in again.items():
        assert values.tobytes() == direct[name].tobytes()
        np.testing.assert_allclose(values, found.particles[name], rtol=1e-9)
    with pytest.raises(InvalidVolumeError, match="2 particles were measured of 3 labels"):
        crack_places({name: values[:2] for name, values in particles.items()}, swept, spacing)
