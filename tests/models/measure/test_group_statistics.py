"""Groups of values: known counts and quartiles, effects and tests that know the answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.measure.group_statistics import (
    ALL,
    Values,
    class_numbers,
    compare_groups,
    equal_count_limits,
    holm,
    summarise,
)

numbers = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60)


def group(values, volumes=None):
    values = np.array(values, float)
    return Values(values, np.array(volumes if volumes is not None else np.zeros(len(values)), int))


def test_a_summary_is_that_of_the_textbook():
    found = summarise(group([1, 2, 3, 4, 5, 9], [0, 0, 0, 1, 1, 1]))
    assert (found.particles, found.volumes) == (6, 2)
    assert found.mean == 4
    assert found.std == pytest.approx(np.sqrt(8))
    assert found.standard_error == pytest.approx(np.sqrt(8 / 6))
    assert found.standard_error_volumes == pytest.approx(2)  # means 2 and 6
    assert found.quartiles == (2.25, 3.5, 4.75)


def test_one_volume_has_no_error_over_volumes_and_nothing_says_nothing():
    one = summarise(group([1, 2, 3]))
    assert one.volumes == 1 and np.isnan(one.standard_error_volumes)
    none = summarise(group([]))
    assert (none.particles, none.volumes) == (0, 0)
    assert np.isnan([none.mean, none.std, none.standard_error, *none.quartiles]).all()
    assert np.isnan(summarise(group([7])).std)


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 50), min_size=12, max_size=200, unique=True), st.integers(1, 5))
def test_classes_hold_as_many_each(values, classes):
    values = np.array(values)
    limits = equal_count_limits(values, classes)
    number = class_numbers(values, limits)
    counts = np.bincount(number, minlength=len(limits))[1:]
    assert counts.sum() == len(values)
    assert (limits[0], limits[-1]) == (values.min(), values.max())
    if len(limits) == classes + 1:
        assert np.ptp(counts) <= 2  # limits lie between values, not on them
    assert np.all(np.diff(number[np.argsort(values)]) >= 0)


def test_equal_values_are_no_classes_and_what_lies_outside_has_none():
    assert equal_count_limits(np.full(9, 2.0), 3).size == 0
    assert class_numbers(np.full(3, 2.0), np.zeros(0)).tolist() == [0, 0, 0]
    values = np.array([0.5, 1, 2, 3, 3.5, np.nan])
    assert class_numbers(values, np.array([1.0, 2, 3])).tolist() == [0, 1, 2, 2, 0, 0]
    with pytest.raises(ValueError, match="one at least"):
        equal_count_limits(np.arange(3.0), 0)


@settings(deadline=None)
@given(numbers, numbers)
def test_cliffs_delta_is_that_of_all_pairs(first, second):
    (found,) = compare_groups({"a": group(first), "b": group(second)})
    pairs = np.sign(np.subtract.outer(second, first))
    assert found.effect == pytest.approx(pairs.mean(), abs=1e-12)
    (back,) = compare_groups({"b": group(second), "a": group(first)})
    assert back.effect == pytest.approx(-found.effect, abs=1e-12)
    assert back.p_value == pytest.approx(found.p_value)


def test_groups_that_do_not_overlap_differ_all_the_way():
    (found,) = compare_groups({"C/10": group(range(8)), "1C": group(range(20, 28))})
    assert (found.level, found.test, found.effect) == ("particles", "mann-whitney", 1)
    assert found.p_value == pytest.approx(2 / 12870)  # of 16 over 8 orders, both tails
    assert found.counts == (8, 8) and found.volumes == (1, 1)


def test_equal_values_differ_in_nothing():
    groups = {name: group([1, 1, 1]) for name in "abc"}
    assert {one.p_value for one in compare_groups(groups)} == {1.0}
    assert {one.effect for one in compare_groups(groups)} == {0.0}


def test_volumes_are_compared_only_where_there_are_several():
    several = group([1, 2, 3, 4], [0, 0, 1, 1])
    assert {one.level for one in compare_groups({"a": several, "b": group([5, 6, 7])})} == {
        "particles"
    }
    other = group([11, 12, 13, 14, 15, 16], [2, 2, 3, 3, 4, 4])
    levels = {one.level: one for one in compare_groups({"a": several, "b": other})}
    assert levels["volumes"].counts == (2, 3) == levels["volumes"].volumes
    assert levels["volumes"].p_value == pytest.approx(0.2)  # 2 of 10 orders
    assert levels["particles"].p_value < 0.02


def test_three_groups_are_compared_at_once_as_well():
    found = compare_groups({"a": group([1, 2, 3]), "b": group([4, 5, 6]), "c": group([7, 8, 9])})
    whole = found[0]
    assert (whole.test, whole.first, whole.second) == ("kruskal-wallis", ALL, ALL)
    assert whole.effect == pytest.approx(7.2 / 8)  # H = 12 / 90 (6² + 15² + 24²) / 3 − 30
    assert [(one.first, one.second) for one in found[1:]] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_single_values_are_not_compared():
    assert compare_groups({"a": group([1]), "b": group([2, 3])}) == []


def test_nothing_planted_is_seldom_found():
    rng = np.random.default_rng(5)
    found = [
        compare_groups({"a": group(rng.random(40)), "b": group(rng.random(40))})[0].p_value
        for _ in range(400)
    ]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.035)  # three errors


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, np.nan]) == pytest.approx(
        [0.03, 0.06, 0.06, np.nan], nan_ok=True
    )
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    assert holm([]).size == 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_p_values_and_bonferroni(p_values):
    corrected = holm(p_values)
    assert np.all(corrected >= np.array(p_values) * (1 - 1e-12))
    assert np.all(corrected <= np.minimum(np.array(p_values) * len(p_values), 1) + 1e-12)
