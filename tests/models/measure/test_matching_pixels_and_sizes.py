"""Six measures of a foreground, median diameters, and rows over images."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from models.measure.arrays import InvalidVolumeError
from models.measure.matching import evaluate
from models.measure.matching_overlap import label_overlap
from models.measure.matching_overlays import (
    BOTH_COLOUR,
    PREDICTION_COLOUR,
    TRUTH_COLOUR,
    comparison_overlay,
)
from models.measure.matching_pixels import PIXEL_MEASURES, PixelCounts, pixel_counts
from models.measure.matching_sizes import compare_sizes
from models.measure.matching_summary import image_row, pooled_row

COUNT = st.integers(0, 40)


def squares(sides, size=40):
    """A row of squares, one label each."""
    labels = np.zeros((size, size * len(sides)), np.int32)
    for number, side in enumerate(sides):
        labels[:side, number * size : number * size + side] = number + 1
    return labels


@given(COUNT, COUNT, COUNT, COUNT)
def test_measures_equal_scikit_learn(tp, fp, fn, tn):
    counts = PixelCounts(tp, fp, fn, tn)
    if fp + fn == 0:
        assert all(getattr(counts, name) == 1 for name in PIXEL_MEASURES)
        return
    truth = np.repeat([1, 0, 1, 0], (tp, fp, fn, tn))
    found = np.repeat([1, 1, 0, 0], (tp, fp, fn, tn))
    expected = {
        "precision": metrics.precision_score(truth, found, zero_division=0),
        "sensitivity": metrics.recall_score(truth, found, zero_division=0),
        "jaccard": metrics.jaccard_score(truth, found, zero_division=0),
        "dice": metrics.f1_score(truth, found, zero_division=0),
        "f_measure": metrics.f1_score(truth, found, zero_division=0),
        "matthews": metrics.matthews_corrcoef(truth, found),
    }
    for name, value in expected.items():
        assert getattr(counts, name) == pytest.approx(value, abs=1e-12)


def test_pixels_are_counted_whatever_their_labels():
    rng = np.random.default_rng(5)
    truth, found = rng.integers(0, 3, (2, 30, 20))
    counts = pixel_counts(label_overlap(truth, found))
    assert counts.true_positives == np.count_nonzero((truth > 0) & (found > 0))
    assert counts.false_positives == np.count_nonzero((truth == 0) & (found > 0))
    assert counts.false_negatives == np.count_nonzero((truth > 0) & (found == 0))
    assert counts.true_negatives == np.count_nonzero((truth == 0) & (found == 0))


def test_pixels_of_a_whole_volume_do_not_overflow():
    counts = PixelCounts(3 * 10**9, 10**9, 10**9, 5 * 10**9)
    assert counts.matthews == pytest.approx((0.75 * 5 / 6) - (0.25 / 6))


def test_median_diameter_by_number_and_by_area():
    sizes = compare_sizes(np.array([100, 100, 100, 10_000]), np.array([100, 400, 400]), 2)
    assert sizes.true_d50_px == pytest.approx(math.sqrt(400 / math.pi))
    assert sizes.error == pytest.approx(1.0)  # twice the side
    assert (
        0.95 * math.sqrt(40_000 / math.pi) < sizes.true_d50_area_px
    )  # nearly all in the large one
    assert sizes.area_error < 0


def test_doubling_every_length_leaves_the_error():
    true, found = np.array([30, 50, 80, 200]), np.array([28, 60, 75])
    for ndim in (2, 3):
        once, twice = (compare_sizes(k * true, k * found, ndim) for k in (1, 2**ndim))
        assert twice.true_d50_px == pytest.approx(2 * once.true_d50_px)
        assert twice.error == pytest.approx(once.error)
        assert twice.area_error == pytest.approx(once.area_error)


def test_diameter_of_balls():
    assert compare_sizes(np.array([1000]), np.array([8000]), 3).error == pytest.approx(1.0)


def test_sizes_where_there_is_nothing():
    none, some = np.zeros(0, np.int64), np.array([5, 6])
    assert compare_sizes(some, none, 2).error == -1
    assert math.isnan(compare_sizes(none, some, 2).error)
    assert math.isnan(compare_sizes(none, none, 2).area_error)


def test_sizes_are_judged_from_ten_particles_on_and_empty_predictions_count_as_wrong():
    ten, nine = squares([10] * 10), squares([10] * 9)
    right, wrong = squares([10] * 9 + [9]), squares([12] * 10)
    row = pooled_row(
        [
            evaluate(ten, right),
            evaluate(ten, wrong),
            evaluate(ten, np.zeros_like(ten)),
            evaluate(nine, nine),
        ]
    )
    assert row["d50_images"] == 3
    assert row["d50_within_10_percent"] == pytest.approx(1 / 3)
    assert row["d50_abs_error_median"] == pytest.approx(0.2)


def test_pixel_measures_of_several_images_are_mean_and_sample_deviation():
    truth, half = squares([10, 10]), squares([10, 0])
    row = pooled_row([evaluate(truth, truth), evaluate(truth, half)])
    assert row["pixel_sensitivity"] == pytest.approx(0.75)
    assert row["pixel_sensitivity_std"] == pytest.approx(0.5 / math.sqrt(2))
    assert row["pixel_precision_std"] == 0
    assert math.isnan(pooled_row([evaluate(truth, half)])["pixel_dice_std"])


def test_a_row_of_an_image_agrees_with_the_pooled_row_of_it_alone():
    evaluation = evaluate(squares([10, 8, 5]), squares([9, 8, 0]))
    alone, all_of_it = image_row(evaluation), pooled_row([evaluation])
    common = set(alone) & set(all_of_it)
    assert {"f1_50", "f1_75", "average_precision", "pixel_matthews"} < common
    assert all(alone[name] == all_of_it[name] for name in common)


def test_no_images_are_refused():
    with pytest.raises(InvalidVolumeError, match="no images"):
        pooled_row([])


def test_outlines_of_truth_prediction_and_both():
    truth, found = np.zeros((2, 12, 12), np.int32)
    truth[2:8, 2:8], found[2:8, 4:10] = 1, 5
    grey = np.full((12, 12), 90, np.uint8)
    picture = comparison_overlay(truth, found, grey)
    assert tuple(picture[4, 2]) == TRUTH_COLOUR
    assert tuple(picture[4, 9]) == PREDICTION_COLOUR
    assert tuple(picture[2, 5]) == BOTH_COLOUR
    assert tuple(picture[0, 0]) == (90, 90, 90)
    assert tuple(picture[5, 6]) == (90, 90, 90)  # inside of both: the image can be seen
    assert not comparison_overlay(truth, found)[0, 0].any()
    with pytest.raises(InvalidVolumeError, match="image has shape"):
        comparison_overlay(truth, found, grey[1:])
