"""Training: goes on after a kill to the very same numbers, keeps groups apart, refuses misuse."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.fitting import scheduled
from models.segment.star_convex.options import TrainingOptions
from models.segment.star_convex.patches import Example
from models.segment.star_convex.records import EpochRecord
from models.segment.star_convex.training import best_epoch, hold_out, train
from models.training.checkpoint import latest_checkpoint, save_checkpoint
from models.training.errors import CheckpointError

OPTIONS = TrainingOptions(
    epochs=4, steps=3, batch=2, patch_px=32, warmup=2, averaging=0.9, validation_patches=1
)
UNTIL_KILLED = """
import pickle, sys
from pathlib import Path
from models.segment.star_convex.training import train
config, training, validation, options = pickle.loads(sys.stdin.buffer.read())
train(config, training, validation, options, checkpoints=Path(sys.argv[1]),
      progress=lambda record: print(record.epoch, flush=True))
"""
REPOSITORY = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def images(made_example):
    small = {"shape_px": (64, 64), "diameter_px": 14.0}
    return [made_example(1, "a", **small)], [made_example(2, "b", **small)]


@pytest.fixture(scope="module")
def uninterrupted(tiny_config, images):
    return train(tiny_config, *images, OPTIONS)


def assert_same(one, other):
    assert one.curve == other.curve
    assert one.best_epoch == other.best_epoch
    tensors = other.network.state_dict()
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name


def test_a_training_that_was_killed_goes_on_to_the_same_numbers(
    tiny_config, images, uninterrupted, tmp_path
):
    import pickle

    process = subprocess.Popen(
        [sys.executable, "-c", UNTIL_KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    process.stdin.write(pickle.dumps((tiny_config, *images, OPTIONS)))
    process.stdin.close()
    assert process.stdout.readline() == b"1\n"
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    _, state = latest_checkpoint(tmp_path)
    assert 1 <= len(state["curve"]) < OPTIONS.epochs
    told = []
    resumed = train(tiny_config, *images, OPTIONS, checkpoints=tmp_path, progress=told.append)
    assert len(told) == OPTIONS.epochs - len(state["curve"])
    assert_same(resumed, uninterrupted)


@pytest.mark.slow
def test_the_pretrained_backbone_goes_on_to_the_same_numbers(made_example, tmp_path):
    images = [made_example(1, "a")], [made_example(2, "b")]
    options = replace(OPTIONS, epochs=3, patch_px=64)
    whole = train(NetworkConfig(), *images, options)

    def stop(record):
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(NetworkConfig(), *images, options, checkpoints=tmp_path, progress=stop)
    assert_same(train(NetworkConfig(), *images, options, checkpoints=tmp_path), whole)


def test_the_same_seed_trains_the_same_network(tiny_config, images, uninterrupted):
    assert_same(train(tiny_config, *images, OPTIONS), uninterrupted)
    other = train(tiny_config, *images, replace(OPTIONS, seed=1))
    assert other.curve != uninterrupted.curve


def test_a_finished_training_is_not_repeated(tiny_config, images, uninterrupted, tmp_path):
    train(tiny_config, *images, OPTIONS, checkpoints=tmp_path)
    told = []
    again = train(tiny_config, *images, OPTIONS, checkpoints=tmp_path, progress=told.append)
    assert not told
    assert_same(again, uninterrupted)


def test_training_learns(small_network):
    first, last = small_network.curve[0], small_network.curve[-1]
    assert last.validation_loss < 0.7 * first.validation_loss
    assert last.distance_loss < 0.7 * first.distance_loss
    assert small_network.best_epoch == best_epoch(small_network.curve)


def test_training_stops_when_validation_gets_no_better(tiny_config, images):
    fast = replace(OPTIONS, epochs=50, patience=2, learning_rate=1e-12, averaging=0.0)
    trained = train(tiny_config, *images, fast)
    assert len(trained.curve) <= trained.best_epoch + 2 < 50


def test_threads_are_as_before(tiny_config, images):
    before = torch.get_num_threads()
    train(tiny_config, *images, replace(OPTIONS, epochs=1, steps=1, threads=before + 1))
    assert torch.get_num_threads() == before


def test_the_learning_rate_rises_and_falls_to_nothing():
    options = TrainingOptions(epochs=10, steps=10, warmup=5, learning_rate=1e-3)
    rates = [scheduled(step, options) for step in range(100)]
    assert np.argmax(rates) == 4
    assert max(rates) == pytest.approx(1e-3, rel=0.01)
    assert (np.diff(rates[4:]) < 0).all()
    assert rates[-1] < 1e-6


def test_a_checkpoint_of_another_training_is_refused(tiny_config, images, tmp_path):
    train(tiny_config, *images, replace(OPTIONS, epochs=1), checkpoints=tmp_path)
    with pytest.raises(CheckpointError, match="give another folder"):
        train(tiny_config, *images, replace(OPTIONS, epochs=2), checkpoints=tmp_path)


def test_half_a_checkpoint_is_none_and_old_ones_go(tmp_path):
    assert latest_checkpoint(tmp_path / "nowhere") is None
    for epoch in (1, 2):
        save_checkpoint(tmp_path, epoch, {"x": torch.full((3,), float(epoch))}, {"epoch": epoch})
    half = tmp_path / ".epoch-000003"
    half.mkdir()
    (half / "tensors.safetensors").write_bytes(b"torn")
    tensors, state = latest_checkpoint(tmp_path)
    assert state == {"epoch": 2}
    assert tensors["x"].tolist() == [2, 2, 2]
    save_checkpoint(tmp_path, 3, tensors, {"epoch": 3})
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000003"]


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_both_sides(seed):
    rng = np.random.default_rng(seed)
    examples = [
        Example(np.zeros((4, 4)), np.zeros((4, 4), int), f"paper {rng.integers(12)}")
        for _ in range(60)
    ]
    training, validation = hold_out(examples, 0.2, seed)
    assert len(training) + len(validation) == 60
    assert not {e.group for e in training} & {e.group for e in validation}
    assert (
        12
        <= len(validation)
        < 12 + max(sum(e.group == group for e in examples) for group in {e.group for e in examples})
    )


def test_images_that_cannot_validate_are_refused(tiny_config, images):
    training, validation = images
    with pytest.raises(StarConvexError, match="one group"):
        hold_out(training, 0.2, 0)
    with pytest.raises(StarConvexError, match="divide by group"):
        train(tiny_config, training, training, OPTIONS)
    with pytest.raises(StarConvexError, match="no images to validate"):
        train(tiny_config, training, [], OPTIONS)
    with pytest.raises(StarConvexError, match="multiple of 4"):
        train(tiny_config, training, validation, replace(OPTIONS, patch_px=34))


def record(epoch, validation_loss, f1):
    return EpochRecord(epoch, 1e-3, 1.0, 0.2, 4.0, validation_loss, f1, f1)


def test_the_best_epoch_finds_most_and_of_equals_has_the_lowest_loss():
    curve = [record(1, 0.5, 0.2), record(2, 0.9, 0.6), record(3, 0.8, 0.6), record(4, 0.4, 0.3)]
    assert best_epoch(curve) == 3
    assert best_epoch(curve[:1]) == 1


def test_records_are_plain_json(uninterrupted):
    from dataclasses import asdict

    records = [asdict(record) for record in uninterrupted.curve]
    assert json.loads(json.dumps(records)) == records


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_gpu_learns_what_a_processor_learns(tiny_config, images, uninterrupted, tmp_path):
    def stop(record):
        raise KeyboardInterrupt

    options = replace(OPTIONS, device="cuda")
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config, *images, options, checkpoints=tmp_path, progress=stop)
    found = train(tiny_config, *images, options, checkpoints=tmp_path)
    assert next(found.network.parameters()).is_cuda
    losses = [[record.loss for record in one.curve] for one in (found, uninterrupted)]
    np.testing.assert_allclose(*losses, rtol=1e-3)
