"""Sections of phantom volumes: truth is whole particles, everything else is background."""

import numpy as np
import pytest
from scipy import ndimage

from models.phantoms.cracks import DamageLaw
from models.phantoms.electrode import plan, render
from models.phantoms.electrode_config import ElectrodePhantom
from models.phantoms.tomography import Tomograph
from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.slices import (
    Look,
    draw_volume,
    phantom_volume,
    sections,
    slice_examples,
)

ELECTRODE = ElectrodePhantom(
    seed=4,
    shape_voxels=(64, 64, 64),
    diameter_um=6.0,
    damage=DamageLaw(level=0.15),
    collector_um=3.5,
)
CLEAR = Tomograph(seed=4, noise_std=0.0, ring_share=0.0, fringe=0.0, blur_voxels=0.0)


@pytest.fixture(scope="module")
def volume():
    return phantom_volume(ELECTRODE, CLEAR)


def test_cracks_belong_to_their_particle(volume) -> None:
    bodies = render(plan(ELECTRODE)).labels
    body = bodies > 0
    np.testing.assert_array_equal(volume.labels[body], bodies[body])
    cracks = (volume.labels > 0) & ~body
    assert 0.05 < cracks.sum() / body.sum() < 0.4
    assert volume.grey[cracks].max() < 0.5 < 1.0 < volume.grey[body].min()
    for number in np.unique(volume.labels)[1:6]:  # nothing is left open inside
        whole = volume.labels == number
        assert (ndimage.binary_fill_holes(whole) == whole).mean() > 0.9999


def test_the_collector_is_background(volume) -> None:
    assert not volume.labels[ELECTRODE.collector_voxels].any()
    assert volume.grey[ELECTRODE.collector_voxels].mean() == pytest.approx(0.78, abs=0.01)


def test_beyond_the_edge_all_is_alike(volume) -> None:
    cut = phantom_volume(ELECTRODE, CLEAR, Look(edge=0.8))
    y, x = np.indices(cut.labels.shape[1:]) - 31.5
    beyond = np.hypot(y, x) > 0.8 * 32
    assert not cut.labels[:, beyond].any()
    assert np.ptp(cut.grey[:, beyond]) == 0
    np.testing.assert_array_equal(cut.labels[:, ~beyond], volume.labels[:, ~beyond])


def test_cavities_are_dark_and_belong_to_their_particle(volume) -> None:
    hollow = phantom_volume(ELECTRODE, CLEAR, Look(cavities=1.0))
    np.testing.assert_array_equal(hollow.labels, volume.labels)
    darker = hollow.grey < volume.grey - 0.5
    assert darker.sum() > 0.02 * (volume.labels > 0).sum()
    assert (volume.labels[darker] > 0).all()


def test_streaks_and_shading_change_grey_levels_alone(volume) -> None:
    spoilt = phantom_volume(ELECTRODE, CLEAR, Look(streaks=0.2, shading=0.1))
    np.testing.assert_array_equal(spoilt.labels, volume.labels)
    change = spoilt.grey - volume.grey
    assert 0.15 < change.std() < 0.35
    along = np.corrcoef(change[:, :, 1:].ravel(), change[:, :, :-1].ravel())[0, 1]
    across = np.corrcoef(change[1:].ravel(), change[:-1].ravel())[0, 1]
    assert along > across + 0.2


def test_sections_of_all_three_directions(volume) -> None:
    made = list(sections(volume, "one", 2))
    assert len(made) == 6
    assert {example.group for example in made} == {"one"}
    for number, axis in enumerate((0, 0, 1, 1, 2, 2)):
        place = (16, 48)[number % 2]
        np.testing.assert_array_equal(made[number].labels, np.take(volume.labels, place, axis))
        np.testing.assert_array_equal(made[number].grey, np.take(volume.grey, place, axis))


def test_volumes_follow_from_their_seed_and_differ() -> None:
    one, again, other = (draw_volume(seed, (64, 64, 64)) for seed in (3, 3, 5))
    np.testing.assert_array_equal(one.grey, again.grey)
    np.testing.assert_array_equal(one.labels, again.labels)
    assert (one.labels != other.labels).any()
    assert one.labels.max() > 2


def test_examples_are_grouped_by_volume() -> None:
    made = slice_examples(range(7, 9), count=1, shape_voxels=(64, 72, 80))
    assert [example.group for example in made] == ["phantom-7"] * 3 + ["phantom-8"] * 3
    assert [example.grey.shape for example in made[:3]] == [(72, 80), (64, 80), (64, 72)]


def test_what_gives_no_section_is_refused() -> None:
    with pytest.raises(StarConvexError, match="at least 64 a side"):
        draw_volume(0, (64, 64, 63))
    with pytest.raises(StarConvexError, match="at least 1 of each"):
        slice_examples(range(0))
    with pytest.raises(StarConvexError, match="at least 1 of each"):
        slice_examples(range(2), count=0)
