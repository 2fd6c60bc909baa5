"""Networks that tell classes apart: stripes of three widths, whatever their brightness."""

from dataclasses import replace

import numpy as np
import pytest

from models.explain.grad_cam import grad_cam
from models.learn.image_networks.config import ImageNetworkError, NetworkConfig
from models.learn.image_networks.fitted import FittedImageNetworks
from models.learn.image_networks.learner import ImageClassification, ImageExample
from models.learn.image_networks.left_out import LeftOut
from models.learn.learner import CannotLearnError

SIDE, PERIODS_PX = 64, (6, 10, 20)
LEARNER = ImageClassification(
    filters=(4, 8, 16),
    inner_folds=1,
    crop_px=SIDE,
    epochs=12,
    batch=6,
    learning_rate=5e-3,
    patience=12,
)


def stripes(period_px, rng):
    """Stripes at a random angle, brightness and contrast, under noise."""
    y, x = np.mgrid[:SIDE, :SIDE]
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    wave = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period_px + phase)
    grey = rng.uniform(80, 160) + rng.uniform(25, 45) * wave + rng.normal(0, 8, (SIDE, SIDE))
    return np.clip(grey, 0, 255).astype(np.uint8)


def examples(count, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(count) % 3
    return [
        ImageExample(
            stripes(PERIODS_PX[code], rng), np.empty(0), float(code), f"s{number // 3}{code}"
        )
        for number, code in enumerate(codes)
    ]


@pytest.fixture(scope="module")
def learnt():
    return LEARNER.fit(examples(72), 0, classes=3)


def test_classes_are_told_apart_in_images_of_other_groups(learnt):
    held = examples(36, seed=1)
    found = learnt.predict([one.grey for one in held])
    assert found.number is None
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    codes = np.array([one.target for one in held])
    assert (found.probabilities.argmax(1) == codes).mean() > 0.85


def test_shuffled_classes_are_not_found_and_the_probabilities_say_so():
    given = examples(72)
    codes = np.random.default_rng(3).permutation([one.target for one in given])
    shuffled = [
        replace(one, target=float(code), group=f"s{number}")
        for number, (one, code) in enumerate(zip(given, codes, strict=True))
    ]
    fitted = replace(LEARNER, epochs=6).fit(shuffled, 0, classes=3)
    found = fitted.predict([one.grey for one in examples(36, seed=1)])
    assert found.probabilities.max(1).mean() < 0.6


def test_what_is_kept_predicts_the_same(learnt):
    restored = FittedImageNetworks.restore(learnt.tensors(), learnt.settings())
    images = [one.grey for one in examples(6, seed=2)]
    expected = learnt.predict(images).probabilities
    assert np.array_equal(restored.predict(images).probabilities, expected)
    assert restored.chosen == learnt.chosen
    assert restored.chosen["temperature"] == learnt.temperature
    assert "noise" not in restored.chosen
    assert restored.predict([]).probabilities.shape == (0, 3)


def test_the_same_seed_gives_the_same_bits_and_an_interrupted_training_goes_on(tmp_path):
    tiny = replace(LEARNER, filters=(2, 2, 2), epochs=2, inner_folds=2)
    whole = tiny.fit(examples(18), 0, classes=3).tensors()

    def stop(done, most):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny.fit(examples(18), 0, classes=3, checkpoints=tmp_path, progress=stop)
    resumed = tiny.fit(examples(18), 0, classes=3, checkpoints=tmp_path).tensors()
    assert all(np.array_equal(array, resumed[name]) for name, array in whole.items())


def test_classes_weigh_alike_however_many_images_they_have():
    """Images of one class that weigh thrice as much are worth no more in all."""
    given = examples(18)
    tiny = replace(LEARNER, filters=(2, 2, 2), epochs=1)
    weighted = [replace(one, weight=3.0 if one.target == 0 else 1.0) for one in given]
    alike, other = (tiny.fit(images, 0, classes=3).tensors() for images in (given, weighted))
    name = "1.network.output.weight"
    np.testing.assert_allclose(alike[name], other[name], atol=1e-6)
    by_rows = replace(tiny, balanced=False).fit(weighted, 0, classes=3).tensors()
    assert np.abs(by_rows[name] - alike[name]).max() > 1e-5


@pytest.mark.parametrize("truth", [0.25, 1.0, 4.0])
def test_the_temperature_is_that_by_which_scores_were_too_large(truth):
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (6000, 4))
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    codes = np.array([rng.choice(4, p=row) for row in shares]).astype(float)
    left_out = LeftOut(truth * scores, codes, np.ones(6000))
    assert left_out.temperature == pytest.approx(truth, rel=0.06)
    assert left_out.noise == 0


def test_evidence_for_a_class_lies_where_its_stripes_are(learnt):
    """Narrow stripes on the left, wide ones on the right: each speaks for its class."""
    rng = np.random.default_rng(5)
    sides = []
    for _ in range(8):
        grey = stripes(PERIODS_PX[0], rng)
        grey[:, SIDE // 2 :] = stripes(PERIODS_PX[2], rng)[:, SIDE // 2 :]
        ((image, descriptors),) = learnt.inputs(grey)
        for code in (0, 2):
            positive, negative = grad_cam(learnt.members[0].network, image, descriptors, code)
            evidence = positive - negative
            left, right = evidence[:, :28].mean(), evidence[:, 36:].mean()
            sides.append(left > right if code == 0 else right > left)
    assert np.mean(sides) > 0.8


def test_evidence_of_all_classes_adds_up_to_nothing(learnt):
    ((image, descriptors),) = learnt.inputs(examples(1)[0].grey)
    total = np.zeros(image.shape)
    for code in range(3):
        positive, negative = grad_cam(learnt.members[0].network, image, descriptors, code)
        total += positive - negative
    assert np.abs(total).max() < 1e-4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([replace(one, target=1.0) for one in examples(12)], "every image is of one class"),
        ([replace(one, group="s") for one in examples(12)], "one group"),
        ([replace(one, target=float(one.group == "s00")) for one in examples(6)], "one class"),
    ],
)
def test_what_teaches_no_class_is_refused_in_one_line(given, message):
    with pytest.raises(CannotLearnError, match=message) as refused:
        LEARNER.fit(given, 0, classes=3)
    assert "\n" not in str(refused.value)


def test_a_single_class_is_no_network():
    with pytest.raises(ImageNetworkError, match="1 classes: take 2 or more"):
        NetworkConfig(classes=1)
