"""Slices of bodies that are known are linked to those bodies again."""

from collections.abc import Iterator

import numpy as np
import pytest

from models.measure.arrays import InvalidVolumeError
from models.measure.matching import evaluate
from models.segment.link_options import LinkOptions, ball_voxels
from models.segment.slice_linking import link_slices

SHAPE = (40, 48, 56)


def balls(centres, radii, shape=SHAPE) -> np.ndarray:
    grid = np.indices(shape, dtype=np.float32)
    labels, depth = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    for number, (centre, radius) in enumerate(zip(centres, radii, strict=True), start=1):
        distance = np.sqrt(((grid - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0))
        here = radius - distance > depth
        labels[here], depth[here] = number, (radius - distance)[here]
    return labels


def numbered_anew(labels: np.ndarray, seed: int = 0) -> Iterator[np.ndarray]:
    """The slices, each with labels of its own."""
    rng = np.random.default_rng(seed)
    for image in labels:
        present = np.unique(image[image > 0])
        table = np.zeros(int(labels.max()) + 1, np.int32)
        table[present] = rng.permutation(len(present)) * 3 + 1
        yield table[image]


def linked(labels: np.ndarray, **options: object) -> np.ndarray:
    out = np.full(labels.shape, 7, np.int32)  # what was there before must not matter
    count = len(link_slices(numbered_anew(labels), out, options=LinkOptions(**options)))
    assert count == out.max()
    assert set(np.unique(out)) == set(range(count + 1)) | {0} - ({0} if out.all() else set())
    return out


@pytest.mark.parametrize("measure", ["iou", "smaller"])
def test_spheres_and_leaning_cylinders_come_back(measure: str) -> None:
    labels = balls([(12, 12, 12), (20, 34, 14), (30, 12, 40)], [8, 10, 7])
    z, y, x = np.indices(SHAPE)
    labels[(y - 36) ** 2 + (x - 30 - z // 4) ** 2 <= 49] = 4
    found = linked(labels, measure=measure)
    assert evaluate(labels, found).at(0.95).f1 == 1
    assert (found > 0).sum() == (labels > 0).sum()


def test_particles_are_numbered_from_the_first_slice_on() -> None:
    found = linked(balls([(30, 12, 40), (9, 12, 12), (20, 34, 14)], [7, 8, 8]))
    firsts = [int(np.flatnonzero((found == n).any(axis=(1, 2)))[0]) for n in (1, 2, 3)]
    assert firsts == sorted(firsts) == [2, 13, 24]


def test_spheres_that_touch_above_each_other_are_parted_at_their_neck() -> None:
    labels = balls([(10, 24, 24), (29, 24, 25)], [9.5, 9.5])
    found = linked(labels)
    assert found.max() == 2
    assert evaluate(labels, found).at(0.9).f1 == 1
    assert linked(labels, neck=0.0).max() == 1


def test_one_bad_slice_parts_nothing() -> None:
    labels = balls([(20, 24, 24)], [10])
    labels[20, :, 24:] = 0
    assert linked(labels).max() == 1


@pytest.mark.parametrize(("missing", "count"), [(0, 1), (1, 1), (2, 1), (3, 2)])
def test_gaps_are_bridged_up_to_their_length(missing: int, count: int) -> None:
    labels = balls([(20, 24, 24)], [10])
    gappy = labels.copy()
    gappy[18 : 18 + missing] = 0
    found = linked(gappy, gap=2)
    assert found.max() == count
    if count == 1:  # what lies between is filled with what both sides share
        assert (found[labels > 0] > 0).mean() > 0.97
        assert not found[labels == 0].any()


def test_a_particle_elsewhere_is_not_linked() -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[:20, 5:15, 5:15] = 1
    labels[20:, 13:23, 13:23] = 2  # shares a corner of 4 pixels with the first
    assert linked(labels).max() == 2
    assert linked(labels, least=0.01, neck=0.0).max() == 1


def test_a_split_profile_goes_to_the_larger_part() -> None:
    labels = np.zeros((3, 20, 20), np.int32)
    labels[:, 4:16, 4:16] = 1
    halves = labels.copy()
    halves[1, 4:16, 4:8] = 2
    out = np.zeros(labels.shape, np.int32)
    options = LinkOptions(neck=0, flattest=0)
    assert len(link_slices(list(halves), out, options=options)) == 2
    assert (out[:, 10, 10] == 1).all()
    assert (out[1, 10, 5], out[2, 10, 5]) == (2, 1)


def test_small_particles_are_left_out() -> None:
    labels = balls([(10, 12, 12), (30, 30, 30)], [8, 3])
    found = linked(labels, smallest=ball_voxels(8))
    np.testing.assert_array_equal(found > 0, labels == 1)
    assert ball_voxels(8) == 268


def test_what_is_flat_is_no_particle_unless_the_volume_cuts_it() -> None:
    labels = balls([(20, 24, 24)], [10])
    labels[2:4, 2:14, 2:14] = 2
    labels[38:, 34:46, 40:52] = 3
    found = linked(labels)
    np.testing.assert_array_equal(found > 0, (labels == 1) | (labels == 3))
    assert linked(labels, flattest=0.0).max() == 3
    assert linked(labels, slice_px=4.0).max() == 3


def with_confidence(labels: np.ndarray, sure: dict[int, float]) -> Iterator[tuple]:
    """The slices, each with labels of its own in the order of the first ones."""
    for image in labels:
        present = np.unique(image[image > 0])
        table = np.zeros(int(labels.max()) + 1, np.int32)
        table[present] = np.arange(len(present)) + 1
        yield table[image], np.array([sure[label] for label in present], np.float32)


def test_confidence_is_the_mean_over_the_voxels() -> None:
    labels = balls([(12, 12, 12), (26, 34, 40)], [8, 8])
    sure = {1: 0.9, 2: 0.3}
    out = np.zeros(SHAPE, np.int32)
    np.testing.assert_allclose(link_slices(with_confidence(labels, sure), out), [0.9, 0.3])
    gappy = labels.copy()
    gappy[12] = 0  # which is filled with what the slices beside it share, and no network saw it
    found = link_slices(with_confidence(gappy, sure), out)
    seen, filled = (gappy == 1).sum(), (out[12] == 1).sum()
    np.testing.assert_allclose(found, [0.9 * seen / (seen + filled), 0.3], rtol=1e-6)
    assert np.isnan(link_slices(list(labels), out)).all()


def test_doubtful_particles_are_left_out_where_it_is_known() -> None:
    labels = balls([(12, 12, 12), (26, 34, 40)], [8, 8])
    out, options = np.zeros(SHAPE, np.int32), LinkOptions(confidence=0.5)
    found = link_slices(with_confidence(labels, {1: 0.4, 2: 0.8}), out, options=options)
    np.testing.assert_allclose(found, [0.8])
    np.testing.assert_array_equal(out > 0, labels == 2)
    assert len(link_slices(list(labels), out, options=options)) == 2


def test_a_label_without_its_confidence_is_refused() -> None:
    image = np.full((4, 5), 3, np.int32)
    with pytest.raises(InvalidVolumeError, match="slice 0 has label 3 and 2 confidences"):
        link_slices([(image, np.ones(2, np.float32))], np.zeros((1, 4, 5), np.int32))


def test_slices_without_particles_give_none() -> None:
    empty = np.zeros(SHAPE, np.int32)
    assert not linked(empty).any()


@pytest.mark.parametrize(
    ("slices", "dtype", "message"),
    [
        ([np.zeros((4, 5), np.int32)] * 2, np.int32, "2 slices for a volume of 3"),
        ([np.zeros((4, 5), np.int32)] * 4, np.int32, "slice 3 has shape"),
        ([np.zeros((4, 6), np.int32)] * 3, np.int32, "slice 0 has shape"),
        ([np.zeros((4, 5), np.float32)] * 3, np.int32, "not integers"),
        ([np.zeros((4, 5), np.int32)] * 3, np.float32, "give integers"),
        ([np.arange(200).reshape(4, 50)[:, :5] + 1] * 3, np.uint8, None),
        ([np.arange(400).reshape(4, 100)] * 3, np.int8, "slice 0 has shape"),
    ],
)
def test_what_does_not_fit_is_refused(slices: list, dtype: type, message: str | None) -> None:
    out = np.zeros((3, 4, 5), dtype)
    if message is None:
        assert len(link_slices(slices, out)) == 20
        return
    with pytest.raises(InvalidVolumeError, match=message) as raised:
        link_slices(slices, out)
    assert "\n" not in str(raised.value)


def test_more_particles_than_the_integers_hold_are_refused() -> None:
    image = np.zeros((40, 40), np.int32)
    image[::2, ::2] = np.arange(400).reshape(20, 20) + 1
    with pytest.raises(InvalidVolumeError, match="does not fit uint8: take int32"):
        link_slices([image], np.zeros((1, 40, 40), np.uint8))


@pytest.mark.parametrize(
    "wrong",
    [
        {"measure": "dice"},
        {"least": 0},
        {"neck": 1.1},
        {"confidence": 1.1},
        {"gap": -1},
        {"smallest": -1},
        {"flattest": -1},
        {"slice_px": 0},
    ],
)
def test_options_without_meaning_are_refused(wrong: dict) -> None:
    with pytest.raises(InvalidVolumeError):
        LinkOptions(**wrong)
