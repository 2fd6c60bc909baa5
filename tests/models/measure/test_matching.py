"""Particles matched by overlap: known overlaps, invariants, and the published implementation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.measure.arrays import InvalidVolumeError
from models.measure.matching import (
    THRESHOLDS,
    MatchCounts,
    evaluate,
    matched_pairs,
    mean_average_precision,
    pooled,
)
from models.measure.matching_overlap import label_overlap

SHAPES = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=4),
)


@st.composite
def pairs(draw):
    """A truth and a prediction that is partly the same, so that overlaps of every size occur."""
    shape = draw(SHAPES)
    labels = hnp.arrays(np.uint16, shape, elements=st.integers(0, 5))
    truth, other = draw(labels), draw(labels)
    kept = draw(hnp.arrays(np.bool_, shape, elements=st.booleans()))
    return truth, np.where(kept, truth, other)


def disc(shape, centre, radius):
    y, x = np.indices(shape)
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def bar(*runs):
    """One row of pixels: label and length of each run."""
    return np.concatenate([np.full(length, label) for label, length in runs])[None]


def test_thresholds_are_the_ten_of_the_definition():
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_counts_of_a_drawing_whose_overlaps_are_known():
    truth = bar((1, 10), (0, 5), (2, 10), (0, 5), (3, 10), (0, 5))
    # all of the first, 7 of 10 of the second, 2 of 10 of the third, one invented
    found = bar((7, 10), (0, 5), (9, 7), (0, 6), (4, 4), (0, 10), (8, 2), (0, 1))
    evaluation = evaluate(truth, found)
    half = evaluation.at(0.5)
    assert (half.true_positives, half.false_positives, half.false_negatives) == (2, 2, 1)
    assert half.precision == pytest.approx(2 / 4)
    assert half.recall == pytest.approx(2 / 3)
    assert half.f1 == pytest.approx(4 / 7)
    assert half.average_precision == pytest.approx(2 / 5)
    assert half.mean_matched_iou == pytest.approx((1 + 0.7) / 2)
    assert evaluation.at(0.7).true_positives == 2  # reached exactly
    assert evaluation.at(0.75).true_positives == 1
    mean = (5 * 2 / 5 + 5 * 1 / 6) / 10  # 0.5 … 0.7, then 0.75 … 0.95
    assert evaluation.average_precision == pytest.approx(mean)


@pytest.mark.parametrize("shift", [0, 4, 9, 16, 21])
def test_overlap_of_shifted_discs_is_the_lens_of_two_circles(shift):
    radius, shape = 40, (101, 140)
    truth = disc(shape, (50, 50), radius)
    found = disc(shape, (50, 50 + shift), radius)
    angle = math.acos(shift / (2 * radius))
    lens = 2 * radius**2 * angle - shift / 2 * math.sqrt(4 * radius**2 - shift**2)
    expected = lens / (2 * math.pi * radius**2 - lens)
    (iou,) = label_overlap(truth, found).iou
    assert iou == pytest.approx(expected, abs=0.01)


def test_concentric_balls_overlap_as_their_volumes():
    z, y, x = np.indices((61, 61, 61)) - 30
    square = z**2 + y**2 + x**2
    evaluation = evaluate((square <= 28**2) * 3, (square <= 24**2) * 8)
    assert evaluation.matches[0].mean_matched_iou == pytest.approx((24 / 28) ** 3, abs=0.005)
    assert evaluation.sizes.error == pytest.approx(24 / 28 - 1, abs=0.005)


def test_halves_of_a_particle_reach_one_half_and_only_one_of_them_counts():
    truth, found = bar((1, 8)), bar((1, 4), (2, 4))
    half = evaluate(truth, found).at(0.5)
    assert (half.true_positives, half.false_positives, half.false_negatives) == (1, 1, 0)
    assert half.mean_matched_iou == 0.5


@settings(max_examples=150, deadline=None)
@given(pairs())
def test_equals_stardist(pair):
    from stardist.matching import matching

    truth, found = pair
    ours = evaluate(truth, found)
    theirs = matching(truth, found, thresh=THRESHOLDS)
    for counts, other in zip(ours.matches, theirs, strict=True):
        assert counts.true_positives == other.tp
        assert counts.false_positives == other.fp
        assert counts.false_negatives == other.fn
        if other.tp + other.fp + other.fn:  # theirs is 0 where there is nothing at all
            assert counts.precision == pytest.approx(other.precision)
            assert counts.recall == pytest.approx(other.recall)
            assert counts.f1 == pytest.approx(other.f1)
            assert counts.average_precision == pytest.approx(other.accuracy)
        if other.tp:
            assert counts.mean_matched_iou == pytest.approx(other.mean_matched_score, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_exchanging_truth_and_prediction_exchanges_precision_and_recall(pair):
    truth, found = pair
    there, back = evaluate(truth, found), evaluate(found, truth)
    for one, other in zip(there.matches, back.matches, strict=True):
        assert one.precision == other.recall
        assert one.recall == other.precision
        assert one.f1 == other.f1
        assert one.average_precision == other.average_precision
        assert one.iou_sum == pytest.approx(other.iou_sum)
    assert there.pixels.precision == back.pixels.sensitivity
    assert there.pixels.matthews == pytest.approx(back.pixels.matthews)


@settings(max_examples=60, deadline=None)
@given(pairs(), st.permutations(range(1, 6)), st.sampled_from([1, 1000, 1 << 40]))
def test_numbers_of_labels_mean_nothing(pair, order, factor):
    truth, found = pair
    renamed = np.array([0, *order], np.int64)[found] * factor
    assert evaluate(truth, renamed).matches == evaluate(truth, found).matches
    assert evaluate(truth, renamed).pixels == evaluate(truth, found).pixels


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_the_truth_itself_is_perfect(pair):
    truth, _ = pair
    evaluation = evaluate(truth, truth)
    for counts in evaluation.matches:
        assert counts.precision == counts.recall == counts.f1 == counts.average_precision == 1
    assert evaluation.average_precision == 1
    assert evaluation.pixels.matthews == evaluation.pixels.jaccard == 1


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_stricter_thresholds_never_match_more(pair):
    matched = [counts.true_positives for counts in evaluate(*pair).matches]
    assert matched == sorted(matched, reverse=True)


def test_nothing_to_find_and_nothing_found():
    empty, one = np.zeros((4, 5), np.uint8), bar((1, 5)).repeat(4, axis=0)
    for truth, found, value in ((empty, empty, 1.0), (empty, one, 0.0), (one, empty, 0.0)):
        half = evaluate(truth, found).at(0.5)
        assert half.precision == half.recall == half.f1 == half.average_precision == value
        assert math.isnan(half.mean_matched_iou)


def test_images_are_pooled_as_sums_of_counts():
    perfect = evaluate(bar((1, 5), (2, 5), (3, 5)), bar((1, 5), (2, 5), (3, 5)))
    missed = evaluate(bar((1, 5), (0, 10)), bar((0, 15)))
    half = pooled([perfect, missed])[0]
    assert (half.true_positives, half.false_positives, half.false_negatives) == (3, 0, 1)
    assert half.recall == 0.75
    assert mean_average_precision(pooled([perfect, missed])) == 0.75
    with pytest.raises(ValueError, match=r"0\.5 and 0\.6"):
        half + MatchCounts(0.6, 0, 0, 0, 0.0)


def test_pairs_name_the_labels():
    truth, found = bar((5, 4), (0, 2), (9, 6)), bar((3, 4), (0, 3), (70, 5))
    matched, iou = matched_pairs(label_overlap(truth, found))
    assert matched.tolist() == [[5, 3], [9, 70]]
    assert iou == pytest.approx([1, 5 / 6])


def test_many_particles_take_memory_by_pairs_and_not_by_their_product():
    truth = np.arange(1, 90_001, dtype=np.int32).reshape(300, 300)  # a full table: 65 GB
    counts = evaluate(truth, truth[::-1, ::-1]).at(0.5)
    assert counts.true_positives == 90_000


def test_slabs_change_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    truth, found = rng.integers(0, 9, (2, 12, 7, 5))
    whole = evaluate(truth, found)
    monkeypatch.setattr("models.measure.matching_overlap._SLAB_PIXELS", 40)
    assert evaluate(truth, found) == whole


@pytest.mark.parametrize(
    ("truth", "found", "words"),
    [
        (np.zeros((3, 4), int), np.zeros((3, 5), int), r"shape \(3, 5\) but truth \(3, 4\)"),
        (np.zeros((3, 4), int), np.zeros((3, 4)), "prediction: labels are float64"),
        (np.full((3, 4), -1), np.zeros((3, 4), int), "truth: label"),
        (np.zeros(3, int), np.zeros(3, int), "truth: labels have shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(truth, found, words):
    with pytest.raises(InvalidVolumeError, match=words):
        evaluate(truth, found)


def test_thresholds_below_one_half_are_refused():
    with pytest.raises(InvalidVolumeError, match=r"0\.4"):
        evaluate(bar((1, 3)), bar((1, 3)), thresholds=(0.4,))
