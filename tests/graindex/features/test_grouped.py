import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graindex.features.grouped import grouped_statistics, grouped_vector_mean, weighted_means

ALL = ["mean", "sd", "sum", "min", "max", "median", "iqr", "mad", "q10", "q90"]
values = st.one_of(st.floats(-1e9, 1e9), st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf]))
rows = st.lists(st.tuples(st.integers(0, 4), values), max_size=40)


def by_hand(group):
    group = np.array([v for v in group if np.isfinite(v)])
    if not len(group):
        return dict.fromkeys(ALL, np.nan)
    quantile = {name: np.quantile(group, q) for name, q in (("q10", 0.1), ("q90", 0.9))}
    low, median, high = np.quantile(group, (0.25, 0.5, 0.75))
    return {
        "mean": group.mean(),
        "sd": group.std(ddof=1) if len(group) > 1 else np.nan,
        "sum": group.sum(),
        "min": group.min(),
        "max": group.max(),
        "median": median,
        "iqr": high - low,
        "mad": np.median(np.abs(group - median)),
        **quantile,
    }


@given(rows)
@settings(max_examples=150)
def test_statistics_are_those_of_each_group_alone(given_rows):
    groups = np.array([g for g, _ in given_rows], np.int64)
    numbers = np.array([v for _, v in given_rows], float)
    found = grouped_statistics(groups, numbers, 5, ALL)
    for group in range(5):
        wanted = by_hand(numbers[groups == group])
        for name in ALL:
            scale = np.nanmax(np.abs(np.where(np.isfinite(numbers), numbers, 0)), initial=1)
            np.testing.assert_allclose(
                found[name][group], wanted[name], rtol=1e-12, atol=1e-12 * scale, err_msg=name
            )


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_order_of_rows_changes_no_bit(given_rows, random):
    shuffled = list(given_rows)
    random.shuffle(shuffled)
    results = []
    for listed in (given_rows, shuffled):
        groups = np.array([g for g, _ in listed], np.int64)
        numbers = np.array([v for _, v in listed], float)
        found = grouped_statistics(groups, numbers, 5, ALL)
        found["weighted"] = weighted_means(groups, numbers, np.abs(numbers), 5)
        results.append({name: array.tobytes() for name, array in found.items()})
    assert results[0] == results[1]


def test_a_group_does_not_depend_on_other_groups():
    rng = np.random.default_rng(0)
    own = rng.lognormal(size=1000)
    alone = grouped_statistics(np.zeros(1000, np.int64), own, 1, ALL)
    groups = np.r_[np.zeros(1000, np.int64), np.ones(500, np.int64)]
    beside = grouped_statistics(groups, np.r_[own, 1e12 * rng.normal(size=500)], 2, ALL)
    assert all(alone[name][0] == beside[name][0] for name in ALL)


def test_equal_numbers_have_themselves_as_mean_and_no_spread():
    found = grouped_statistics(np.zeros(3, np.int64), np.full(3, 0.1), 1, ALL)
    assert found["mean"][0] == 0.1
    assert found["sd"][0] == found["iqr"][0] == found["mad"][0] == 0


def test_one_number_has_no_standard_deviation():
    found = grouped_statistics(np.array([1]), np.array([2.5]), 2, ALL)
    assert np.isnan(found["sd"]).all()
    assert found["mean"][1] == found["q10"][1] == 2.5
    assert np.isnan(found["mean"][0])


def test_weights_weigh():
    groups = np.array([0, 0, 1, 1, 2])
    found = weighted_means(
        groups, np.array([1.0, 4.0, 2.0, np.nan, 3.0]), np.array([1.0, 2.0, 1.0, 9.0, 0.0]), 3
    )
    np.testing.assert_array_equal(found, [3.0, 2.0, np.nan])


def test_vectors_are_averaged_number_by_number():
    found = grouped_vector_mean(np.array([2, 0, 2]), np.array([[1, 2], [5, 5], [3, 6.0]]), 3)
    np.testing.assert_array_equal(found, [[5, 5], [np.nan, np.nan], [2, 4]])


@pytest.mark.parametrize("count", [0, 3])
def test_no_numbers_at_all(count):
    nothing = np.array([], np.int64)
    found = grouped_statistics(nothing, nothing.astype(float), count, ALL)
    assert all(len(found[name]) == count and np.isnan(found[name]).all() for name in ALL)
