"""Devices: what is not there is refused in one line, by every training that takes one."""

import numpy as np
import pytest
import torch

from models.learn.image_networks.learner import ImageExample, ImageRegression
from models.learn.learner import CannotLearnError
from models.segment.mask_rcnn.learner import MaskRcnnLearner
from models.segment.star_convex.learner import StarConvexLearner
from models.segment.star_convex.patches import Example
from models.training.devices import training_device
from models.training.errors import DeviceError

MISSING = "cuda:77"


def test_a_processor_is_always_there():
    assert training_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", [MISSING, "gpu", "", "cuda:"])
def test_what_torch_cannot_train_on_here_is_refused_in_one_line(name):
    with pytest.raises(DeviceError, match=r"take device: cpu") as raised:
        training_device(name)
    assert "\n" not in str(raised.value)
    assert repr(name) in str(raised.value)


def numbers():
    grey = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    return [ImageExample(grey, np.empty(0), float(n), str(n)) for n in range(4)]


def particles():
    labels = np.zeros((64, 64), np.int32)
    labels[20:40, 20:40] = 1
    return [Example(np.where(labels, 200, 50).astype(np.uint8), labels, str(n)) for n in range(4)]


@pytest.mark.parametrize(
    ("learner", "examples"),
    [
        (ImageRegression(device=MISSING, crop_px=32), numbers()),
        (StarConvexLearner(device=MISSING), particles()),
        (MaskRcnnLearner(device=MISSING), particles()),
    ],
    ids=["image-network", "star-convex", "mask-rcnn"],
)
def test_learners_say_that_they_cannot(learner, examples):
    with pytest.raises(CannotLearnError, match=f"device '{MISSING}'"):
        learner.fit(examples, 0)
