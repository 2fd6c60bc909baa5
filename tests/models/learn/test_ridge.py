"""Ridge regression against closed forms, and its spread against what it claims."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learn.learner import CannotLearnError, Rows
from models.learn.ridge import Ridge


def rows_of(x, target, groups=None, weight=None):
    count = len(target)
    return Rows(
        np.asarray(x, float),
        np.asarray(target, float),
        np.arange(count) if groups is None else np.asarray(groups),
        np.ones(count) if weight is None else np.asarray(weight, float),
    )


def linear(rng, count, features, noise, coefficients=None):
    x = rng.normal(size=(count, features))
    true = rng.normal(size=features) if coefficients is None else coefficients
    return x, x @ true + 3 + noise * rng.normal(size=count)


PLAIN = ((1.0, "none"),)


@pytest.mark.parametrize(("count", "features"), [(40, 6), (20, 50)])
def test_is_scikit_learns_ridge(count, features):
    from sklearn.linear_model import Ridge as Reference

    x, y = linear(np.random.default_rng(0), count, features, 0.5)
    fit = Ridge(penalties=(0.1,), scalings=PLAIN).fit(rows_of(x, y))
    centred = x - x.mean(0)
    scaled = centred / np.sqrt(centred.var(0).mean())
    penalty = 0.1 * (scaled**2).sum(1).mean()
    reference = Reference(alpha=penalty).fit(scaled, y)
    new = np.random.default_rng(1).normal(size=(7, features))
    expected = reference.predict((new - x.mean(0)) / np.sqrt(centred.var(0).mean()))
    np.testing.assert_allclose(fit.predict(new).number, expected, rtol=1e-9)


def test_spread_is_that_of_the_posterior():
    rng = np.random.default_rng(3)
    x, y = linear(rng, 15, 40, 0.3)
    fit = Ridge(penalties=(0.05,), scalings=PLAIN).fit(rows_of(x, y))
    scaled = fit.scaling.apply(x)
    new = fit.scaling.apply(rng.normal(size=(5, 40)))
    inverse = np.linalg.inv(scaled.T @ scaled + fit.penalty * np.eye(40))
    expected = fit.noise * np.sqrt(1 + np.einsum("nd,de,ne->n", new, inverse, new))
    back = new * fit.scaling.spread + fit.scaling.centre
    np.testing.assert_allclose(fit.predict(back).std, expected, rtol=1e-6)


def test_noise_and_coverage_of_simulated_data():
    rng = np.random.default_rng(4)
    true = rng.normal(size=8)
    x, y = linear(rng, 300, 8, 0.5, true)
    fit = Ridge().fit(rows_of(x, y))
    assert fit.noise == pytest.approx(0.5, rel=0.12)
    new, measured = linear(rng, 2000, 8, 0.5, true)
    found = fit.predict(new)
    within = np.abs(measured - found.number) <= found.std
    assert within.mean() == pytest.approx(0.683, abs=0.06)


def test_far_from_the_training_rows_the_spread_grows():
    x, y = linear(np.random.default_rng(5), 60, 5, 0.2)
    found = Ridge().fit(rows_of(x, y)).predict(np.stack([x[0], 30 * x[0]]))
    assert found.std[1] > 3 * found.std[0]


def test_weight_two_is_the_row_twice():
    x, y = linear(np.random.default_rng(6), 30, 4, 0.5)
    weight = np.ones(30)
    weight[:5] = 2
    once = Ridge(penalties=(0.1,)).fit(rows_of(x, y, np.arange(30), weight))
    twice = Ridge(penalties=(0.1,)).fit(
        rows_of(
            np.concatenate([x, x[:5]]),
            np.concatenate([y, y[:5]]),
            np.concatenate([np.arange(30), np.arange(5)]),
        )
    )
    assert once.chosen["penalty"] == twice.chosen["penalty"]
    if once.chosen == twice.chosen:
        np.testing.assert_allclose(once.predict(x).number, twice.predict(x).number, rtol=1e-8)


def test_the_signed_root_is_chosen_where_it_makes_the_target_linear():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(120, 3)) ** 3
    y = np.sign(x[:, 0]) * np.sqrt(np.abs(x[:, 0])) + 0.05 * rng.normal(size=120)
    assert Ridge().fit(rows_of(x, y)).chosen["power"] == 0.5


def test_pure_noise_takes_a_strong_penalty_and_predicts_the_mean():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(60, 200)), rng.normal(size=60)
    fit = Ridge().fit(rows_of(x, y))
    assert fit.chosen["penalty"] >= 1
    assert np.ptp(fit.predict(x).number) < 0.5 * np.ptp(y)


def test_a_silent_channel_that_wakes_up_does_not_throw_the_prediction_out():
    rng = np.random.default_rng(9)
    x, y = linear(rng, 50, 20, 0.1)
    x[:, 5] = 1e-6 * rng.normal(size=50)
    fit = Ridge().fit(rows_of(x, y))
    new = x[:1].copy()
    new[0, 5] = 1.0
    assert abs(fit.predict(new).number[0] - fit.predict(x[:1]).number[0]) < np.ptp(y)


def test_same_seed_same_bits_and_tensors_restore_them():
    x, y = linear(np.random.default_rng(10), 40, 60, 0.5)
    rows = rows_of(x, y, np.arange(40) // 2)
    one, other = Ridge().fit(rows, seed=3), Ridge().fit(rows, seed=3)
    assert all((one.tensors()[name] == other.tensors()[name]).all() for name in one.tensors())
    restored = Ridge().restore(one.tensors())
    assert (restored.predict(x).number == one.predict(x).number).all()
    assert (restored.predict(x).std == one.predict(x).std).all()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    shift=st.floats(-1e3, 1e3),
    stretch=st.floats(0.1, 100),
)
def test_shifted_and_stretched_labels_give_shifted_and_stretched_predictions(seed, shift, stretch):
    x, y = linear(np.random.default_rng(seed), 24, 5, 0.5)
    ridge = Ridge(penalties=(0.01, 0.1, 1.0), scalings=PLAIN)
    plain = ridge.fit(rows_of(x, y)).predict(x)
    moved = ridge.fit(rows_of(x, stretch * y + shift)).predict(x)
    np.testing.assert_allclose(moved.number, stretch * plain.number + shift, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moved.std, stretch * plain.std, rtol=1e-6)


def test_groups_are_kept_together_in_the_inner_validation():
    """Features that only name the group look perfect unless groups are kept together."""
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(20), 4)
    names = np.eye(20)[groups] * 3
    y = rng.normal(size=20)[groups] + 0.01 * rng.normal(size=80)
    kept = Ridge(scalings=PLAIN).fit(rows_of(names, y, groups))
    torn = Ridge(scalings=PLAIN).fit(rows_of(names, y))
    assert min(kept.curves[0].y) > 10 * min(torn.curves[0].y)


def test_one_group_or_one_value_cannot_be_learned():
    x, y = linear(np.random.default_rng(12), 10, 3, 0.1)
    with pytest.raises(CannotLearnError, match="two groups"):
        Ridge().fit(rows_of(x, y, np.zeros(10, int)))
    with pytest.raises(CannotLearnError, match="nothing to learn"):
        Ridge().fit(rows_of(x, np.ones(10)))
