"""Correlations whose values are known, and links of two matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.explain.correlations import (
    compare_links,
    correlation_matrix,
    links,
    target_correlations,
)


def rows_with(matrix, count=50, seed=0):
    """Rows whose correlation matrix is exactly the one wanted."""
    rng = np.random.default_rng(seed)
    white = rng.normal(size=(count, len(matrix)))
    white -= white.mean(0)
    white = np.linalg.qr(white)[0]
    return white @ np.linalg.cholesky(np.array(matrix, float)).T


KNOWN = [[1.0, 0.8, 0.0], [0.8, 1.0, -0.5], [0.0, -0.5, 1.0]]


def test_known_correlations_come_back():
    np.testing.assert_allclose(correlation_matrix(rows_with(KNOWN)), KNOWN, atol=1e-12)


def test_is_numpys():
    x = np.random.default_rng(1).normal(size=(30, 7)) ** 3
    np.testing.assert_allclose(correlation_matrix(x), np.corrcoef(x, rowvar=False), atol=1e-12)


def test_two_rows_are_one_line():
    found = correlation_matrix(np.array([[0.0, 3.0, 1.0], [1.0, 5.0, -1.0]]))
    np.testing.assert_allclose(found, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    shift=st.floats(-1e4, 1e4),
    scale=st.floats(1e-200, 1e100),
    flipped=st.booleans(),
)
def test_scale_and_shift_change_nothing_and_a_flip_changes_signs(seed, shift, scale, flipped):
    x = np.random.default_rng(seed).normal(size=(20, 4))
    sign = np.array([1, -1 if flipped else 1, 1, 1])
    expected = correlation_matrix(x) * np.outer(sign, sign)
    found = correlation_matrix((x * sign + shift) * scale)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert (found == found.T).all()
    assert np.abs(found).max() <= 1


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e9, 1e300])
def test_a_constant_column_correlates_with_nothing_itself_included(constant):
    x = np.random.default_rng(2).normal(size=(33, 3))
    x[:, 1] = constant
    found = correlation_matrix(x)
    assert (found[1] == 0).all()
    assert (found[:, 1] == 0).all()
    assert found[0, 0] == found[2, 2] == 1
    assert (target_correlations(x, x[:, 1], rows=None).draws == 0).all()


def test_links_are_strong_pairs_of_different_columns():
    found = links(np.array(KNOWN), 0.5)
    assert found.tolist() == [[False, True, False], [True, False, True], [False, True, False]]


def test_links_of_one_alone_and_of_opposite_signs_differ():
    first = np.eye(5)
    second = np.eye(5)
    for pair, (one, other) in {
        (0, 1): (0.7, 0.5),  # common
        (0, 2): (0.7, 0.4),  # of the first alone
        (0, 3): (0.1, -0.6),  # of the second alone
        (0, 4): (0.7, -0.7),  # opposite
        (1, 2): (0.4, -0.4),  # of none
        (1, 3): (-0.5, -0.9),  # common
    }.items():
        first[pair] = first[pair[::-1]] = one
        second[pair] = second[pair[::-1]] = other
    found = compare_links(first, second, 0.5)
    upper = np.triu(np.ones((5, 5), bool))
    assert np.argwhere(found.common & upper).tolist() == [[0, 1], [1, 3]]
    assert np.argwhere(found.differing & upper).tolist() == [[0, 2], [0, 3], [0, 4]]
    swapped = compare_links(second, first, 0.5)
    assert (swapped.differing == found.differing).all()
    assert not compare_links(first, first, 0.5).differing.any()


def test_the_bootstraps_spread_is_the_standard_error():
    """Of normal rows: (1 - r^2) / sqrt(N) (Fisher 1915)."""
    x = rows_with([[1.0, 0.6], [0.6, 1.0]], count=400)
    found = target_correlations(x[:, :1], x[:, 1], draws=400, rows=None)
    assert found.whole[0] == pytest.approx(0.6)
    assert found.mean[0] == pytest.approx(0.6, abs=0.01)
    assert found.std[0] == pytest.approx(0.64 / 20, rel=0.2)


def test_subsamples_are_drawn_without_replacement_and_the_same_for_a_seed():
    x = rows_with(KNOWN, count=600)
    found = target_correlations(x[:, :2], x[:, 2], draws=12, rows=599, seed=3)
    assert found.draws.shape == (12, 2)
    np.testing.assert_allclose(found.whole, [0, -0.5], atol=1e-12)
    np.testing.assert_allclose(found.draws - found.whole, 0, atol=0.02)
    again = target_correlations(x[:, :2], x[:, 2], draws=12, rows=599, seed=3)
    assert (found.draws == again.draws).all()
    assert (found.draws != target_correlations(x[:, :2], x[:, 2], draws=12, rows=599).draws).any()


def test_nonsense_is_refused_in_one_line():
    x = np.random.default_rng(4).normal(size=(10, 3))
    with pytest.raises(ValueError, match="1 rows"):
        correlation_matrix(x[:1])
    with pytest.raises(ValueError, match="threshold is 0"):
        links(np.eye(3), 0)
    with pytest.raises(ValueError, match="take the same columns"):
        compare_links(np.eye(3), np.eye(2), 0.5)
    with pytest.raises(ValueError, match="10 draws of 10 rows from 10"):
        target_correlations(x, x[:, 0], rows=10)
    x[2, 1] = np.nan
    with pytest.raises(ValueError, match="column 1 is not finite"):
        correlation_matrix(x)
