"""Training: goes on after an interruption to the very same numbers, and refuses misuse."""

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from models.segment.mask_rcnn.config import MaskRcnnError, NetworkConfig
from models.segment.mask_rcnn.learner import MaskRcnnLearner
from models.segment.mask_rcnn.options import TrainingOptions
from models.segment.mask_rcnn.records import EpochRecord, best_epoch
from models.segment.mask_rcnn.training import train
from models.segment.star_convex.config import StarConvexError
from models.training.checkpoint import latest_checkpoint
from models.training.errors import CheckpointError

OPTIONS = TrainingOptions(
    epochs=2, steps=2, batch=2, patch_px=64, warmup=2, validation_patches=1, patience=9
)
UNTIL_KILLED = """
import pickle, sys
from pathlib import Path
from models.segment.mask_rcnn.training import train
config, training, validation, options = pickle.loads(sys.stdin.buffer.read())
train(config, training, validation, options, checkpoints=Path(sys.argv[1]),
      progress=lambda record: print(record.epoch, flush=True))
"""
REPOSITORY = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def images(disc_image):
    return [disc_image(1, (64, 64), 7)], [disc_image(2, (64, 64), 7)]


@pytest.fixture(scope="module")
def uninterrupted(tiny_config, images):
    return train(tiny_config, *images, OPTIONS)


def assert_same(one, other):
    assert one.curve == other.curve
    assert one.best_epoch == other.best_epoch
    tensors = other.network.state_dict()
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name


def test_a_training_that_was_interrupted_goes_on_to_the_same_numbers(
    tiny_config, images, uninterrupted, tmp_path
):
    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny_config, *images, OPTIONS, checkpoints=tmp_path, progress=stop)
    told = []
    torch.rand(7)  # random numbers of others must not matter
    resumed = train(tiny_config, *images, OPTIONS, checkpoints=tmp_path, progress=told.append)
    assert [record.epoch for record in told] == [2]
    assert_same(resumed, uninterrupted)
    with pytest.raises(CheckpointError, match="give another folder"):
        train(tiny_config, *images, replace(OPTIONS, seed=1), checkpoints=tmp_path)


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_to_the_same_numbers(tiny_config, images, tmp_path):
    options = replace(OPTIONS, epochs=4)
    process = subprocess.Popen(
        [sys.executable, "-c", UNTIL_KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    process.stdin.write(pickle.dumps((tiny_config, *images, options)))
    process.stdin.close()
    assert process.stdout.readline() == b"1\n"
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    _, state = latest_checkpoint(tmp_path)
    assert 1 <= len(state["curve"]) < options.epochs
    resumed = train(tiny_config, *images, options, checkpoints=tmp_path)
    assert_same(resumed, train(tiny_config, *images, options))


def test_another_seed_trains_another_network(tiny_config, images, uninterrupted):
    other = train(tiny_config, *images, replace(OPTIONS, epochs=1, seed=1))
    assert other.curve[0].loss != uninterrupted.curve[0].loss


def test_training_learns(disc_network):
    curve = disc_network.curve
    assert curve[-1].loss < 0.6 * curve[0].loss
    assert curve[disc_network.best_epoch - 1].f1_50 == 1


def test_images_that_cannot_validate_are_refused(tiny_config, images):
    training, _ = images
    with pytest.raises(StarConvexError, match="divide by group"):
        train(tiny_config, training, training, OPTIONS)
    with pytest.raises(StarConvexError, match="no images to validate"):
        train(tiny_config, training, [], OPTIONS)


def test_the_learning_rate_falls_as_published():
    options = TrainingOptions(warmup=1)
    last = options.epochs * options.steps - 1
    assert options.rate(0) == pytest.approx(1e-3)
    assert options.rate(last) == pytest.approx(1e-4)
    assert options.rate(last // 2) == pytest.approx(10**-3.5, rel=1e-3)
    assert TrainingOptions(warmup=10).rate(4) == pytest.approx(5e-4, rel=1e-2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"patch_px": 200}, "multiple of 32"),
        ({"final_learning_rate": 1.0}, "the first as the larger"),
        ({"momentum": 1.0}, "momentum"),
    ],
)
def test_options_without_meaning_are_refused(changed, message):
    with pytest.raises(MaskRcnnError, match=message):
        TrainingOptions(**changed)


def record(epoch: int, loss: float, f1: float) -> EpochRecord:
    return EpochRecord(epoch, 1e-3, loss, 0.2, 0.2, 0.2, f1, f1)


def test_the_best_epoch_finds_most_and_of_equals_has_the_lowest_loss():
    curve = [record(1, 0.5, 0.2), record(2, 0.9, 0.6), record(3, 0.8, 0.6), record(4, 0.4, 0.3)]
    assert best_epoch(curve) == 3


def test_records_are_plain_json(uninterrupted):
    records = [asdict(record) for record in uninterrupted.curve]
    assert json.loads(json.dumps(records)) == records


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_minutes_on_phantoms_finds_most_of_others():
    """Irregular particles that touch, in images that were not learnt from."""
    from models.measure.matching import evaluate
    from models.phantoms.scattered import ScatteredPhantom, scatter
    from models.segment.mask_rcnn.detection import finder
    from models.segment.mask_rcnn.finding import PredictionOptions
    from models.segment.mask_rcnn.prediction import segment_image
    from models.segment.mask_rcnn.torch_runtime import TorchParts
    from models.segment.star_convex.patches import Augmentation, Example

    made = [
        scatter(ScatteredPhantom(seed=seed, shape_px=(256, 256), diameter_px=30.0, overlap=0.05))
        for seed in range(12)
    ]
    options = TrainingOptions(
        epochs=5,
        steps=30,
        patch_px=128,
        learning_rate=3e-2,
        final_learning_rate=3e-3,
        warmup=20,
        augmentation=Augmentation(1.2, 0, 0, 0, 0, tone=False),
    )
    training = [Example(one.image, one.labels, "seen") for one in made[:8]]
    validation = [Example(one.image, one.labels, "unseen") for one in made[8:10]]
    trained = train(NetworkConfig(), training, validation, options)
    find = finder(TorchParts(trained.network))
    counts = []
    for one in made[10:]:
        found, _ = segment_image(
            find, trained.network.config, one.image, PredictionOptions(diameter_px=30)
        )
        counts.append(evaluate(one.labels, found).at(0.5))
    whole = counts[0] + counts[1]
    assert whole.recall >= 0.8
    assert whole.precision >= 0.8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_gpu_learns_to_find_discs(disc_image, tmp_path):
    """Not the very numbers of a processor: which boxes count is drawn by the device."""

    def stop(record):
        raise KeyboardInterrupt

    images = [disc_image(seed, (220, 220)) for seed in range(5)]
    learner = MaskRcnnLearner(
        epochs=4,
        steps=20,
        batch=2,
        patch_px=128,
        phantoms=0,
        validation_fraction=0.3,
        device="cuda",
    )
    with pytest.raises(KeyboardInterrupt):
        learner.fit(images, 0, checkpoints=tmp_path, progress=lambda *_: stop(None))
    fitted = learner.fit(images, 0, checkpoints=tmp_path)
    other = disc_image(9)
    found = fitted.labels(other.grey)
    assert 0.8 * other.labels.max() <= found.max() <= 1.2 * other.labels.max()
