"""Distances to the nearest, against a plain sort."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.measure import vector_distance
from models.measure.vector_distance import nearest_distance


def units(rows, seed):
    x = np.random.default_rng(seed).normal(size=(rows, 6)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 6), st.integers(0, 99))
def test_as_by_sorting_everything(rows, others, k, seed):
    x, y = units(rows, seed), units(others, seed + 1)
    distances = np.sort(1 - x.astype(np.float64) @ y.astype(np.float64).T, axis=1)[:, :k]
    assert np.allclose(nearest_distance(x, y, k), distances.mean(axis=1), atol=1e-5)


def test_blocks_do_not_matter(monkeypatch):
    x = units(50, 0)
    whole = nearest_distance(x, x, 3, np.arange(50))
    monkeypatch.setattr(vector_distance, "_BLOCK", 7)
    assert np.allclose(nearest_distance(x, x, 3, np.arange(50)), whole)


def test_a_vector_is_no_neighbour_of_its_own():
    x = units(10, 0)
    assert np.allclose(nearest_distance(x, x, 1), 0, atol=1e-6)
    assert (nearest_distance(x, x, 1, np.arange(10)) > 1e-3).all()
    absent = np.where(np.arange(10) == 4, -1, np.arange(10))
    assert np.isclose(nearest_distance(x, x, 1, absent)[4], 0, atol=1e-6)


def test_without_others_everything_is_infinitely_far():
    x = units(3, 0)
    assert np.isinf(nearest_distance(x, x[:0], 3)).all()
    assert np.isinf(nearest_distance(x[:1], x[:1], 3, np.array([0]))).all()
