"""Neighbours by cosine equal those that comparing every pair gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.measure import similar_vectors
from models.measure.similar_vectors import nearest


def unit(seed: int, rows: int, dimension: int = 5) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(
    st.integers(0, 99),
    st.integers(0, 30),
    st.integers(1, 30),
    st.integers(1, 8),
    st.sampled_from([-1.0, 0.0, 0.5]),
)
@settings(max_examples=60, deadline=None)
def test_neighbours_equal_brute_force(
    seed: int, queries: int, references: int, count: int, least: float
) -> None:
    asked, there = unit(seed, queries), unit(seed + 1, references)
    rows, columns, values = nearest(asked, there, count, least)
    likeness = asked.astype(np.float64) @ there.T
    for row in range(queries):
        best = sorted(likeness[row], reverse=True)[:count]
        wanted = [value for value in best if value >= least]
        got = sorted(values[rows == row], reverse=True)
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    if queries:
        np.testing.assert_allclose(values, likeness[rows, columns], atol=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit(1, 40)
    whole = {(r, c) for r, c, _ in zip(*nearest(vectors, vectors, 4), strict=True)}
    monkeypatch.setattr(similar_vectors, "BLOCK", 7)
    assert {(r, c) for r, c, _ in zip(*nearest(vectors, vectors, 4), strict=True)} == whole
    assert len(whole) == 160


def test_nothing_to_find_is_nothing() -> None:
    for asked, there in ((unit(3, 0), unit(4, 2)), (unit(3, 4), np.zeros((0, 5), np.float32))):
        assert [len(part) for part in nearest(asked, there, 3)] == [0, 0, 0]
