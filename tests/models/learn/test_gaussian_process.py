"""Gaussian process against closed forms and scikit-learn, and its spread against what it says."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from models.learn.additive_kernel import CONSTANT, Evidence, Hyperparameters, distances, prior
from models.learn.evaluation import Fold, evaluate
from models.learn.gaussian_process import GaussianProcess
from models.learn.learner import CannotLearnError, Rows

PLAIN = ((1.0, "none"),)


def rows_of(x, target, groups=None, weight=None):
    count = len(target)
    return Rows(
        np.asarray(x, float),
        np.asarray(target, float),
        np.arange(count) if groups is None else np.asarray(groups),
        np.ones(count) if weight is None else np.asarray(weight, float),
    )


def wavy(rng, count, noise, idle=0):
    """A smooth function of two features; further ones have no part in it."""
    x = rng.uniform(-2, 2, (count, 2 + idle))
    return x, np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] ** 2 + noise * rng.normal(size=count)


def evidence_of(rng, count, sizes, averaging=None):
    x = rng.normal(size=(count, sum(sizes)))
    averaging = np.eye(count) if averaging is None else averaging
    return x, Evidence(
        distances(x, x, np.array(sizes)),
        averaging,
        rng.normal(size=len(averaging)),
        rng.uniform(0.5, 2, len(averaging)),
    )


def test_the_marginal_likelihood_is_scikit_learns():
    x, evidence = evidence_of(np.random.default_rng(0), 25, (3,))
    theta = Hyperparameters(np.array([0.7]), 1.3, 0.3)
    kernel = ConstantKernel(0.7) * RBF(1.3) + ConstantKernel(CONSTANT)
    noise = 0.3 / evidence.weight + 1e-8
    reference = GaussianProcessRegressor(kernel, optimizer=None, alpha=noise)
    reference.fit(x, evidence.target)
    middle, width = prior(1)
    off = (theta.logarithms() - middle) / width
    likelihood = 0.5 * off @ off - evidence.negative(theta.logarithms())[0]
    assert likelihood == pytest.approx(reference.log_marginal_likelihood(), rel=1e-9)


def test_the_gradient_is_the_slope():
    rng = np.random.default_rng(1)
    averaging = np.kron(np.eye(10), np.full(3, 1 / 3))
    _, evidence = evidence_of(rng, 30, (2, 5), averaging)
    at = Hyperparameters(np.array([0.4, 1.1]), 2.0, 0.3).logarithms()
    slope = approx_fprime(at, lambda logarithms: evidence.negative(logarithms)[0], 1e-6)
    np.testing.assert_allclose(evidence.negative(at)[1], slope, rtol=1e-4, atol=1e-4)


def test_predictions_are_scikit_learns_with_the_same_kernel():
    rng = np.random.default_rng(2)
    x, y = wavy(rng, 40, 0.2)
    fit = GaussianProcess(scalings=PLAIN).fit(rows_of(x, y))
    theta = fit.hyperparameters
    kernel = (
        ConstantKernel(theta.variances[0]) * RBF(theta.length)
        + ConstantKernel(CONSTANT)
        + WhiteKernel(theta.noise)
    )
    model = GaussianProcessRegressor(kernel, optimizer=None, alpha=1e-8)
    model.fit(fit.scaling.apply(x), (y - y.mean()) / y.std())
    new = rng.uniform(-2, 2, (20, 2))
    number, std = model.predict(fit.scaling.apply(new), return_std=True)
    found = fit.predict(new)
    np.testing.assert_allclose(found.number, y.mean() + y.std() * number, rtol=1e-6)
    np.testing.assert_allclose(found.std, fit.widening * y.std() * std, rtol=1e-6)


def test_blocks_add_up_their_kernels():
    rng = np.random.default_rng(3)
    x, y = wavy(rng, 30, 0.1, idle=3)
    fit = GaussianProcess(blocks=(1, 4), scalings=PLAIN).fit(rows_of(x, y))
    theta, rows = fit.hyperparameters, fit.rows
    np.testing.assert_allclose((rows[:, :1] ** 2).sum(1).mean(), 1)
    np.testing.assert_allclose((rows[:, 1:] ** 2).sum(1).mean(), 1)

    def kernel(a, b):
        apart = (a[:, None] - b) ** 2 / (2 * theta.length**2)
        first, second = np.exp(-apart[..., 0]), np.exp(-apart[..., 1:].sum(-1))
        return CONSTANT + theta.variances[0] * first + theta.variances[1] * second

    noise = theta.noise + 1e-8
    inverse = np.linalg.inv(kernel(rows, rows) + noise * np.eye(30))
    new = rng.uniform(-2, 2, (7, 5))
    across = kernel(fit.scaling.apply(new), rows)
    expected = y.mean() + across @ inverse @ (y - y.mean())
    np.testing.assert_allclose(fit.predict(new).number, expected, rtol=1e-6)


def test_the_block_that_matters_gets_the_variance():
    rng = np.random.default_rng(4)
    x, y = wavy(rng, 60, 0.1, idle=40)
    x = np.hstack([x[:, 2:], x[:, :2]])
    apart = GaussianProcess(blocks=(40, 2)).fit(rows_of(x, y))
    assert apart.chosen["share of block 2"] > 0.9
    assert apart.chosen["share of block 1"] + apart.chosen["share of block 2"] == pytest.approx(1)
    new, measured = wavy(rng, 300, 0, idle=40)
    new = np.hstack([new[:, 2:], new[:, :2]])
    together = GaussianProcess().fit(rows_of(x, y))
    rmse = [np.sqrt(np.mean((f.predict(new).number - measured) ** 2)) for f in (apart, together)]
    assert rmse[0] < 0.3 * rmse[1]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_noise_and_coverage_of_simulated_data(seed):
    rng = np.random.default_rng(10 + seed)
    x, y = wavy(rng, 150, 0.3)
    fit = GaussianProcess().fit(rows_of(x, y))
    assert fit.chosen["noise"] == pytest.approx(0.3, rel=0.2)
    new, measured = wavy(rng, 2000, 0.3)
    found = fit.predict(new)
    off = np.abs(measured - found.number) / found.std
    assert np.mean(off <= 1) == pytest.approx(0.683, abs=0.06)
    assert np.mean(off <= 2) == pytest.approx(0.954, abs=0.03)


def specimens(rng, count, images):
    """Images of a specimen scatter, and share a label that is off by the specimen's own noise."""
    true = rng.uniform(-2, 2, count)
    label = np.sin(true) + 0.3 * rng.normal(size=count)
    x = np.repeat(true, images)[:, None] + 0.2 * rng.normal(size=(count * images, 1))
    return x, np.repeat(label, images), np.repeat(np.arange(count), images)


