"""Networks: the published layers one by one, and what attention and descriptors may change."""

import numpy as np
import pytest
import torch
from torch import nn

from models.encode.backbones import load_backbone
from models.encode.config import EncoderConfig
from models.learn.image_networks.config import ImageNetworkError, NetworkConfig
from models.learn.image_networks.networks import (
    Attention,
    build_network,
    placed,
    restored_network,
)

TABLE_2 = [
    ("Conv2d", (1, 512, 512), (16, 512, 512)),
    ("Conv2d", (16, 512, 512), (16, 512, 512)),
    ("MaxPool2d", (16, 512, 512), (16, 256, 256)),
    ("Conv2d", (16, 256, 256), (32, 256, 256)),
    ("Conv2d", (32, 256, 256), (32, 256, 256)),
    ("MaxPool2d", (32, 256, 256), (32, 128, 128)),
    ("Conv2d", (32, 128, 128), (64, 128, 128)),
    ("Conv2d", (64, 128, 128), (64, 128, 128)),
    ("Linear", (64,), (1,)),
]
LITE0 = NetworkConfig("efficientnet-b3", backbone="tf_efficientnet_lite0")


def network_of(config, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_network(config, **options).eval()


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def image_batch(seed=0, side=64, count=2):
    return torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def lite0():
    return build_network(LITE0).eval()


def test_the_baseline_has_the_layers_of_table_2():
    network = network_of(NetworkConfig())
    seen = []

    def note(module, inputs, output):
        seen.append((type(module).__name__, tuple(inputs[0].shape[1:]), tuple(output.shape[1:])))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.Linear):
            module.register_forward_hook(note)
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, 512, 512)).shape == (1,)
    assert seen == TABLE_2
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            assert (module.kernel_size, module.stride, module.padding) == ((3, 3), (1, 1), (1, 1))
        if isinstance(module, nn.MaxPool2d):
            assert (module.kernel_size, module.stride, module.padding) == (2, 2, 0)


def test_parameters_as_counted_by_hand():
    convolutions = [
        3 * 3 * inner * outer + outer
        for inner, outer in [(1, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]
    ]
    assert parameters(network_of(NetworkConfig())) == sum(convolutions) + 65 == 71_857
    masks = (16 + 1) + (32 + 1) + (64 + 1)
    assert parameters(network_of(NetworkConfig("attention"))) == 71_857 + masks
    assert parameters(network_of(NetworkConfig("descriptors", 33))) == 71_857 + 33


def test_forward_is_the_last_layer_over_the_mean_of_the_last_maps():
    network = network_of(NetworkConfig())
    image = image_batch()
    with torch.inference_mode():
        maps = network.feature_maps(image)
        assert maps.shape == (2, 64, 16, 16)
        assert (maps >= 0).all()
        pooled = network.pooled(image)
        assert torch.equal(pooled, maps.mean((2, 3)))
        expected = pooled @ network.output.weight[0] + network.output.bias
        torch.testing.assert_close(network(image), expected)


def test_signals_neither_die_nor_explode_before_training():
    network = network_of(NetworkConfig())
    with torch.inference_mode():
        maps = network.feature_maps(image_batch(count=4))
    assert 0.2 < float((maps**2).mean()) < 5  # 1 in wide layers, He et al. (2015), eq. 10


def test_open_attention_changes_nothing_and_closed_attention_passes_nothing():
    plain = network_of(NetworkConfig())
    network = network_of(NetworkConfig("attention"))
    missing, unexpected = network.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert len(missing) == 3 * 2
    masks = [module.mask for module in network.modules() if isinstance(module, Attention)]
    image = image_batch()
    with torch.inference_mode():
        assert not torch.allclose(network(image), plain(image))
        for mask in masks:
            mask.weight.zero_()
            mask.bias.fill_(100)  # a sigmoid of exactly 1
        assert torch.equal(network.feature_maps(image), plain.feature_maps(image))
        assert torch.equal(network(image), plain(image))
        masks[-1].bias.fill_(-200)
        assert torch.equal(network(image), network.output.bias.expand(2))


def test_attention_is_one_mask_for_all_features_at_a_position():
    attention = Attention(5)
    x = torch.rand(1, 5, 8, 8) + 0.1
    with torch.inference_mode():
        ratio = attention(x) / x
    assert ((ratio > 0) & (ratio < 1)).all()
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))


