"""Grey values of synthetic tomograms: each part of the image is the stated one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from models.phantoms import solids
from models.phantoms.tomography import (
    DENSITIES,
    Tomograph,
    as_uint16,
    particle_densities,
    tomogram,
)

SPACING_UM = (0.4, 0.4, 0.4)
IDEAL = Tomograph(particle_std=0, blur_voxels=0, fringe=0, ring_share=0, noise_std=0)


def _ball() -> tuple[np.ndarray, np.ndarray]:
    labels, phases, _ = solids.ball_with_binder(
        (32, 40, 36), spacing_um=SPACING_UM, radius_um=4, covered=0.4, thickness_um=1.2
    )
    return labels, phases


LABELS, PHASES = _ball()


def test_an_ideal_tomograph_shows_the_densities() -> None:
    grey = tomogram(LABELS, PHASES, IDEAL)
    assert grey.dtype == np.float32
    for phase in range(3):
        np.testing.assert_allclose(grey[phase == PHASES], DENSITIES[phase], rtol=1e-6)


def test_particles_have_their_own_density() -> None:
    given_ = np.array([0, 1.2], dtype=np.float32)
    grey = tomogram(LABELS, PHASES, IDEAL, density_by_label=given_)
    np.testing.assert_allclose(grey[LABELS == 1], 1.2)
    drawn = particle_densities(Tomograph(seed=3), 5000)
    assert drawn.mean() == pytest.approx(DENSITIES[1], abs=0.003)
    assert drawn.std() == pytest.approx(0.05, rel=0.05)
    np.testing.assert_array_equal(drawn[:10], particle_densities(Tomograph(seed=3), 9))


def test_the_stated_noise_is_in_the_tomogram() -> None:
    noisy = dataclasses.replace(IDEAL, noise_std=0.04)
    rest = tomogram(LABELS, PHASES, noisy) - tomogram(LABELS, PHASES, IDEAL)
    assert rest.std() == pytest.approx(0.04, rel=0.02)
    assert rest.mean() == pytest.approx(0, abs=1e-3)
    assert abs(np.mean(rest[:-1] * rest[1:])) < 1e-4  # slices are independent


def test_a_fringe_darkens_outside_and_brightens_inside_an_edge_and_keeps_the_mean() -> None:
    phases = np.zeros((8, 8, 40), dtype=np.uint8)
    phases[..., 20:] = 1
    labels = phases.astype(np.int32)
    line = tomogram(labels, phases, dataclasses.replace(IDEAL, fringe=0.3))[4, 4]
    assert line[19] < DENSITIES[0] - 0.02
    assert line[20] > DENSITIES[1] + 0.02
    np.testing.assert_allclose(line[[0, -1]], [DENSITIES[0], DENSITIES[1]], rtol=1e-4)
    assert line.mean() == pytest.approx(np.mean(DENSITIES[:2]), rel=1e-4)


def test_blur_widens_an_edge_to_the_stated_width() -> None:
    phases = np.zeros((8, 8, 60), dtype=np.uint8)
    phases[..., 30:] = 1
    line = tomogram(phases.astype(np.int32), phases, dataclasses.replace(IDEAL, blur_voxels=2.0))[
        4, 4
    ]
    spread = np.diff(line) / (DENSITIES[1] - DENSITIES[0])
    at = np.arange(len(spread))
    middle = np.sum(at * spread)
    assert np.sqrt(np.sum((at - middle) ** 2 * spread)) == pytest.approx(2, rel=0.02)


def test_rings_lie_around_the_axis_in_every_slice() -> None:
    ringed = dataclasses.replace(IDEAL, ring_share=0.5, ring_std=0.1, axis_yx=(0.25, 0.5))
    rest = tomogram(LABELS, PHASES, ringed) - tomogram(LABELS, PHASES, IDEAL)
    np.testing.assert_allclose(rest, np.broadcast_to(rest[:1], rest.shape), atol=1e-6)
    y, x = np.mgrid[:40, :36]
    radius = np.hypot(y - 0.25 * 39, x - 0.5 * 35).astype(int)
    means = np.bincount(radius.ravel(), rest[0].ravel()) / np.bincount(radius.ravel())
    np.testing.assert_allclose(rest[0], means[radius], atol=1e-5)
    assert 0.2 < np.mean(means == 0) < 0.8


@given(
    start=st.tuples(st.integers(0, 20), st.integers(0, 25), st.integers(0, 22)),
    size=st.integers(1, 11),
)
@settings(max_examples=15, deadline=None)
def test_a_block_with_its_halo_is_part_of_the_whole(start: tuple[int, int, int], size: int) -> None:
    how = Tomograph(seed=2)
    whole = tomogram(LABELS, PHASES, how)
    low = [max(s - how.halo_voxels, 0) for s in start]
    high = [min(s + size + how.halo_voxels, n) for s, n in zip(start, LABELS.shape, strict=True)]
    carried = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    core = tuple(slice(s - a, s - a + size) for s, a in zip(start, low, strict=True))
    block = tomogram(
        LABELS[carried],
        PHASES[carried],
        how,
        core=core,
        origin=(low[0], low[1], low[2]),
        volume_shape=LABELS.shape,
    )
    np.testing.assert_array_equal(block, whole[tuple(slice(s, s + size) for s in start)])


def test_seeds_decide() -> None:
    first = tomogram(LABELS, PHASES, Tomograph(seed=1))
    np.testing.assert_array_equal(first, tomogram(LABELS, PHASES, Tomograph(seed=1)))
    assert not np.array_equal(first, tomogram(LABELS, PHASES, Tomograph(seed=2)))


def test_active_material_can_be_told_from_the_rest() -> None:
    grey = tomogram(LABELS, PHASES)
    found = grey > threshold_otsu(grey)
    assert np.mean(found == (PHASES == 1)) > 0.98


def test_grey_values_of_sixteen_bits() -> None:
    density = np.array([-1, -0.5, 0.75, 2.0, 3.0], dtype=np.float32)
    np.testing.assert_allclose(as_uint16(density), [0, 0, 32768, 65535, 65535], atol=1)
    grey = tomogram(LABELS, PHASES)
    back = as_uint16(grey) / 65535 * 2.5 - 0.5
    np.testing.assert_allclose(back, grey, atol=3e-5)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="labels are"):
        tomogram(LABELS, PHASES[1:])
    with pytest.raises(ValueError, match="do not lie in"):
        tomogram(LABELS, PHASES, origin=(1, 0, 0), volume_shape=LABELS.shape)
    with pytest.raises(ValueError, match="phase 9"):
        tomogram(LABELS, np.full_like(PHASES, 9))
    with pytest.raises(ValueError, match="label 1 has no density"):
        tomogram(LABELS, PHASES, density_by_label=np.zeros(1, dtype=np.float32))
    with pytest.raises(ValueError, match="negative"):
        Tomograph(noise_std=-1)


def test_an_empty_volume_is_plain() -> None:
    nothing = np.zeros((4, 5, 6), dtype=np.uint16)
    grey = tomogram(nothing, nothing.astype(np.uint8), IDEAL)
    np.testing.assert_allclose(grey, DENSITIES[0])
