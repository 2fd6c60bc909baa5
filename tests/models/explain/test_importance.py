"""Importance of features: planted drivers come first, whatever the rows and the random numbers."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.stats import pearsonr

from models.explain.importance import importance_of, repeated
from models.learn.forest import Forest
from models.learn.learner import Rows
from models.learn.ridge import Ridge
from models.phantoms.crowd import gather
from models.phantoms.electrode_config import ElectrodePhantom, cycled_electrode

NOISE = 6  # columns that say nothing


def each_alone(count):
    return [np.array([place]) for place in range(count)]


def electrode(cycles):
    """A wide electrode as after so many cycles: true attributes, columns of noise and damage."""
    config = ElectrodePhantom(
        seed=2,
        shape_voxels=(128, 260, 260),
        damage=cycled_electrode(cycles).damage,
    )
    crowd = gather(config)
    centres = crowd.centroids_um
    axes = np.array([body.axes_um for body in crowd.bodies])
    columns = dict(zip(("z_um", "y_um", "x_um"), centres.T, strict=True))
    columns["volume_um3"] = crowd.volume_um3
    columns["elongation"] = axes[:, 0] / axes[:, 2]
    columns["distance_nearest_um"] = cKDTree(centres).query(centres, k=7)[0][:, 1:].mean(1)
    kept = crowd.inside_fraction > 0.99
    rng = np.random.default_rng(0)
    columns |= {f"noise {n}": rng.normal(size=len(kept)) for n in range(NOISE)}
    x = np.stack([values[kept] for values in columns.values()], axis=1)
    groups = (columns["x_um"][kept] // 20).astype(int)
    return list(columns), Rows(x, crowd.damage[kept], groups, np.ones(len(x)))


@pytest.fixture(scope="module", params=[10, 50])
def cycled(request):
    return request.param, *electrode(request.param)


def test_planted_drivers_come_first_under_both_strategies(cycled):
    cycles, names, rows = cycled
    planted = {10: ("z_um", "volume_um3"), 50: ("z_um", "distance_nearest_um")}[cycles]
    found = list(
        repeated(
            Forest(trees=40),
            rows,
            rows,
            each_alone(len(names)),
            draws=2,
            draw_rows=250,
            seeds=1,
            seed=0,
        )
    )
    assert [(one.strategy, one.repeat) for one in found] == [
        ("draws", 0), ("draws", 1), ("seeds", 0)
    ]  # fmt: skip
    for one in found:
        order = [names[place] for place in np.argsort(-one.total)]
        assert set(order[:2]) == set(planted), order
        assert one.share.sum() == pytest.approx(1)


def test_without_a_law_nothing_comes_first(cycled):
    _, names, rows = cycled
    shuffled = np.random.default_rng(1).permutation(rows.target)
    rows = Rows(rows.x, shuffled, rows.groups, rows.weight)
    (found,) = repeated(
        Forest(trees=60),
        rows,
        rows,
        each_alone(len(names)),
        draws=0,
        draw_rows=500,
        seeds=1,
        seed=0,
    )
    assert found.share.max() < 2.5 / len(names)


def test_draws_differ_and_the_same_seed_draws_the_same():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    rows = Rows(x, x[:, 0] + rng.normal(size=60), np.arange(60), np.ones(60))
    asked = {"draws": 2, "draw_rows": 500, "seeds": 0, "seed": 4}
    first, second = repeated(Ridge(), rows, rows, each_alone(3), **asked)
    again, _ = repeated(Ridge(), rows, rows, each_alone(3), **asked)
    assert first.rows == 48  # four fifths of so few
    np.testing.assert_array_equal(first.total, again.total)
    assert not np.array_equal(first.total, second.total)


def test_importance_is_the_sum_of_absolute_values_and_vectors_go_together():
    values = np.array([[1.0, 2.0, -2.0], [-3.0, 1.0, 1.0]])
    rows = Rows(np.arange(6.0).reshape(2, 3), np.array([0.0, 1.0]), np.arange(2), np.ones(2))
    found = importance_of(values, rows, [np.array([0]), np.array([1, 2])], "model")
    np.testing.assert_array_equal(found.total, [4, 2])
    np.testing.assert_allclose(found.share, [2 / 3, 1 / 3])
    assert found.pearson[0] == pytest.approx(1)
    assert np.isnan(found.pearson[1])


def test_correlation_is_pearsons_and_nought_of_a_constant():
    rng = np.random.default_rng(2)
    x = np.stack([rng.normal(size=40), np.ones(40)], axis=1)
    target = x[:, 0] + rng.normal(size=40)
    rows = Rows(x, target, np.arange(40), np.ones(40))
    found = importance_of(np.zeros((40, 2)), rows, each_alone(2), "model")
    np.testing.assert_allclose(found.pearson, [pearsonr(x[:, 0], target).statistic, 0])
    np.testing.assert_array_equal(found.share, [0, 0])


def test_shapley_values_of_ridge_are_exact():
    from shap import LinearExplainer

    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 4)) * [1, 2, 3, 4] + 5
    rows = Rows(x, x @ [1, -1, 0.5, 0] + rng.normal(size=50), np.arange(50), np.ones(50))
    fit = Ridge(scalings=((1.0, "standard"),)).fit(rows)
    found = fit.shapley(x)
    np.testing.assert_allclose(found.base + found.values.sum(1), fit.predict(x).number)
    slope = fit.coefficients / fit.scaling.spread
    intercept = fit.intercept - fit.scaling.centre @ slope
    expected = LinearExplainer((slope, intercept), x).shap_values(x)
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
