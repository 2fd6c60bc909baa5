"""Networks and loss: shapes of what comes out, what the published one is, what a loss must do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.segment.star_convex.config import PUBLISHED, NetworkConfig, StarConvexError
from models.segment.star_convex.loss import star_loss
from models.segment.star_convex.network import build_network, parameter_count


@pytest.fixture(scope="module")
def encoder():
    return build_network(NetworkConfig())


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_the_published_network_predicts_on_its_grid(grid):
    config = NetworkConfig(kind="unet", base_filters=8, grid=grid, rays=16)
    logits, distances = build_network(config)(torch.rand(2, 1, 64, 96))
    assert logits.shape == (2, 1, 64 // grid, 96 // grid)
    assert distances.shape == (2, 16, 64 // grid, 96 // grid)
    assert config.stride == 8 * grid


def test_the_published_network_has_the_published_filters():
    network = build_network(PUBLISHED)
    widths = [module.weight.shape[0] for module in network.modules() if hasattr(module, "weight")]
    assert max(widths) == 256  # 32 · 2³
    assert parameter_count(network) == pytest.approx(2e6, rel=0.05)


def test_the_encoder_predicts_on_grid_two_and_fits_in_eight_megabytes_of_halves(encoder):
    logits, distances = encoder(torch.rand(1, 1, 64, 96))
    assert logits.shape == (1, 1, 32, 48)
    assert distances.shape == (1, 32, 32, 48)
    assert 2 * parameter_count(encoder) < 8e6


def test_the_encoder_starts_from_the_packaged_weights(encoder):
    other = build_network(NetworkConfig())
    weight = "features.encoder.blocks.3.0.conv_pw.weight"
    assert torch.equal(encoder.state_dict()[weight], other.state_dict()[weight])
    bare = build_network(NetworkConfig(), pretrained=False)
    assert not torch.equal(encoder.state_dict()[weight], bare.state_dict()[weight])


def test_distances_start_at_the_typical_radius_and_are_never_negative(encoder):
    with torch.no_grad():
        _, distances = encoder.eval()(torch.rand(1, 1, 96, 96))
    assert 10 < float(distances.mean()) < 20
    assert float(distances.min()) > 0


def test_frozen_blocks_keep_weights_and_statistics_in_training():
    network = build_network(NetworkConfig())
    network.features.freeze(2)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    logits, distances = network(torch.rand(2, 1, 64, 64))
    (logits.mean() + distances.mean()).backward()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    changed = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    frozen = ("conv_stem", "bn1", "blocks.0.", "blocks.1.")
    assert not {n for n in changed if n.removeprefix("features.encoder.").startswith(frozen)}
    assert any("blocks.4" in name for name in changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "resnet"}, "choose unet or encoder"),
        ({"grid": 4}, "take 2"),
        ({"rays": 2}, "at least 3"),
        ({"decoder_filters": ()}, "at least 1"),
        ({"diameter_px": 0.0}, "more than 0"),
    ],
)
def test_what_cannot_be_built_is_refused(changed, message):
    with pytest.raises(StarConvexError, match=message):
        NetworkConfig(**changed)


def truth(rays: int = 4) -> tuple[torch.Tensor, ...]:
    probability = torch.zeros(1, 1, 8, 8)
    probability[..., 2:6, 2:6] = 1
    return probability, 5 * probability.expand(-1, rays, -1, -1), torch.ones(1, 1, 8, 8)


def test_the_loss_is_entropy_plus_a_fifth_of_the_error_in_pixels():
    probability, distances, valid = truth()
    right = 20 * (2 * probability - 1)
    assert float(star_loss(right, distances, probability, distances, valid).total) < 1e-6
    off = star_loss(right, distances + 3, probability, distances, valid)
    assert float(off.total) == pytest.approx(0.2 * 3, abs=1e-4)
    unsure = star_loss(torch.zeros_like(right), distances, probability, distances, valid)
    assert float(unsure.total) == pytest.approx(0.6931, abs=1e-3)


@settings(deadline=None, max_examples=20)
@given(st.floats(-50, 50), st.integers(0, 7))
def test_neither_invalid_pixels_nor_distances_of_the_background_count(value, row):
    probability, distances, valid = truth()
    logits = torch.zeros_like(probability)
    before = star_loss(logits, distances, probability, distances, valid).total
    elsewhere = torch.where(probability > 0, distances, distances + value)
    assert star_loss(logits, elsewhere, probability, distances, valid).total == before
    valid[..., row, :] = 0
    masked = star_loss(logits, distances, probability, distances, valid).total
    logits[..., row, :] = value
    assert star_loss(logits, distances, probability, distances, valid).total == masked
