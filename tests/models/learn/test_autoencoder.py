"""The autoencoder against PCA, on rows whose number of factors is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.learn.autoencoder import Autoencoder, reconstruction_curve
from models.learn.autoencoder_fit import hold_out, principal, train, unexplained
from models.learn.autoencoder_network import Standard
from models.learn.learner import CannotLearnError

FACTORS = 3
QUICK = Autoencoder(latent=(FACTORS,), hidden=(16,), epochs=12)


def curved(seed, count, noise):
    """Twelve columns that are sines of three factors; the surface is always the same."""
    shape = np.random.default_rng(0)
    direction = shape.normal(size=(FACTORS, 12))
    direction *= 1.1 / np.linalg.norm(direction, axis=0)
    phase = shape.uniform(0, 2 * np.pi, 12)
    scale = np.sin(shape.uniform(-1, 1, (5000, FACTORS)) @ direction + phase).std(0)
    rng = np.random.default_rng(seed)
    x = np.sin(rng.uniform(-1, 1, (count, FACTORS)) @ direction + phase) / scale
    return x + noise * rng.normal(size=x.shape)


def flat(seed, count, noise):
    plane = np.random.default_rng(0).normal(size=(FACTORS, 12))
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, FACTORS)) @ plane + noise * rng.normal(size=(count, 12))


def pca_error(x, new, size):
    standard = Standard.of(x)
    directions = principal(standard.apply(x), size)
    rows = standard.apply(new)
    return unexplained(rows, rows @ directions @ directions.T)


def error(fit, new, keep=None):
    apply = fit.standard.apply
    return unexplained(apply(new), apply(fit.reconstruct(new, keep)))


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]


@pytest.fixture(scope="module")
def bent():
    """An autoencoder that chose its size on curved rows."""
    return Autoencoder(latent=(1, 2, 3, 4), hidden=(24,), epochs=20).fit(curved(1, 300, 0.1))


def test_curved_rows_are_reconstructed_better_than_by_pca(bent):
    new = curved(2, 1000, 0.1)
    assert error(bent, new) < 0.15 * pca_error(curved(1, 300, 0.1), new, FACTORS)
    assert error(bent, new) < 0.02  # of which the noise off the surface is 0.0075


def test_the_error_stops_falling_at_the_number_of_factors(bent):
    assert bent.chosen["latent"] == FACTORS
    falls = -np.diff(bent.curves[0].y)
    assert bent.curves[0].x == (1, 2, 3, 4)
    assert (falls[:2] > 0.05).all()
    assert (falls[2:] < 0.01).all()


@pytest.mark.slow
def test_the_published_rule_takes_the_least_error(bent):
    same = Autoencoder(latent=(4, 3), hidden=(24,), epochs=20, gain=0.0).fit(curved(1, 300, 0.1))
    assert same.curves[0].y == bent.curves[0].y[2:]
    assert same.chosen["latent"] == 4


@pytest.mark.slow
def test_all_three_are_scored_on_rows_that_none_has_seen():
    x = curved(3, 300, 0.1)
    found = reconstruction_curve(x, Autoencoder(latent=(3,), hidden=(24,), epochs=15))
    assert found.latent == (3,)
    assert found.held_rows + found.training_rows == 300
    held = hold_out(np.arange(300), found.held_rows, np.random.default_rng(0))
    assert found.pca[0] == pytest.approx(pca_error(x[~held], x[held], 3), rel=1e-9)
    rows = Standard.of(x[~held]).apply(x[held])
    assert found.variance == pytest.approx((rows**2).mean())
    assert found.regularised[0] < 0.3 * found.pca[0]
    assert found.plain[0] < 0.3 * found.pca[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_without_anything_to_learn_beyond_a_plane_it_is_not_behind_pca(seed):
    """Few rows of independent, skewed columns: the early stop leaves PCA, of all rows."""
    x = np.random.default_rng(seed).gamma(0.5, size=(120, 15))
    found = reconstruction_curve(x, Autoencoder(latent=(3, 6), epochs=15, seed=seed))
    assert (np.array(found.regularised) < 1.02 * np.array(found.pca)).all()


def test_a_linear_network_without_penalties_is_pca():
    x = flat(4, 300, 0.5)
    held = x[200:]
    options = Autoencoder(hidden=(), l2=0.0, sparsity=0.0)
    standard = Standard.of(x[:200])
    trained = train(standard.apply(x[:200]), standard.apply(held), FACTORS, options)
    assert trained.errors[0] == pytest.approx(pca_error(x[:200], held, FACTORS), rel=1e-9)
    assert trained.error == pytest.approx(trained.errors[0], rel=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_flat_rows_are_reconstructed_about_as_well_as_by_pca(seed):
    x, new = flat(10 + seed, 200, 0.5), flat(20 + seed, 1000, 0.5)
    fit = Autoencoder(latent=(FACTORS,), epochs=20, seed=seed).fit(x)
    assert error(fit, new) < 1.1 * pca_error(x, new, FACTORS)


@pytest.mark.parametrize("seed", SEEDS)
def test_penalties_help_where_rows_are_few_and_noisy(seed):
    """Trained to the end: an early stop is a penalty of its own."""
    standard = Standard.of(curved(30 + seed, 100, 0.4))
    x = standard.apply(curved(30 + seed, 100, 0.4))
    new = standard.apply(curved(40 + seed, 1000, 0.4))
    ends = {
        (l2, sparsity): train(
            x, new, FACTORS, Autoencoder(l2=l2, sparsity=sparsity, epochs=20, patience=20)
        ).errors[-1]
        for l2, sparsity in ((0.0, 0.0), (0.001, 0.01), (0.01, 0.01))
    }
    assert ends[0.001, 0.01] < 0.97 * ends[0.0, 0.0]
    assert ends[0.01, 0.01] < 0.8 * ends[0.0, 0.0]


def test_the_sparsity_penalty_holds_mean_activations_at_their_target():
    from scipy.special import expit

    x = Standard.of(curved(5, 200, 0.1)).apply(curved(5, 200, 0.1))
    off = []
    for sparsity in (0.0, 1.0):
        options = Autoencoder(sparsity=sparsity, l2=0.0, epochs=15, activation=0.1)
        encoder = train(x, x, FACTORS, options).network.encoder
        activations = encoder.forward(x, expit, options.activation)[1][0]
        off.append(np.abs(activations.mean(0) - 0.1).max())
    assert off[1] < 0.03 < off[0]


def test_keeping_fewer_dimensions_loses_the_least_first(bent):
    x = curved(1, 300, 0.1)
    errors = [error(bent, x, keep) for keep in range(FACTORS + 1)]
    assert (np.diff(errors) < 0).all()
    assert (np.diff(bent.significance) <= 0).all()
    assert error(bent, x, FACTORS) == error(bent, x)
    latent = bent.encode(x)
    np.testing.assert_allclose(latent.mean(0), bent.latent_mean, atol=0.1)
    latent[:, 1:] = bent.latent_mean[1:]
    np.testing.assert_array_equal(bent.decode(latent), bent.reconstruct(x, keep=1))
    assert np.ptp(bent.reconstruct(x, keep=0), axis=0).max() < 1e-12
    with pytest.raises(ValueError, match="keep is 4: the autoencoder has 3"):
        bent.reconstruct(x, keep=4)


def test_significance_is_what_is_lost_without_a_dimension(bent):
    x = curved(6, 5000, 0.1)
    latent = bent.encode(x)
    latent[:, 0] = bent.latent_mean[0]
    apply = bent.standard.apply
    lost = unexplained(apply(x), apply(bent.decode(latent))) - error(bent, x)
    assert lost == pytest.approx(bent.significance[0], rel=0.15)


@pytest.mark.slow
def test_same_seed_same_bits_whatever_torch_was_doing():
    x = curved(7, 120, 0.1)
    one = QUICK.fit(x).tensors()
    torch.manual_seed(99)
    before = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(2)
    other = QUICK.fit(x).tensors()
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before[0])
    assert torch.equal(torch.random.get_rng_state(), before[1])
    assert all((one[name] == other[name]).all() for name in one)
    third = Autoencoder(latent=(FACTORS,), hidden=(16,), epochs=12, seed=1).fit(x).tensors()
    assert (one["encoder.weight0"] != third["encoder.weight0"]).any()


@pytest.mark.parametrize("hidden", [(), (8,), (8, 6)])
def test_tensors_restore_the_fit(hidden, tmp_path):
    from safetensors.numpy import load_file, save_file

    x = curved(8, 100, 0.1)
    x[:, 4] = 7.5
    fit = Autoencoder(latent=(2,), hidden=hidden, epochs=3).fit(x)
    assert all(array.dtype == np.float64 for array in fit.tensors().values())
    save_file(fit.tensors(), tmp_path / "weights.safetensors")
    restored = Autoencoder().restore(load_file(tmp_path / "weights.safetensors"))
    assert (restored.encode(x) == fit.encode(x)).all()
    assert (restored.reconstruct(x, 1) == fit.reconstruct(x, 1)).all()
    assert (restored.significance == fit.significance).all()
    with pytest.raises(KeyError):
        Autoencoder().restore({})


@pytest.mark.slow
def test_units_and_zero_points_of_columns_do_not_matter():
    x = curved(9, 120, 0.1)
    scale = 10.0 ** np.arange(-6, 6)
    plain, moved = QUICK.fit(x), QUICK.fit(x * scale + 100 * scale)
    np.testing.assert_allclose(
        (moved.reconstruct(x * scale + 100 * scale) - 100 * scale) / scale,
        plain.reconstruct(x),
        atol=0.02,
    )


def test_a_constant_column_stays_what_it_is():
    x = curved(11, 120, 0.1)
    x[:, 3], x[:, 7] = 0.1, -1e9
    fit = QUICK.fit(x)
    back = fit.reconstruct(x)
    assert np.isfinite(back).all()
    assert (back[:, 3] == 0.1).all()
    assert (back[:, 7] == -1e9).all()
    changed = x.copy()
    changed[:, 3] = 5.0
    assert (fit.encode(changed) == fit.encode(x)).all()
    found = reconstruction_curve(x, Autoencoder(latent=(2,), epochs=2))
    assert np.isfinite([*found.regularised, *found.plain, *found.pca]).all()


def test_groups_are_held_out_whole():
    groups = np.repeat(np.arange(30), 7)
    held = hold_out(groups, 20, np.random.default_rng(0))
    assert held.sum() == 21
    assert {held[groups == group].mean() for group in range(30)} == {0.0, 1.0}
    uneven = np.repeat([0, 1], [90, 10])
    assert hold_out(uneven, 30, np.random.default_rng(0)).sum() == 10
    fit = QUICK.fit(curved(12, 210, 0.1), groups)
    assert fit.chosen["validation_rows"] % 7 == 0


def test_rows_that_only_name_their_group_are_not_reconstructed_when_it_is_held_out():
    rng = np.random.default_rng(13)
    groups = np.repeat(np.arange(12), 10)
    x = rng.normal(size=(12, 40))[groups] + 0.05 * rng.normal(size=(120, 40))
    kept = Autoencoder(latent=(10,), epochs=2).fit(x, groups)
    torn = Autoencoder(latent=(10,), epochs=2).fit(x)
    assert kept.chosen["validation_unexplained"] > 5 * torn.chosen["validation_unexplained"]


def test_sizes_not_below_the_varying_columns_are_left_out():
    x = curved(14, 60, 0.1)[:, :4]
    fit = Autoencoder(latent=(5, 3, 4, 2), epochs=2).fit(x)
    assert fit.curves[0].x == (2, 3)


def test_what_cannot_be_learnt_is_refused_in_one_line():
    x = curved(15, 40, 0.1)
    with pytest.raises(CannotLearnError, match="19 rows: an autoencoder needs 20"):
        QUICK.fit(x[:19])
    x[3, 5], x[7, 5] = np.nan, np.inf
    with pytest.raises(CannotLearnError, match="column 5 is not finite in 2 of 40 rows"):
        QUICK.fit(x)
    with pytest.raises(CannotLearnError, match="1 group of rows"):
        QUICK.fit(curved(15, 40, 0.1), np.zeros(40, int))
    with pytest.raises(CannotLearnError, match="0 columns vary: 3 latent dimensions need more"):
        QUICK.fit(np.ones((40, 5)))
    with pytest.raises(ValueError, match=r"take \(N, D\) and \(N,\)"):
        QUICK.fit(curved(15, 40, 0.1), np.zeros(39, int))


@pytest.mark.parametrize(
    "options",
    [
        {"latent": ()},
        {"latent": (0, 1)},
        {"latent": (2, 2)},
        {"hidden": (0,)},
        {"l2": -1.0},
        {"sparsity": np.inf},
        {"activation": 1.0},
        {"epochs": 0},
        {"iterations": 0},
        {"patience": 0},
        {"learning_rate": 0.0},
        {"validation_share": 0.0},
        {"validation_rows": 0},
        {"gain": 1.0},
    ],
)
def test_options_that_train_nothing_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Autoencoder(**options)


def test_progress_is_told_by_network():
    x, options = curved(1, 200, 0.1), replace(QUICK, latent=(1, 2))
    fitting, drawing = [], []
    options.fit(x, progress=lambda *told: fitting.append(told))
    reconstruction_curve(x, options, progress=lambda *told: drawing.append(told))
    assert fitting == [(1, 3), (2, 3), (3, 3)]
    assert drawing == [(number, 8) for number in range(1, 9)]
