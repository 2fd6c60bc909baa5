"""Synthetic electrodes: what is planted is what direct counting of the voxels finds."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label as connected_components

from models.phantoms.binder import Coats
from models.phantoms.cracks import Cracks, DamageLaw
from models.phantoms.electrode import ElectrodeBlock, ElectrodePlan, plan, render
from models.phantoms.electrode_config import (
    ElectrodePhantom,
    cycled_electrode,
    published_size_electrode,
)
from models.phantoms.electrode_voxels import BODY, CRACK, Grid, Particles, particle_voxels
from models.phantoms.packing import PackingError
from models.phantoms.particle_shape import radial_distances, surface_points

PORE, ACTIVE, BINDER, COLLECTOR = range(4)
CONFIG = cycled_electrode(50, seed=1)
SMALL = ElectrodePhantom(
    seed=3,
    shape_voxels=(40, 56, 48),
    voxel_size_um=(0.5, 0.4, 0.45),
    diameter_um=7.0,
    collector_um=1.5,
    separator_um=1.0,
)


def _counted_um3(labels: np.ndarray, made: ElectrodePlan) -> np.ndarray:
    voxels = np.bincount(labels.ravel(), minlength=len(made.truth["label"]) + 1)[1:]
    return voxels * np.prod(made.config.voxel_size_um)


@pytest.fixture(scope="module")
def made() -> ElectrodePlan:
    return plan(CONFIG)


@pytest.fixture(scope="module")
def voxels(made: ElectrodePlan) -> tuple[np.ndarray, np.ndarray]:
    block = render(made)
    return block.labels, block.phases


@pytest.fixture(scope="module")
def filled() -> np.ndarray:
    """Labels of the same particles before any cracked."""
    return render(plan(dataclasses.replace(CONFIG, damage=DamageLaw(level=0)))).labels


@pytest.fixture(scope="module")
def small() -> ElectrodePlan:
    return plan(SMALL)


@pytest.fixture(scope="module")
def small_block(small: ElectrodePlan) -> ElectrodeBlock:
    return render(small)


# --- the whole ------------------------------------------------------------------------------------


def test_the_demo_has_some_two_hundred_particles_of_the_stated_size(made: ElectrodePlan) -> None:
    truth = made.truth
    n = len(truth["label"])
    assert 150 <= n <= 250
    np.testing.assert_array_equal(truth["label"], np.arange(1, n + 1))
    assert np.median(truth["equivalent_diameter_um"]) == pytest.approx(8, rel=0.08)
    assert np.log(truth["equivalent_diameter_um"]).std() == pytest.approx(0.2, rel=0.2)


def test_labels_and_phases_agree(
    made: ElectrodePlan, voxels: tuple[np.ndarray, np.ndarray]
) -> None:
    labels, phases = voxels
    assert labels.shape == phases.shape == CONFIG.shape_voxels
    assert labels.dtype == np.uint16
    assert phases.dtype == np.uint8
    np.testing.assert_array_equal(labels > 0, phases == ACTIVE)
    np.testing.assert_array_equal(np.unique(labels[labels > 0]), made.truth["label"])
    assert np.all(phases[:10] == COLLECTOR)
    assert not np.any(phases[10:] == COLLECTOR)


def test_phases_have_the_stated_shares(
    made: ElectrodePlan, voxels: tuple[np.ndarray, np.ndarray], filled: np.ndarray
) -> None:
    phases = voxels[1]
    slot = slice(10, 128 - 6)
    assert np.mean(filled[slot] > 0) == pytest.approx(CONFIG.solid_fraction, abs=0.06)
    assert np.mean(phases[slot] == BINDER) == pytest.approx(CONFIG.binder_fraction, abs=0.03)
    assert not np.any(filled[128 - 6 :])
    low, high = CONFIG.electrode_extent_um
    assert (low, high) == pytest.approx((9.5 * 0.35, 121.5 * 0.35))


def test_particles_touch_but_do_not_overlap_by_more_than_a_voxel(made: ElectrodePlan) -> None:
    centres, reach, shapes, _, _ = made.particles
    touching = np.zeros(len(centres), dtype=int)
    for i in range(len(centres)):
        surface = centres[i] + surface_points(shapes, i, 400)[1]
        for j in np.flatnonzero(np.linalg.norm(centres - centres[i], axis=1) < reach + reach[i]):
            if j != i:
                depth = -radial_distances(shapes, np.full(400, j), surface - centres[j]).min()
                assert depth < 0.35
                touching[i] += depth > 0
    assert 2 < touching.mean() < 8


def test_counted_volumes_are_the_analytic_ones(
    made: ElectrodePlan, voxels: tuple[np.ndarray, np.ndarray], filled: np.ndarray
) -> None:
    truth = made.truth
    whole = truth["inside_fraction"] == 1
    body_um3 = truth["volume_um3"] - truth["crack_volume_um3"]
    np.testing.assert_allclose(
        _counted_um3(filled, made)[whole], truth["volume_um3"][whole], rtol=0.01
    )
    np.testing.assert_allclose(_counted_um3(voxels[0], made)[whole], body_um3[whole], rtol=0.015)
    np.testing.assert_allclose(
        _counted_um3(filled, made) / truth["volume_um3"], truth["inside_fraction"], atol=0.025
    )


def test_planted_damage_is_counted(
    made: ElectrodePlan, voxels: tuple[np.ndarray, np.ndarray], filled: np.ndarray
) -> None:
    truth = made.truth
    whole = truth["inside_fraction"] == 1
    assert not np.any((voxels[0] > 0) & (voxels[0] != filled))  # cracks only take away
    counted = 1 - _counted_um3(voxels[0], made) / _counted_um3(filled, made)
    error = (counted - truth["damage"])[whole]
    assert np.abs(error).max() < 0.008  # cracks are two voxels wide: sampling, see the finer grid
    assert error.std() < 0.002
    assert error.mean() == pytest.approx(0, abs=3e-4)
    opens = truth["crack_opens"]
    assert 0.1 < opens.mean() < 0.4
    assert np.all(voxels[1][(filled > 0) & (voxels[0] == 0)] == PORE)


def test_on_a_finer_grid_volume_and_damage_are_the_formula_s(made: ElectrodePlan) -> None:
    truth, all_ = made.truth, made.particles
    opens, closed = (np.flatnonzero(truth["crack_opens"] == kind)[:2] for kind in (True, False))
    for i in np.concatenate([opens, closed]):
        cracks = Cracks(*(part[[i]] for part in all_.cracks))
        coats = Coats(*(part[[i]] for part in all_.coats))
        alone = Particles(
            np.zeros((1, 3)), all_.reach_um[[i]], all_.shapes.take(np.array([i])), cracks, coats
        )
        n = int(2 * all_.reach_um[i] / 0.1) + 4
        grid = Grid(np.full(3, -n // 2), np.full(3, 0.1))
        _, role = particle_voxels(alone, grid, (n,) * 3, coat_um=0.1)
        body_voxels, crack_voxels = np.count_nonzero(role == BODY), np.count_nonzero(role == CRACK)
        whole = body_voxels + crack_voxels
        assert whole * 1e-3 == pytest.approx(truth["volume_um3"][i], rel=0.001)
        assert crack_voxels / whole == pytest.approx(truth["damage"][i], abs=5e-4)


def test_only_open_cracks_reach_the_surface_and_no_particle_falls_apart(
    made: ElectrodePlan, voxels: tuple[np.ndarray, np.ndarray], filled: np.ndarray
) -> None:
    labels = voxels[0]
    crack = (filled > 0) & (labels == 0)
    edge = np.zeros_like(crack)
    for axis in range(3):
        step = np.diff(filled, axis=axis) != 0
        lower = [slice(None)] * 3
        upper = [slice(None)] * 3
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        edge[tuple(lower)] |= step
        edge[tuple(upper)] |= step
    inside = made.truth["inside_fraction"] == 1
    reached = np.zeros(len(inside) + 1, dtype=bool)
    reached[filled[crack & edge]] = True
    np.testing.assert_array_equal(reached[1:][inside], made.truth["crack_opens"][inside])
    for number in made.truth["label"][inside][:20]:
        assert connected_components(labels == number)[1] == 1


def test_planted_detachment_is_counted(
    made: ElectrodePlan, voxels: tuple[np.ndarray, np.ndarray], filled: np.ndarray
) -> None:
    """Share of the outer voxel faces with neither binder nor a particle behind them."""
    phases = voxels[1]
    n = len(made.truth["label"]) + 1
    faces, bare = np.zeros(n), np.zeros(n)
    for axis in range(3):
        for own, other in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
            here, there = [slice(None)] * 3, [slice(None)] * 3
            here[axis], there[axis] = own, other
            mine, theirs = filled[tuple(here)], filled[tuple(there)]
            outer = (mine > 0) & (mine != theirs)
            lone = outer & (theirs == 0) & (phases[tuple(there)] != BINDER)
            faces += np.bincount(mine[outer], minlength=n)
            bare += np.bincount(mine[lone], minlength=n)
    whole = made.truth["inside_fraction"] == 1
    counted, truth = (bare[1:] / faces[1:])[whole], made.truth["detachment"][whole]
    np.testing.assert_allclose(counted, truth, atol=0.05)
    assert counted.mean() == pytest.approx(truth.mean(), abs=0.01)
    assert np.corrcoef(counted, truth)[0, 1] > 0.99
    planted = made.truth["detachment_planted"]
    assert planted.mean() == pytest.approx(CONFIG.detachment_mean, abs=0.03)
    assert planted.std() == pytest.approx(CONFIG.detachment_spread, rel=0.2)
    # neighbours and their coats hide part of what the coat leaves bare
    assert np.corrcoef(planted[whole], truth)[0, 1] > 0.9


def test_touches_border_is_what_the_faces_show(
    made: ElectrodePlan, voxels: tuple[np.ndarray, np.ndarray]
) -> None:
    labels = voxels[0]
    inner = labels.copy()
    inner[1:-1, 1:-1, 1:-1] = 0
    cut = np.isin(made.truth["label"], inner)
    np.testing.assert_array_equal(made.truth["touches_border"], cut)
    assert 0.2 < cut.mean() < 0.7


def test_centroids_and_depths(made: ElectrodePlan, filled: np.ndarray) -> None:
    truth = made.truth
    low, high = CONFIG.electrode_extent_um
    for i in np.flatnonzero(truth["inside_fraction"] == 1)[::10]:
        centre = np.argwhere(filled == i + 1).mean(axis=0) * CONFIG.voxel_size_um
        expected = [truth[name][i] for name in ("z_um", "y_um", "x_um")]
        np.testing.assert_allclose(centre, expected, atol=0.05)
        assert truth["depth_fraction"][i] == pytest.approx(
            (centre[0] - low) / (high - low), abs=0.01
        )
    assert np.all((truth["depth_fraction"] > 0) & (truth["depth_fraction"] < 1))


# --- blocks, seeds, sides -------------------------------------------------------------------------


@given(
    corner=st.tuples(*(st.integers(0, n - 1) for n in SMALL.shape_voxels)), size=st.integers(1, 30)
)
@settings(max_examples=25, deadline=None)
def test_a_block_is_part_of_the_whole(
    small: ElectrodePlan,
    small_block: ElectrodeBlock,
    corner: tuple[int, int, int],
    size: int,
) -> None:
    part = tuple(slice(c, c + size) for c in corner)
    block = render(small, part)
    np.testing.assert_array_equal(block.labels, small_block.labels[part])
    np.testing.assert_array_equal(block.phases, small_block.phases[part])


def test_same_configuration_same_voxels(small: ElectrodePlan) -> None:
    again = plan(SMALL)
    np.testing.assert_array_equal(render(small).phases, render(again).phases)
    for name, column in small.truth.items():
        np.testing.assert_array_equal(column, again.truth[name])
    other = plan(dataclasses.replace(SMALL, seed=4))
    assert not np.array_equal(render(small).phases, render(other).phases)


def test_the_collector_may_be_at_the_other_end() -> None:
    turned = plan(dataclasses.replace(SMALL, collector_side="z_high"))
    phases = render(turned).phases
    assert np.all(phases[-3:] == COLLECTOR)
    assert not np.any(phases[:-3] == COLLECTOR)
    truth = turned.truth
    assert np.corrcoef(truth["depth_fraction"], truth["z_um"])[0, 1] == pytest.approx(-1)


def test_extremes_of_detachment_and_binder() -> None:
    settings_ = {"detachment_spread": 0.0, "binder_fraction": 0.0}
    bare = plan(dataclasses.replace(SMALL, detachment_mean=1.0, **settings_))
    assert not np.any(render(bare).phases == BINDER)
    coated = plan(dataclasses.replace(SMALL, detachment_mean=0.0, **settings_))
    lifted = coated.truth["z_um"] > SMALL.electrode_extent_um[0] + 7  # clear of the collector
    assert np.all(coated.truth["detachment"][lifted] == 0)
    assert np.all(bare.truth["detachment"] > 0.5)


# --- the law of damage ----------------------------------------------------------------------------


def test_damage_at_ten_cycles_follows_depth_and_at_fifty_is_higher_and_more_uniform(
    made: ElectrodePlan,
) -> None:
    early, late = plan(cycled_electrode(10, seed=1)).truth, made.truth
    np.testing.assert_array_equal(early["x_um"], late["x_um"])
    assert 1.5 * early["damage"].mean() < late["damage"].mean()
    assert late["damage"].std() / late["damage"].mean() < 0.6 * (
        early["damage"].std() / early["damage"].mean()
    )
    by_depth = [np.polyfit(t["depth_fraction"], t["damage"], 1)[0] for t in (early, late)]
    assert by_depth[0] / early["damage"].mean() > 2 * by_depth[1] / late["damage"].mean() > 0


def test_the_law_is_what_it_says() -> None:
    law = DamageLaw(level=0.1, depth_slope=1, size_slope=0.5, coupling=0.5, noise=0.3)
    depth, size = np.array([0.0, 1.0]), np.array([0.0, 0.2])
    expected = law.expected(depth, size, np.zeros(2), np.array([[1], [0]]))
    np.testing.assert_allclose(expected, (0.05 + 0.16) / 2)
    crowded = DamageLaw(level=0.1, depth_slope=0, size_slope=0, crowding_slope=2, coupling=0)
    none, log_crowding = np.zeros(2), np.array([0.0, 0.5])
    own = crowded.expected(none, none, log_crowding, np.array([[1], [0]]))
    np.testing.assert_allclose(own, [0.1, 0.2])
    drawn = law.draw(np.full(20_000, 0.1), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(0.1, rel=0.01)
    assert np.log(drawn).std() == pytest.approx(0.3, rel=0.02)


def test_very_damaged_particles_hold_what_they_can() -> None:
    law = DamageLaw(level=0.9, depth_slope=0, size_slope=0, coupling=0, noise=0)
    damage = plan(dataclasses.replace(SMALL, damage=law)).truth["damage"]
    assert np.all((damage > 0.1) & (damage < 0.4))


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"solid_fraction": 0.7}, "solid_fraction"),
        ({"seed": -1}, "seed"),
        ({"shape_voxels": (8, 64, 64)}, "shape_voxels"),
        ({"diameter_um": 3.0}, "less than 8 voxels"),
        ({"collector_um": 14.0}, "no particle fits"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SMALL, **change)


def test_a_slot_too_low_for_a_particle_and_a_block_with_steps_are_refused(
    small: ElectrodePlan,
) -> None:
    with pytest.raises(PackingError, match="higher than"):
        plan(dataclasses.replace(SMALL, diameter_um=16, diameter_spread=0.3))
    with pytest.raises(ValueError, match="steps of 1"):
        render(small, (slice(0, 4, 2), slice(None), slice(None)))
    with pytest.raises(ValueError, match="10 or 50"):
        cycled_electrode(20)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_volume_of_the_published_size_is_rendered_block_by_block() -> None:
    made = plan(published_size_electrode())
    truth = made.truth
    assert 1700 <= len(truth["label"]) <= 2400
    whole = np.flatnonzero(truth["inside_fraction"] == 1)[:3]
    for i in whole:
        centre = np.array([truth[name][i] for name in ("z_um", "y_um", "x_um")]) / 0.1
        half = truth["axis_major_um"][i] / 0.2 * 1.3 + 3
        block = tuple(slice(max(int(c - half), 0), int(c + half)) for c in centre)
        counted = np.count_nonzero(render(made, block).labels == i + 1) * 1e-3
        expected = truth["volume_um3"][i] - truth["crack_volume_um3"][i]
        assert counted == pytest.approx(expected, rel=0.01)
