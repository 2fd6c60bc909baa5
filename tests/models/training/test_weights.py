"""Weights go on from a checkpoint to the very numbers they would have had, by any optimiser."""

from functools import partial

import pytest
import torch
from torch import nn

from models.training.weights import BEST, Weights

OPTIMISERS = {
    "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=0.1),
    "adamw": partial(torch.optim.AdamW, lr=0.1, weight_decay=0.1),
}


def made(optimiser, copies=()):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 1))
    network.to(memory_format=torch.channels_last)
    network[3].bias.requires_grad_(False)
    return Weights(network, optimiser, 1.0, copies)


def run(weights, steps):
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(4, 1, 6, 6, generator=generator)
        weights.step((weights.network(images) ** 2).mean(), 0.1 / (1 + step))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_it_goes_on_as_if_it_had_not_been_interrupted(name):
    whole = made(OPTIMISERS[name], ("mean",))
    run(whole, range(4))
    whole.keep()
    kept = {key: tensor.clone() for key, tensor in whole.tensors().items()}
    run(whole, range(4, 9))
    again = made(OPTIMISERS[name], ("mean",))
    again.restore(kept)
    run(again, range(4, 9))
    expected = whole.tensors()
    found = again.tensors()
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, found[key]) for key, tensor in expected.items())


def test_copies_stay_while_the_network_learns():
    weights = made(OPTIMISERS["adam"])
    start = {name: tensor.clone() for name, tensor in weights.network.state_dict().items()}
    run(weights, range(3))
    assert all(torch.equal(weights.copies[BEST][name], tensor) for name, tensor in start.items())
    weights.keep()
    assert not torch.equal(weights.copies[BEST]["0.weight"], start["0.weight"])
    assert torch.equal(weights.copies[BEST]["3.bias"], start["3.bias"])  # wants no gradient
    assert weights.learning_rate == pytest.approx(0.1 / 3)


def test_a_step_is_no_longer_than_the_gradient_may_be():
    weights = made(partial(torch.optim.SGD, lr=1.0))
    before = {name: t.detach().clone() for name, t in weights.network.named_parameters()}
    images = 1e3 * torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    weights.network.eval()
    weights.step((weights.network(images) ** 2).mean(), 0.5)
    moved = [
        (t.detach() - before[name]).norm() ** 2 for name, t in weights.network.named_parameters()
    ]
    assert torch.stack(moved).sum().sqrt() == pytest.approx(0.5, rel=1e-3)
