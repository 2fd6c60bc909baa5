"""Solids: the analytic truth is what the voxels hold."""

import dataclasses

import numpy as np
import pytest

from models.phantoms import solids
from models.phantoms.solid_truth import CrackedTruth, SolidTruth

SPACING_UM = (0.5, 0.35, 0.25)
SHAPE = (44, 64, 88)
VOXEL_UM3 = float(np.prod(SPACING_UM))
TURN = solids.random_rotation(3)


def _volume_um3(mask: np.ndarray) -> float:
    return float(np.count_nonzero(mask)) * VOXEL_UM3


def _moments(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centroid and full axes of the ellipsoid with the same second moments."""
    points = np.argwhere(mask) * SPACING_UM
    variances = np.linalg.eigvalsh(np.cov(points.T))[::-1]
    return points.mean(axis=0), 2 * np.sqrt(5 * variances)


@pytest.mark.parametrize(
    ("mask", "truth"),
    [
        solids.ball(SHAPE, spacing_um=SPACING_UM, radius_um=8),
        solids.ellipsoid(SHAPE, spacing_um=SPACING_UM, semi_axes_um=(9, 6, 4), rotation=TURN),
        solids.box(SHAPE, spacing_um=SPACING_UM, sides_um=(13, 9, 7), rotation=TURN),
    ],
    ids=["ball", "ellipsoid", "box"],
)
def test_convex_solids_have_the_stated_volume_place_and_axes(
    mask: np.ndarray, truth: SolidTruth
) -> None:
    assert mask.shape == SHAPE
    assert _volume_um3(mask) == pytest.approx(truth.volume_um3, rel=0.004)
    centre, axes = _moments(mask)
    np.testing.assert_allclose(centre, truth.centre_um, atol=0.02)
    np.testing.assert_allclose(axes, truth.axes_um, rtol=0.01)


def test_a_rotation_turns_the_long_axis() -> None:
    mask, _ = solids.ellipsoid(SHAPE, spacing_um=SPACING_UM, semi_axes_um=(9, 4, 4), rotation=TURN)
    points = np.argwhere(mask) * SPACING_UM
    longest = np.linalg.eigh(np.cov(points.T))[1][:, -1]
    assert abs(longest @ TURN[:, 0]) == pytest.approx(1, abs=1e-3)


def test_a_ball_is_round_and_the_ellipsoid_s_area_is_that_of_a_spheroid() -> None:
    _, round_one = solids.ball(SHAPE, spacing_um=SPACING_UM, radius_um=8)
    assert round_one.surface_um2 == pytest.approx(4 * np.pi * 64)
    assert round_one.sphericity == pytest.approx(1)
    assert round_one.equivalent_diameter_um == pytest.approx(16)
    assert round_one.elongation == 1
    _, prolate = solids.ellipsoid(SHAPE, spacing_um=SPACING_UM, semi_axes_um=(9, 4, 4))
    e = np.sqrt(1 - 16 / 81)
    assert prolate.surface_um2 == pytest.approx(2 * np.pi * 16 * (1 + 9 / (4 * e) * np.arcsin(e)))


@pytest.mark.parametrize(
    ("mask", "truth"),
    [
        solids.shell(SHAPE, spacing_um=SPACING_UM, radius_um=8, cavity_radius_um=5),
        solids.penny_cracked_ball(
            SHAPE,
            spacing_um=SPACING_UM,
            radius_um=8,
            crack_radius_um=6,
            opening_um=1.7,
            rotation=TURN,
        ),
        solids.slit_ball(SHAPE, spacing_um=SPACING_UM, radius_um=8, opening_um=1.7, rotation=TURN),
    ],
    ids=["shell", "penny", "slit"],
)
def test_cracks_take_the_stated_volume(mask: np.ndarray, truth: CrackedTruth) -> None:
    whole, _ = solids.ball(SHAPE, spacing_um=SPACING_UM, radius_um=8, centre_um=truth.centre_um)
    assert not np.any(mask & ~whole)
    assert _volume_um3(whole & ~mask) == pytest.approx(truth.crack_volume_um3, rel=0.01)
    assert _volume_um3(mask) == pytest.approx(truth.body_volume_um3, rel=0.004)
    assert truth.damage == pytest.approx(truth.crack_volume_um3 / truth.volume_um3)


def test_walls_of_a_crack_are_the_change_of_its_volume() -> None:
    """dV/dr of a penny crack is its rim, dV/dt its face; of a slit dV/dt is its wall."""
    step = 1e-4

    def penny(radius: float, opening: float) -> CrackedTruth:
        return solids.penny_cracked_ball(
            (2, 2, 2),
            spacing_um=SPACING_UM,
            radius_um=8,
            crack_radius_um=radius,
            opening_um=opening,
        )[1]

    rim = (penny(6 + step, 1).crack_volume_um3 - penny(6, 1).crack_volume_um3) / step
    face = (penny(6, 1 + step).crack_volume_um3 - penny(6, 1).crack_volume_um3) / step
    assert penny(6, 1).surface_inner_um2 == pytest.approx(rim + 2 * face, rel=1e-3)

    def slit(opening: float) -> CrackedTruth:
        return solids.slit_ball((2, 2, 2), spacing_um=SPACING_UM, radius_um=8, opening_um=opening)[
            1
        ]

    thin = slit(step)
    assert thin.surface_inner_um2 == pytest.approx(np.pi * 64, rel=1e-3)
    assert (slit(1 + step).crack_volume_um3 - slit(1).crack_volume_um3) / step == pytest.approx(
        np.pi * (64 - 0.25) / 2, rel=1e-3
    )


def test_a_pair_meets_in_the_stated_disc() -> None:
    fine = (0.5, 0.35, 0.05)  # along x, so that both sides of the disc are near the plane
    labels, truth = solids.touching_pair(
        (32, 44, 440), spacing_um=fine, radii_um=(6, 4), distance_um=9, direction=(0, 0, 1)
    )
    for label in (1, 2):
        volume = np.count_nonzero(labels == label) * np.prod(fine)
        assert volume == pytest.approx(truth.volumes_um3[label - 1], rel=0.005)
    meeting = (labels[..., :-1] == 1) & (labels[..., 1:] == 2)
    area = np.count_nonzero(meeting) * fine[0] * fine[1]
    assert area == pytest.approx(truth.contact_area_um2, rel=0.03)
    gap = np.subtract(*truth.centres_um)
    assert np.linalg.norm(gap) == pytest.approx(9)
    assert truth.contact_fractions[0] < truth.contact_fractions[1] < 0.2


def test_equal_halves_of_a_coinciding_pair() -> None:
    """At no distance the plane halves the ball: the limit of the formulas."""
    _, truth = solids.touching_pair(
        (2, 2, 2), spacing_um=SPACING_UM, radii_um=(5, 5), distance_um=1e-9
    )
    assert truth.volumes_um3[0] == pytest.approx(2 / 3 * np.pi * 125)
    assert truth.surfaces_um2[0] == pytest.approx(3 * np.pi * 25)


@pytest.mark.parametrize("covered", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_binder_covers_the_stated_share(covered: float) -> None:
    labels, phases, truth = solids.ball_with_binder(
        SHAPE, spacing_um=SPACING_UM, radius_um=7, covered=covered, thickness_um=1.5
    )
    np.testing.assert_array_equal(phases == 1, labels == 1)
    assert _volume_um3(phases == 2) == pytest.approx(truth.binder_volume_um3, rel=0.02)
    assert truth.detachment == pytest.approx(1 - covered)
    # directions from the centre to the voxels just outside, each standing for the same solid angle
    points = np.argwhere(np.ones(SHAPE, dtype=bool)) * SPACING_UM - truth.centre_um
    distance = np.linalg.norm(points, axis=1)
    outside = (distance > 7) & (distance < 7.5)
    assert (phases.ravel()[outside] == 2).mean() == pytest.approx(covered, abs=0.01)


def test_what_cannot_be_is_refused() -> None:
    grid = {"spacing_um": SPACING_UM}
    with pytest.raises(ValueError, match="opens a ball"):
        solids.penny_cracked_ball(SHAPE, **grid, radius_um=5, crack_radius_um=5, opening_um=1)
    with pytest.raises(ValueError, match="wider than a ball"):
        solids.slit_ball(SHAPE, **grid, radius_um=5, opening_um=10)
    with pytest.raises(ValueError, match="do not just meet"):
        solids.touching_pair(SHAPE, **grid, radii_um=(5, 4), distance_um=9.5)
    with pytest.raises(ValueError, match="covered"):
        solids.ball_with_binder(SHAPE, **grid, radius_um=5, covered=1.1, thickness_um=1)


def test_truth_cannot_be_changed() -> None:
    _, truth = solids.ball(SHAPE, spacing_um=SPACING_UM, radius_um=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        truth.volume_um3 = 1.0  # type: ignore[misc]
