"""Grad-CAM against gradients and sums that are known."""

import numpy as np
import pytest
import torch

from models.explain.grad_cam import evidence, grad_cam
from models.learn.image_networks.config import NetworkConfig
from models.learn.image_networks.networks import build_network


def network_of(config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_network(config).eval()


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)


def test_channels_count_by_their_mean_gradient():
    maps = np.array([[[1.0, 0], [2, 0]], [[0, 4], [1, 0]]])
    gradients = np.array([[[1.0, 1], [1, 1]], [[-2, 0], [0, 0]]])
    positive, negative = evidence(maps, gradients)
    np.testing.assert_array_equal(positive, [[1, 0], [1.5, 0]])
    np.testing.assert_array_equal(negative, [[0, 2], [0, 0]])
    with pytest.raises(ValueError, match="twice"):
        evidence(maps, gradients[:1])


@pytest.mark.parametrize(
    ("config", "descriptors"),
    [
        (NetworkConfig(filters=(4, 8, 8)), None),
        (NetworkConfig("attention", filters=(4, 8, 8)), np.empty(0, np.float32)),
        (NetworkConfig("descriptors", 2, (4, 8, 8)), np.array([1, -2], np.float32)),
    ],
)
def test_evidence_adds_up_to_the_prediction(image, config, descriptors):
    """A mean over positions and one linear layer: the gradient is the same at each position."""
    network = network_of(config)
    with torch.inference_mode():
        given = torch.from_numpy(descriptors)[None] if config.descriptors else None
        number = network(torch.from_numpy(image)[None, None], given).item()
        constant = network.output.bias.item()
        if config.descriptors:
            constant += (network.output.weight[0, 8:] @ given[0]).item()
    positive, negative = grad_cam(network, image, descriptors)
    assert positive.shape == negative.shape == image.shape
    assert min(positive.min(), negative.min()) >= 0
    # each cell of the maps covers 16 pixels
    assert (positive - negative).sum() / 16 == pytest.approx(number - constant, rel=1e-3)


def test_a_brighter_spot_speaks_for_a_number_that_is_the_brightness():
    class Brightness(torch.nn.Linear):
        """The mean grey level, by way of its bright and its dark part."""

        def feature_maps(self, image):
            return torch.cat([torch.relu(image), torch.relu(-image)], 1)

        def from_maps(self, maps, descriptors):
            return maps.mean((2, 3)) @ torch.tensor([1.0, -1.0])

    grey = np.zeros((8, 8), np.float32)
    grey[2, 3], grey[6, 1] = 5, -3
    positive, negative = grad_cam(Brightness(1, 1), grey)
    np.testing.assert_allclose(positive, np.maximum(grey, 0) / 64)
    np.testing.assert_allclose(negative, np.maximum(-grey, 0) / 64)


def test_explaining_leaves_a_network_as_it_was(image):
    network = network_of(NetworkConfig(filters=(4, 4, 4)))
    with torch.inference_mode():
        first = grad_cam(network, image)
    assert all(parameter.grad is None for parameter in network.parameters())
    for one, other in zip(first, grad_cam(network, image), strict=True):
        assert np.array_equal(one, other)
