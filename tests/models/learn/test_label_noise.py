"""Swapped labels come first, whole groups cannot vouch for themselves, and noise accuses nobody."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learn.label_noise import (
    balanced_accuracy,
    label_noise,
    out_of_fold,
    principal_directions,
)


def clouds(per_class=20, classes=3, dimension=8, seed=0, apart=4.0):
    """Unit vectors around one direction for each class."""
    random = np.random.default_rng(seed)
    middle = random.normal(size=(classes, dimension)) * apart
    codes = np.repeat(np.arange(classes), per_class)
    x = middle[codes] + random.normal(size=(len(codes), dimension))
    return x / np.linalg.norm(x, axis=1, keepdims=True), codes


def test_swapped_labels_are_ranked_first_and_suspected_with_the_right_class():
    x, truth = clouds()
    codes = truth.copy()
    swapped = np.array([3, 25, 50])
    codes[swapped] = (truth[swapped] + 1) % 3
    found = label_noise(x, codes, np.arange(60))
    assert set(np.argsort(found.rank)[:3]) == set(swapped)
    assert np.flatnonzero(found.suspected).tolist() == swapped.tolist()
    assert (found.suggested[swapped] == truth[swapped]).all()
    assert found.skill > 0.9


def test_a_specimen_whose_images_all_have_the_wrong_label_is_found_when_held_out_whole():
    x, truth = clouds()
    specimens = np.arange(60) // 4
    codes = truth.copy()
    codes[specimens == 2] = 2
    wrong = np.flatnonzero(specimens == 2)
    found = label_noise(x, codes, specimens)
    assert set(wrong) == set(np.argsort(found.rank)[:4])
    assert found.suspected[wrong].all()
    together = out_of_fold(x, codes, specimens)[wrong, 2]
    apart = out_of_fold(x, codes, np.arange(60))[wrong, 2]
    assert together.mean() < apart.mean()


def test_labels_that_vectors_know_nothing_of_are_not_suspected():
    x, _ = clouds()
    codes = np.random.default_rng(1).integers(0, 2, 60)
    found = label_noise(x, codes, np.arange(60))
    assert not found.suspected.any()
    assert abs(found.skill) < 0.5


def test_probabilities_are_shares_and_the_same_again():
    x, codes = clouds()
    found = out_of_fold(x, codes, np.arange(60))
    assert found.shape == (60, 3)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found == out_of_fold(x, codes, np.arange(60))).all()


def test_a_class_of_one_group_is_refused():
    x, codes = clouds(4, 2)
    with pytest.raises(ValueError, match="fewer than two groups"):
        label_noise(x, codes, np.array([0, 0, 0, 0, 1, 2, 3, 4]))


def test_the_class_of_the_row_itself_is_not_seen():
    """A label that no vector predicts is right by chance only, though each row is unique."""
    random = np.random.default_rng(3)
    x, codes = random.normal(size=(80, 300)), random.integers(0, 2, 80)
    found = out_of_fold(x, codes, np.arange(80))
    assert (found.argmax(axis=1) == codes).mean() < 0.75


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 9))
def test_directions_keep_all_distances_up_to_one_scale(rows, dimension, seed):
    x = np.random.default_rng(seed).normal(size=(rows, dimension))
    along = principal_directions(x)

    def distances(of):
        return np.linalg.norm(of[:, None] - of[None], axis=2)

    scale = distances(x).sum() / distances(along).sum()
    assert np.allclose(distances(along) * scale, distances(x), atol=1e-6)
    assert np.isclose((along**2).sum(axis=1).mean(), 1)


def test_directions_are_the_widest_first_and_equal_rows_give_none():
    x = np.random.default_rng(0).normal(size=(50, 4)) * [1, 10, 3, 0.1]
    spread = principal_directions(x, 2).std(axis=0)
    assert spread[0] > spread[1]
    assert (principal_directions(np.ones((5, 3))) == 0).all()


def test_balanced_accuracy_weighs_classes_alike():
    codes = np.array([0] * 9 + [1])
    assert balanced_accuracy(codes, np.zeros(10, int)) == 0.5
    assert balanced_accuracy(codes, codes) == 1
