"""Shapley values of a Gaussian process: brute force over all coalitions, and they add up."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learn.gaussian_process import GaussianProcess
from models.learn.kernel_shapley import MOST_COLUMNS
from tests.models.learn.test_gaussian_process import rows_of

PLAIN = ((1.0, "none"),)


def fitted(seed, sizes, count=14, images=1):
    """A fit to a law of all columns, `images` rows of each group with one label."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count * images, sum(sizes)))
    target = np.repeat(np.sin(x[::images]).sum(1) + x[::images, 0] * x[::images, -1], images)
    rows = rows_of(x, target, np.repeat(np.arange(count), images))
    return GaussianProcess(blocks=sizes, scalings=PLAIN).fit(rows), rows


def brute_force(predict, x, background, share, players):
    """Values (N, P) of players, sets of columns: every coalition, the rest from the background."""
    count = len(players)
    worth = {}
    for size in range(count + 1):
        for chosen in combinations(range(count), size):
            columns = [c for player in chosen for c in players[player]]
            mixed = np.repeat(background[None], len(x), 0)  # (N, R, D)
            mixed[:, :, columns] = x[:, None, columns]
            found = predict(mixed.reshape(-1, x.shape[1])).reshape(len(x), len(background))
            worth[chosen] = found @ share
    values = np.zeros((len(x), count))
    for chosen, value in worth.items():
        for player in set(range(count)) - set(chosen):
            size = len(chosen)
            part = factorial(size) * factorial(count - size - 1) / factorial(count)
            joined = tuple(sorted((*chosen, player)))
            values[:, player] += part * (worth[joined] - value)
    return worth[()], values


@pytest.mark.parametrize("sizes", [(1, 1), (3,), (2, 3), (1, 4, 1)])
def test_columns_of_small_blocks_have_the_values_of_all_coalitions(sizes):
    fit, rows = fitted(0, sizes)
    new = np.random.default_rng(1).normal(size=(5, sum(sizes)))
    players = [[column] for column in range(sum(sizes))]
    share = np.full(14, 1 / 14)
    base, expected = brute_force(lambda x: fit.predict(x).number, new, rows.x, share, players)
    found = fit.shapley(new)
    assert found.base == pytest.approx(base[0], abs=1e-9)
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
    assert found.together == ()


def test_a_large_block_has_the_value_of_the_block_as_a_player():
    fit, rows = fitted(2, (2, MOST_COLUMNS + 1, 1))
    new = np.random.default_rng(3).normal(size=(4, MOST_COLUMNS + 4))
    block = list(range(2, MOST_COLUMNS + 3))
    players = [[0], [1], block, [MOST_COLUMNS + 3]]
    share = np.full(14, 1 / 14)
    _, expected = brute_force(lambda x: fit.predict(x).number, new, rows.x, share, players)
    found = fit.shapley(new)
    np.testing.assert_allclose(found.values[:, block].sum(1), expected[:, 2], atol=1e-9)
    np.testing.assert_allclose(found.values[:, [0, 1, -1]], expected[:, [0, 1, 3]], atol=1e-9)
    assert np.ptp(found.values[:, block], axis=1).max() == 0
    (together,) = found.together
    np.testing.assert_array_equal(together, block)


def test_the_background_are_measurements_and_not_images():
    fit, rows = fitted(4, (2, 1), count=8, images=3)
    share = np.full(24, 1 / 24)
    base, expected = brute_force(
        lambda x: fit.predict(x).number, rows.x, rows.x, share, [[0], [1], [2]]
    )
    found = fit.shapley(rows.x)
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
    twice = np.repeat(np.arange(24), np.where(np.arange(24) < 3, 5, 1))  # more of the first images
    more = rows_of(rows.x[twice], rows.target[twice], rows.groups[twice])
    again = GaussianProcess(blocks=(2, 1), scalings=PLAIN).fit(more)
    assert again.shapley(rows.x).base == pytest.approx(base[0], abs=0.02)


@given(
    st.integers(0, 1000),
    st.lists(st.integers(1, MOST_COLUMNS + 3), min_size=1, max_size=3),
    st.integers(1, 3),
)
@settings(max_examples=12, deadline=None)
def test_values_and_base_add_up_to_the_predictions(seed, sizes, images):
    fit, rows = fitted(seed, tuple(sizes), count=8, images=images)
    new = np.random.default_rng(seed).normal(size=(6, sum(sizes)))
    for x in (new, rows.x):
        found = fit.shapley(x)
        np.testing.assert_allclose(
            found.base + found.values.sum(1), fit.predict(x).number, rtol=0, atol=1e-9
        )


def test_a_column_without_a_part_has_no_value_and_equal_columns_share():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(30, 4))
    x[:, 2], x[:, 3] = x[:, 1], 7.0
    fit = GaussianProcess(blocks=(1, 3), scalings=PLAIN).fit(rows_of(x, x[:, 0] + np.sin(x[:, 1])))
    values = fit.shapley(x).values
    np.testing.assert_allclose(values[:, 3], 0, atol=1e-9)
    np.testing.assert_allclose(values[:, 1], values[:, 2], atol=1e-9)


def test_restored_it_explains_as_before():
    fit, rows = fitted(6, (2, 2))
    again = GaussianProcess().restore(fit.tensors())
    np.testing.assert_array_equal(again.shapley(rows.x).values, fit.shapley(rows.x).values)


def test_many_rows_are_worked_on_in_parts(monkeypatch):
    fit, rows = fitted(7, (3, 2), count=20)
    whole = fit.shapley(rows.x).values
    monkeypatch.setattr("models.learn.kernel_shapley._CELLS", 500)
    np.testing.assert_allclose(fit.shapley(rows.x).values, whole, atol=1e-12)
    assert fit.shapley(rows.x[:0]).values.shape == (0, 5)
