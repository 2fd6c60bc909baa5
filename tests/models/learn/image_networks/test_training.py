"""Training: the same numbers again, also after an interruption, and options with a meaning."""

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.learn.image_networks.config import ImageNetworkError, NetworkConfig
from models.learn.image_networks.inference import mean_loss
from models.learn.image_networks.options import TrainingOptions
from models.learn.image_networks.records import EpochRecord, best_epoch
from models.learn.image_networks.scales import Prepared
from models.learn.image_networks.training import train
from models.training.checkpoint import latest_checkpoint
from models.training.errors import CheckpointError

CONFIG = NetworkConfig("descriptors", 2, (2, 4, 4))
OPTIONS = TrainingOptions(epochs=3, batch=3, crop_px=32, warmup=2, patience=9)
UNTIL_KILLED = """
import pickle, sys
from pathlib import Path
from models.learn.image_networks.training import train
config, training, validation, options = pickle.loads(sys.stdin.buffer.read())
train(config, training, validation, options, checkpoints=Path(sys.argv[1]),
      progress=lambda record: print(record.epoch, flush=True))
"""
REPOSITORY = Path(__file__).parents[4]


def prepared(count, seed):
    rng = np.random.default_rng(seed)
    return [
        Prepared(
            rng.integers(0, 255, (40, 48), np.uint8),
            127.0,
            70.0,
            rng.normal(size=2).astype(np.float32),
            float(rng.normal()),
            float(rng.uniform(0.5, 2)),
        )
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def images():
    return prepared(7, 0), prepared(3, 1)


@pytest.fixture(scope="module")
def uninterrupted(images):
    return train(CONFIG, *images, OPTIONS)


def assert_same(one, other):
    assert one.curve == other.curve
    assert one.best_epoch == other.best_epoch
    tensors = other.network.state_dict()
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(images, uninterrupted):
    torch.rand(7)  # random numbers of others must not matter
    assert_same(train(CONFIG, *images, OPTIONS), uninterrupted)
    other = train(CONFIG, *images, replace(OPTIONS, epochs=1, seed=1))
    assert other.curve[0].loss != uninterrupted.curve[0].loss


@pytest.mark.parametrize("optimiser", ["adam", pytest.param("adamw", marks=pytest.mark.slow)])
def test_a_training_that_was_interrupted_goes_on_to_the_same_numbers(images, optimiser, tmp_path):
    options = replace(OPTIONS, optimiser=optimiser, weight_decay=0.1)

    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, *images, options, checkpoints=tmp_path, progress=stop)
    told = []
    resumed = train(CONFIG, *images, options, checkpoints=tmp_path, progress=told.append)
    assert [record.epoch for record in told] == [2, 3]
    assert_same(resumed, train(CONFIG, *images, options))
    for changed in ((images[0][1:], images[1], options), (*images, replace(options, seed=1))):
        with pytest.raises(CheckpointError, match="give another folder"):
            train(CONFIG, *changed, checkpoints=tmp_path)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_training_that_was_killed_goes_on_to_the_same_numbers(images, tmp_path):
    options = replace(OPTIONS, epochs=40, patience=40)
    process = subprocess.Popen(
        [sys.executable, "-c", UNTIL_KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    process.stdin.write(pickle.dumps((CONFIG, *images, options)))
    process.stdin.close()
    assert process.stdout.readline() == b"1\n"
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    _, state = latest_checkpoint(tmp_path)
    assert 1 <= len(state["curve"]) < options.epochs
    resumed = train(CONFIG, *images, options, checkpoints=tmp_path)
    assert_same(resumed, train(CONFIG, *images, options))


def test_training_stops_and_the_best_epoch_is_kept(images):
    training, _ = images
    # what validates is a target that training leads away from
    away = [replace(image, target=-5 * image.target) for image in training]
    trained = train(CONFIG, training, away, replace(OPTIONS, epochs=30, learning_rate=1e-2))
    losses = [record.validation_loss for record in trained.curve]
    assert trained.best_epoch == 1 + int(np.argmin(losses))
    assert len(losses) == trained.best_epoch + OPTIONS.patience < 30
    assert mean_loss(trained.network, away, OPTIONS.crop_px) == min(losses)


def test_an_image_that_weighs_nothing_to_speak_of_changes_nothing(images):
    training, validation = images
    light = replace(training[0], weight=1e-9)
    other = replace(light, target=light.target + 100)
    one, two = (
        train(CONFIG, [first, *training[1:]], validation, replace(OPTIONS, epochs=1))
        for first in (light, other)
    )
    assert one.curve[0].loss == pytest.approx(two.curve[0].loss, rel=1e-4)


def test_a_training_that_diverges_says_so(images):
    options = replace(OPTIONS, learning_rate=1e30, gradient_norm=1e30, warmup=0)
    with pytest.raises(ImageNetworkError, match="not finite"):
        train(CONFIG, *images, options)


def test_a_backbone_learns_its_last_layer_alone_if_asked_to(images):
    config = NetworkConfig("efficientnet-b3", backbone="tf_efficientnet_lite0")
    bare = [replace(image, descriptors=image.descriptors[:0]) for image in images[0]]
    options = replace(OPTIONS, epochs=1, fine_tune=False, mixed=True)
    trained = train(config, bare[:4], bare[4:], options)
    fine = train(config, bare[:4], bare[4:], replace(options, fine_tune=True, mixed=False))
    before = fine.network.features.backbone.conv_stem.weight
    assert not torch.equal(before, trained.network.features.backbone.conv_stem.weight)
    assert np.isfinite(trained.curve[0].validation_loss)


def test_the_learning_rate_rises_and_then_falls_as_half_a_cosine():
    options = TrainingOptions(learning_rate=2e-3, warmup=4)
    assert options.rate(0, 100) == pytest.approx(5e-4)
    assert options.rate(50, 100) == pytest.approx(1e-3)
    assert 0 < options.rate(99, 100) < 1e-6


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"crop_px": 16}, "at least 32"),
        ({"learning_rate": 0.0}, "more than 0"),
        ({"optimiser": "sgd"}, "adam or adamw"),
        ({"weight_decay": -1.0}, "at least 0"),
    ],
)
def test_options_without_meaning_are_refused(changed, message):
    with pytest.raises(ImageNetworkError, match=message):
        TrainingOptions(**changed)


def test_of_equal_epochs_the_first_is_the_best():
    curve = [EpochRecord(n, 1e-3, 0.1, loss) for n, loss in enumerate([3.0, 1.0, 1.0, 2.0], 1)]
    assert best_epoch(curve) == 2


def test_records_are_plain_json(uninterrupted):
    records = [asdict(record) for record in uninterrupted.curve]
    assert json.loads(json.dumps(records)) == records


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "bfloat16"])
def test_a_gpu_learns_what_a_processor_learns(images, uninterrupted, tmp_path, mixed):
    def stop(record):
        raise KeyboardInterrupt

    options = replace(OPTIONS, device="cuda", mixed=mixed)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, *images, options, checkpoints=tmp_path, progress=stop)
    found = train(CONFIG, *images, options, checkpoints=tmp_path)
    assert next(found.network.parameters()).is_cuda
    for name in ("loss", "validation_loss"):
        own, other = ([getattr(x, name) for x in one.curve] for one in (found, uninterrupted))
        np.testing.assert_allclose(own, other, rtol=3e-2 if mixed else 1e-3)