def test_five_images_of_a_specimen_are_one_measurement():
    noise, within = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        fit = GaussianProcess(scalings=PLAIN).fit(rows_of(*specimens(rng, 60, 5)))
        assert fit.averaging.shape == (60, 300)
        noise.append(fit.chosen["noise"])
        new, measured, _ = specimens(rng, 1000, 1)
        found = fit.predict(new)
        within.append(np.mean(np.abs(measured - found.number) <= found.std))
    assert np.mean(noise) == pytest.approx(0.3, rel=0.1)
    assert np.mean(within) == pytest.approx(0.683, abs=0.05)


def test_the_same_image_twice_is_as_once():
    x, y = wavy(np.random.default_rng(15), 30, 0.2)
    once = GaussianProcess().fit(rows_of(x, y)).predict(x)
    twice = rows_of(np.repeat(x, 2, 0), np.repeat(y, 2), np.repeat(np.arange(30), 2))
    found = GaussianProcess().fit(twice).predict(x)
    np.testing.assert_allclose(found.number, once.number, rtol=1e-4)
    np.testing.assert_allclose(found.std, once.std, rtol=1e-4)


def test_rows_of_one_group_with_labels_of_their_own_are_measurements_of_their_own():
    x, y = wavy(np.random.default_rng(16), 30, 0.2)
    fit = GaussianProcess(scalings=PLAIN).fit(rows_of(x, y, np.arange(30) // 3))
    np.testing.assert_array_equal(np.sort(fit.averaging.argmax(1)), np.arange(30))


def test_the_spread_is_never_narrower_than_left_out_groups_say():
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(12), 3)
    x, _ = wavy(rng, 36, 0)
    y = rng.standard_t(2, 36)
    y[1::3] = y[::3]  # two of three rows share a measurement
    fit = GaussianProcess(scalings=PLAIN).fit(rows_of(x, y, groups))
    theta, rows = fit.hyperparameters, fit.rows
    kernel = np.exp(-((rows[:, None] - rows) ** 2).sum(-1) / (2 * theta.length**2))
    kernel = CONSTANT + theta.variances[0] * kernel
    ratios = []
    for group in range(12):
        out = groups == group
        averaging = fit.averaging[~fit.averaging[:, out].any(1)]
        across = kernel[out] @ averaging.T
        covariance = averaging @ kernel @ averaging.T + (theta.noise + 1e-8) * np.eye(
            len(averaging)
        )
        gain = across @ np.linalg.inv(covariance)
        number = fit.mean + gain @ (averaging @ y - fit.mean)
        variance = theta.alone + theta.noise - (gain * across).sum(1)
        ratios.extend((y[out] - number) ** 2 / variance / fit.unit**2)
    assert fit.widening == pytest.approx(max(1, np.sqrt(np.mean(ratios))), rel=1e-6)
    assert fit.widening > 1


def test_far_from_the_training_rows_it_knows_as_much_as_the_prior():
    x, y = wavy(np.random.default_rng(7), 60, 0.1)
    fit = GaussianProcess(scalings=PLAIN).fit(rows_of(x, y))
    theta = fit.hyperparameters
    near, far = fit.predict(np.stack([x[0], x[0] + 1000])).std
    assert near < 0.3 * far
    assert far >= fit.unit * np.sqrt(theta.variances.sum() + theta.noise)


def test_restored_it_predicts_bit_for_bit():
    rng = np.random.default_rng(8)
    x, y = wavy(rng, 30, 0.1, idle=3)
    learner = GaussianProcess(blocks=(2, 3))
    fit = learner.fit(rows_of(x, y))
    tensors = fit.tensors()
    assert all(tensor.dtype == np.float64 for tensor in tensors.values())
    again = GaussianProcess().restore(tensors)
    new = rng.uniform(-3, 3, (50, 5))
    np.testing.assert_array_equal(again.predict(new).number, fit.predict(new).number)
    np.testing.assert_array_equal(again.predict(new).std, fit.predict(new).std)
    for name, tensor in again.tensors().items():
        np.testing.assert_array_equal(tensor, tensors[name])
    with pytest.raises(KeyError, match="gaussian_process"):
        GaussianProcess().restore({k: v for k, v in tensors.items() if k.startswith("scaling")})


def test_nothing_is_drawn():
    x, y = wavy(np.random.default_rng(9), 25, 0.1)
    first, second = (GaussianProcess().fit(rows_of(x, y), 0, seed) for seed in (0, 1))
    assert first.chosen == second.chosen
    np.testing.assert_array_equal(first.weights, second.weights)
    assert first.curves == second.curves
    assert {len(curve.x) - len(curve.y) for curve in first.curves} == {0}


def test_the_better_scaling_is_chosen():
    rng = np.random.default_rng(11)
    x = rng.uniform(0, 1, (60, 1)) ** 6
    y = 3 * x[:, 0] ** 0.5 + 0.02 * rng.normal(size=60)
    scalings = ((1.0, "none"), (0.5, "none"))
    found = GaussianProcess(scalings=scalings).fit(rows_of(x, y))
    assert found.chosen["power"] == 0.5
    single = [GaussianProcess(scalings=(one,)).fit(rows_of(x, y)).chosen for one in scalings]
    assert found.chosen["evidence"] == max(one["evidence"] for one in single)


def test_rows_without_weight_play_no_part_and_the_unit_of_weights_neither():
    rng = np.random.default_rng(12)
    x, y = wavy(rng, 40, 0.2)
    weight = np.where(np.arange(40) < 30, 1.0, 0.0)
    part, whole = rows_of(x[:30], y[:30]), rows_of(x, np.where(weight, y, 99), None, 7 * weight)
    expected, found = (GaussianProcess().fit(rows).predict(x) for rows in (part, whole))
    np.testing.assert_allclose(found.number, expected.number, rtol=1e-6)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-6)


