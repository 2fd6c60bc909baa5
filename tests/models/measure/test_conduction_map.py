"""Conduction maps: lengths by geometry, boxes that grow, faces where a particle touches binder."""

import numpy as np
import pytest

from models.measure.arrays import InvalidVolumeError
from models.measure.conduction_map import conduction_map, contact_faces
from models.measure.particle_boxes import ParticleBoxes
from models.measure.particle_faces import Kind

SPACING = (0.5, 0.25, 0.25)


def boxes_of(labels, phases):
    return ParticleBoxes(labels, grey=None, phases=phases, phase_binder=2)


def bar():
    """A bar along x, 8 × 16 × 40 voxels, with binder at its low end and another particle above."""
    labels = np.zeros((24, 40, 80), np.uint16)
    labels[8:16, 12:28, 20:60], labels[16:20, 12:28, 20:60] = 7, 2
    phases = (labels > 0).astype(np.uint8)
    phases[8:16, 12:28, 14:20] = 2
    return boxes_of(labels, phases)


def mapped(boxes, reach_um=6.0, near_um=(5.75, 4.875, 9.875)):
    return conduction_map(boxes, 7, near_um=near_um, reach_um=reach_um, spacing_um=SPACING)


def test_paths_along_a_bar_are_as_long_as_the_way():
    found = mapped(bar())
    body = found.kinds == Kind.BODY
    assert body.sum() == 8 * 16 * 40
    assert np.isinf(found.distance_um[~body]).all()
    along = found.distance_um[found.centre[0], found.centre[1]][body[found.centre[:2]]]
    assert along == pytest.approx((np.arange(40) + 0.5) * 0.25, rel=0.02, abs=0.05)
    assert np.take(found.kinds, 0, 2).max() == Kind.BINDER and (found.kinds == Kind.OTHER).any()


@pytest.mark.parametrize("reach_um", [0.3, 1.0, 30.0])
def test_how_far_was_looked_first_changes_nothing(reach_um):
    usual, other = mapped(bar()), mapped(bar(), reach_um)
    assert np.array_equal(usual.distance_um, other.distance_um)
    assert usual.centre == other.centre
    assert usual.kinds[usual.centre] == Kind.BODY


def test_a_particle_without_binder_has_no_path():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:15, 5:15, 5:15] = 7
    boxes = boxes_of(labels, labels // 7)
    found = mapped(boxes, near_um=(4.75, 2.375, 2.375))
    assert np.isinf(found.distance_um).all()


def test_a_label_that_is_gone_is_refused():
    with pytest.raises(InvalidVolumeError, match="label 7 is not at voxel"):
        empty = np.zeros((20, 20, 20), np.uint8)
        mapped(boxes_of(empty, empty), near_um=(4, 2, 2))


def test_faces_of_a_square():
    inside = np.zeros((6, 6), bool)
    inside[2:4, 2:4] = True
    all_round = contact_faces(inside, ~inside)
    assert all_round.shape == (8, 2, 2)
    assert np.abs(np.diff(all_round, axis=1)).sum(axis=(1, 2)) == pytest.approx(np.ones(8))
    assert all_round.min() == 1.5 and all_round.max() == 3.5
    below = np.zeros_like(inside)
    below[4] = True
    assert {tuple(end) for edge in contact_faces(inside, below) for end in edge.tolist()} == {
        (3.5, 1.5), (3.5, 2.5), (3.5, 3.5)
    }  # fmt: skip
