"""Image regression finds a planted law, says how far it is off, refuses what teaches nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.learn.image_networks.config import ImageNetworkError
from models.learn.image_networks.ensemble import folds_of
from models.learn.image_networks.examples import rows_of
from models.learn.image_networks.fitted import FittedImageNetworks
from models.learn.image_networks.learner import ImageExample, ImageRegression
from models.learn.learner import CannotLearnError

TINY = ImageRegression(filters=(2, 2, 2), crop_px=32, epochs=2, inner_folds=3)


def r_squared(measured, predicted):
    return 1 - ((predicted - measured) ** 2).sum() / ((measured - measured.mean()) ** 2).sum()


def noise_examples(descriptors=0, count=12):
    rng = np.random.default_rng(5)
    return [
        ImageExample(
            rng.integers(0, 4000, (36, 40), np.uint16),
            rng.normal(size=descriptors),
            float(rng.normal()),
            f"s{number // 2}",
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def fitted():
    learner = replace(TINY, architecture="descriptors")
    return learner.fit(noise_examples(3), 0)


def test_a_planted_law_is_found_in_images_of_other_groups(planted, learnt):
    held = planted.of(48, 72)
    found = learnt.predict(held.images)
    assert r_squared(held.target, found.number) > 0.8
    errors = np.abs(found.number - held.target)
    assert (errors <= found.std).mean() > 0.4  # one standard deviation: 0.68
    assert (errors <= 3 * found.std).mean() > 0.9


def test_nothing_is_found_where_targets_are_shuffled(planted, small):
    shuffled = np.random.default_rng(1).permutation(planted.target)
    fitted = small.fit(planted.of(0, 48).examples(shuffled[:48]), 0)
    found = fitted.predict(planted.of(48, 72).images)
    assert r_squared(shuffled[48:], found.number) < 0.2
    assert found.std.min() > 0.8 * shuffled.std()  # and it says so


@pytest.mark.slow
def test_descriptors_say_what_images_do_not(planted, small):
    """The target is half in the images, half in one of two descriptors."""
    descriptors = np.random.default_rng(2).normal(900, 100, (72, 2))
    target = planted.target + 0.002 * descriptors[:, 0]
    small = replace(small, epochs=40, patience=40, learning_rate=1e-2)
    both = replace(small, architecture="descriptors").fit(
        planted.of(0, 48).examples(target[:48], descriptors[:48]), 0
    )
    images, truth = planted.of(48, 72).images, target[48:]
    assert r_squared(truth, both.predict(images, descriptors[48:]).number) > 0.9
    alone = small.fit(planted.of(0, 48).examples(target[:48], descriptors[:48]), 0)
    assert r_squared(truth, alone.predict(images, descriptors[48:]).number) < 0.75


def test_a_prediction_is_the_mean_of_networks_with_their_spread_and_the_noise(fitted):
    images = [example.grey for example in noise_examples()]
    x = np.array([example.descriptors for example in noise_examples(3)])
    assert len(fitted.members) == 3
    singly = [
        replace(fitted, members=(member,), noise=0.0).predict(images, x)
        for member in fitted.members
    ]
    numbers = np.array([one.number for one in singly])
    assert all((one.std == np.zeros(12)).all() for one in singly)
    found = fitted.predict(images, x)
    np.testing.assert_allclose(found.number, numbers.mean(0))
    np.testing.assert_allclose(found.std**2, numbers.var(0, ddof=1) + fitted.noise**2)


def test_noise_is_the_error_on_images_that_each_network_did_not_learn_from(fitted):
    examples = noise_examples(3)
    rows = rows_of(examples, "descriptors")
    images = [example.grey for example in examples]
    squared = []
    folds = folds_of(rows, 0, 3, 0)
    for member, (training, validation) in zip(fitted.members, folds, strict=True):
        assert not set(rows.groups[training]) & set(rows.groups[validation])
        assert (training ^ validation).all()
        found = replace(fitted, members=(member,)).predict(images, rows.x).number
        squared.extend((found - rows.target)[validation] ** 2)
    assert len(squared) == len(examples)
    assert fitted.noise == pytest.approx(np.sqrt(np.mean(squared)))


def test_a_single_network_sets_a_quarter_of_the_groups_aside():
    rows = rows_of(noise_examples(count=24), "baseline")
    ((training, validation),) = folds_of(rows, 0, 1, 0)
    assert len(set(rows.groups[validation])) == 3
    assert (training ^ validation).all()
    assert len(folds_of(rows, 0, 40, 0)) == 12


def test_the_same_seed_gives_the_same_bits(fitted):
    again = replace(TINY, architecture="descriptors").fit(noise_examples(3), 0)
    for name, array in again.tensors().items():
        assert np.array_equal(array, fitted.tensors()[name]), name
    other = replace(TINY, architecture="descriptors").fit(noise_examples(3), 1)
    assert other.noise != fitted.noise


def test_members_start_from_different_weights(fitted):
    tensors = fitted.tensors()
    name = "network.features.0.first.weight"
    assert not np.array_equal(tensors[f"1.{name}"], tensors[f"2.{name}"])


def test_what_is_kept_predicts_the_same(fitted, tmp_path):
    from safetensors.numpy import load_file, save_file

    save_file(fitted.tensors(), tmp_path / "weights.safetensors")
    settings = json.loads(json.dumps(fitted.settings()))
    restored = FittedImageNetworks.restore(load_file(tmp_path / "weights.safetensors"), settings)
    images = [example.grey for example in noise_examples()]
    x = np.array([example.descriptors for example in noise_examples(3)])
    one, other = fitted.predict(images, x), restored.predict(images, x)
    assert np.array_equal(one.number, other.number)
    assert np.array_equal(one.std, other.std)
    assert restored.chosen == fitted.chosen
    assert restored.curves == ()
    assert {array.dtype for array in fitted.tensors().values()} <= {
        np.dtype(np.float32),
        np.dtype(np.float64),
    }
    with pytest.raises(ImageNetworkError, match="equalise is 'gamma'"):
        FittedImageNetworks.restore(fitted.tensors(), settings | {"equalise": "gamma"})
    incomplete = dict(fitted.tensors())
    del incomplete["2.network.output.bias"]
    with pytest.raises(ImageNetworkError, match=r"output\.bias") as refused:
        FittedImageNetworks.restore(incomplete, settings)
    assert "\n" not in str(refused.value)


def test_predictions_do_not_depend_on_company_or_on_unseen_margins(fitted):
    examples = noise_examples(3)
    images = [example.grey for example in examples]
    x = np.array([example.descriptors for example in examples])
    together = fitted.predict(images, x).number
    assert fitted.predict(images[4:5], x[4:5]).number[0] == together[4]
    assert fitted.predict([], x[:0]).number.shape == (0,)
    assert np.array_equal(fitted.seen(images[0]), images[0][2:34, 4:36])
    for (image, descriptors), member in zip(
        fitted.inputs(images[0], x[0]), fitted.members, strict=True
    ):
        expected = (images[0] - images[0].mean()) / images[0].std()
        np.testing.assert_allclose(image, expected[2:34, 4:36], atol=1e-5)
        expected = (x[0] - member.scales.centre) * member.scales.factor
        np.testing.assert_allclose(descriptors, expected, rtol=1e-5)


def test_features_are_those_that_the_last_layer_sees(fitted):
    images = [example.grey for example in noise_examples()]
    pooled = fitted.pooled(images)
    assert pooled.shape == (3, 12, 2)
    maps = fitted.maps(images[5])
    assert maps.shape == (3, 2, 8, 8)
    np.testing.assert_allclose(maps.mean((2, 3)), pooled[:, 5], rtol=1e-5)


def test_curves_and_choices_tell_about_every_network(fitted):
    assert [curve.name for curve in fitted.curves] == [
        f"{name}, network {number}" for number in (1, 2, 3) for name in ("loss", "validation_loss")
    ]
    assert fitted.curves[0].x == (1.0, 2.0)
    assert fitted.chosen["architecture"] == "descriptors"
    assert fitted.chosen["networks"] == 3
    for number, curve in enumerate(fitted.curves[1::2], 1):
        assert fitted.chosen[f"epoch, network {number}"] == 1 + int(np.argmin(curve.y))


def test_an_interrupted_ensemble_goes_on_to_the_same_networks(tmp_path):
    told = []

    def stop(done, most):
        told.append((done, most))
        if done == 3:
            raise KeyboardInterrupt

    examples = noise_examples()
    with pytest.raises(KeyboardInterrupt):
        TINY.fit(examples, 0, checkpoints=tmp_path, progress=stop)
    assert told == [(1, 6), (2, 6), (3, 6)]
    resumed = TINY.fit(examples, 0, checkpoints=tmp_path, progress=lambda *at: told.append(at))
    assert told[3:] == [(4, 6), (5, 6), (6, 6)]
    whole = TINY.fit(examples, 0).tensors()
    for name, array in resumed.tensors().items():
        assert np.array_equal(array, whole[name]), name
    with pytest.raises(CannotLearnError, match="give another folder"):
        TINY.fit(examples[1:], 0, checkpoints=tmp_path)


def test_images_of_no_weight_play_no_part():
    examples = noise_examples()
    odd = ImageExample(np.zeros((40, 40)), np.empty(0), 1e6, "s0", 0.0)
    one, other = (TINY.fit(given, 0).tensors() for given in (examples, [odd, *examples]))
    assert all(np.array_equal(array, other[name]) for name, array in one.items())


def changed(number, **values):
    examples = noise_examples(2)
    examples[number] = replace(examples[number], **values)
    return examples


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "no images"),
        ([replace(one, group="s") for one in noise_examples(2)], "one group"),
        ([replace(one, target=2.5) for one in noise_examples(2)], r"the target 2\.5"),
        ([replace(one, target=float(one.group == "s0")) for one in noise_examples(2)[:4]], "all"),
        (changed(3, target=np.nan), "image 3 has the target nan"),
        (changed(4, descriptors=np.array([1, np.inf])), "image 4 has the descriptor 1 = inf"),
        (changed(4, descriptors=np.zeros(3)), "2 or 3 descriptors"),
        (noise_examples(0), "0 descriptors"),
        (
            [replace(one, descriptors=one.descriptors * [1, 0] + [0, 7]) for one in changed(0)],
            "descriptor 1 is 7 in every image",
        ),
        (changed(2, grey=np.zeros((0, 5))), r"image 2 has the shape \(0, 5\)"),
        (changed(2, grey=np.zeros((4, 5, 3))), "take"),
        (changed(2, grey=np.full((40, 40), np.nan)), "image 2 has pixels"),
        (changed(2, grey=np.zeros((40, 40), complex)), "real numbers"),
        (changed(1, weight=-1.0), r"image 1 has the weight -1\.0"),
    ],
)
def test_what_teaches_nothing_is_refused_in_one_line(examples, message):
    with pytest.raises(CannotLearnError, match=message) as refused:
        replace(TINY, architecture="descriptors").fit(examples, 0)
    assert "\n" not in str(refused.value)


def test_missing_weights_of_a_backbone_are_refused():
    learner = replace(TINY, architecture="efficientnet-b3")
    with pytest.raises(CannotLearnError, match="give weights=FILE"):
        learner.fit(noise_examples(), 0)
    with pytest.raises(CannotLearnError, match="no weights at"):
        replace(learner, weights="nowhere.safetensors").fit(noise_examples(), 0)


def test_predictions_want_the_descriptors_that_were_learnt_with(fitted):
    images = [example.grey for example in noise_examples()]
    for descriptors, message in (
        (None, "no descriptors"),
        (np.zeros((12, 2)), r"\(12, 2\)"),
        (np.zeros((3, 3)), r"\(3, 3\)"),
        (np.full((12, 3), np.nan), "nan"),
    ):
        with pytest.raises(ImageNetworkError, match=message):
            fitted.predict(images, descriptors)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"equalise": "gamma"}, "choose one of none, standard, clahe"),
        ({"inner_folds": 0}, "inner_folds is 0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"architecture": "vgg"}, "architecture is 'vgg'"),
    ],
)
def test_parameters_without_meaning_are_refused(given, message):
    with pytest.raises(ImageNetworkError, match=message):
        ImageRegression(**given)