def test_a_row_of_little_weight_is_hardly_followed():
    x = np.linspace(-2, 2, 21)[:, None]
    y = np.sin(x[:, 0])
    y[10] = 3
    weight = np.ones(21)
    weight[10] = 1e-3
    fit = GaussianProcess().fit(rows_of(x, y, None, weight))
    assert abs(fit.predict(x[10:11]).number[0]) < 0.2


def test_a_column_that_never_varies_is_no_trouble():
    x, y = wavy(np.random.default_rng(13), 30, 0.1)
    still = np.hstack([x, np.full((30, 2), 5.0)])
    found = GaussianProcess(blocks=(2, 2)).fit(rows_of(still, y)).predict(still)
    assert np.isfinite(found.number).all()
    assert np.mean((found.number - y) ** 2) < 0.1


def test_left_out_groups_are_foretold():
    rng = np.random.default_rng(14)
    x, y = wavy(rng, 80, 0.1, idle=10)
    groups = np.arange(80) // 4
    folds = [Fold(k, groups % 5 != k, groups % 5 == k) for k in range(5)]
    found = evaluate(
        GaussianProcess(blocks=(2, 10)), lambda _: x, y, groups, np.ones(80), folds
    ).prediction
    assert 1 - np.mean((found.number - y) ** 2) / y.var() > 0.9


@pytest.mark.parametrize(
    ("learner", "rows", "message"),
    [
        ({}, rows_of(np.eye(4), [1, 1, 1, 1]), "every row has the label 1: there is nothing"),
        ({}, rows_of(np.eye(4), [1, 2, 3, 4], [5, 5, 5, 5]), "1 group of rows"),
        ({}, rows_of(np.eye(4), [1, 2, 3, 4], None, np.zeros(4)), "0 group of rows"),
        (
            {"blocks": (1, 2)},
            rows_of(np.eye(4), [1, 2, 3, 4]),
            r"1 \+ 2 = 3 columns, and there are 4",
        ),
        ({"blocks": (4, 0)}, rows_of(np.eye(4), [1, 2, 3, 4]), "4 columns"),
        ({"most_rows": 3}, rows_of(np.eye(4), [1, 2, 3, 4]), "4 rows are more than the 3"),
    ],
)
def test_what_cannot_be_learned_is_said_in_one_line(learner, rows, message):
    with pytest.raises(CannotLearnError, match=message) as caught:
        GaussianProcess(**learner).fit(rows)
    assert "\n" not in str(caught.value)