def test_descriptors_enter_at_the_pooled_layer_alone():
    network = network_of(NetworkConfig("descriptors", 3))
    image = image_batch()
    one, other = torch.zeros(2, 3), torch.tensor([[1.0, 0, 0], [0, -2, 3]])
    assert network.output.in_features == 64 + 3
    with torch.inference_mode():
        weight = network.output.weight[0, 64:]
        expected = network(image, one) + other @ weight
        torch.testing.assert_close(network(image, other), expected)
        maps = network.feature_maps(image)
        torch.testing.assert_close(network.from_maps(maps, other), expected)


@pytest.mark.parametrize(
    ("config", "descriptors", "message"),
    [
        (NetworkConfig("descriptors", 3), None, r"\(2, 0\) for a network that takes \(2, 3\)"),
        (NetworkConfig("descriptors", 3), torch.zeros(2, 2), r"\(2, 2\)"),
        (NetworkConfig(), torch.zeros(2, 2), r"takes \(2, 0\)"),
    ],
)
def test_other_descriptors_are_refused(config, descriptors, message):
    with pytest.raises(ImageNetworkError, match=message):
        network_of(config)(image_batch(), descriptors)


def test_a_backbone_sees_grey_levels_as_those_of_natural_images(lite0):
    backbone = load_backbone(EncoderConfig("tf_efficientnet_lite0"))
    image = image_batch(side=96)
    rgb = (255 * (0.449 + 0.226 * image) - 127) / 128
    with torch.inference_mode():
        expected = backbone(rgb.expand(-1, 3, -1, -1))
        assert lite0.feature_maps(image).shape == (2, 1280, 3, 3)
        torch.testing.assert_close(lite0.pooled(image), expected, rtol=1e-3, atol=1e-4)


def test_batch_statistics_of_a_backbone_stay_as_pretrained_in_training():
    network = build_network(LITE0).train()
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    network(image_batch()).sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.named_buffers())
    assert all(parameter.grad is not None for parameter in network.parameters())
    frozen = build_network(LITE0, fine_tune=False).train()
    learning = [name for name, parameter in frozen.named_parameters() if parameter.requires_grad]
    assert learning == ["output.weight", "output.bias"]


def test_a_backbone_is_restored_without_its_weights_file(lite0):
    tensors = {name: tensor.numpy() for name, tensor in lite0.state_dict().items()}
    again = restored_network(LITE0, tensors, "cpu")
    image = image_batch()
    with torch.inference_mode():
        assert torch.equal(again(image), placed(lite0, "cpu")(image))


def test_weights_of_a_backbone_come_from_a_file(lite0, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    backbone = lite0.features.backbone
    save_file({name: tensor.contiguous() for name, tensor in backbone.state_dict().items()}, path)
    image = image_batch()
    with torch.inference_mode():
        again = build_network(LITE0, weights=path).eval()
        torch.testing.assert_close(again.pooled(image), lite0.pooled(image))
    with pytest.raises(ImageNetworkError, match="tf_efficientnet_b3 comes without weights"):
        build_network(NetworkConfig("efficientnet-b3"))
    with pytest.raises(ImageNetworkError, match="unknown backbone"):
        build_network(NetworkConfig("efficientnet-b3", backbone="b3"), pretrained=False)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"architecture": "vgg16"}, "choose one of baseline"),
        ({"architecture": "descriptors"}, "at least 1"),
        ({"descriptors": 2}, "the others take none"),
        ({"descriptors": -1}, "the others take none"),
        ({"filters": (16, 32)}, "three of at least 1"),
        ({"backbone": ""}, "backbone is empty"),
    ],
)
def test_networks_that_cannot_be_are_refused(changed, message):
    with pytest.raises(ImageNetworkError, match=message) as refused:
        NetworkConfig(**changed)
    assert "\n" not in str(refused.value)


def test_names_do_not_import_torch():
    import subprocess
    import sys

    script = (
        "import sys; import models.learn.image_networks.learner, models.explain.grad_cam;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_numbers_of_the_transfer_are_finite_for_a_flat_image(lite0):
    with torch.inference_mode():
        assert np.isfinite(lite0(torch.zeros(1, 1, 64, 64)).numpy()).all()
