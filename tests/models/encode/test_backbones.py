import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.encode.backbones import GreyBackbone, load_backbone, load_grey_backbone, timm
from models.encode.config import EncoderConfig, EncoderUnavailableError, packaged_weights
from models.encode.encoder import Encoder

REPOSITORY = Path(__file__).parents[3]
CATS, ESPRESSO = {281, 282, 285}, 967


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory) -> Path:
    """A small network of another family with weights of its own, classifier included."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(timm.create_model("resnet18").state_dict(), path)
    return path


def classes(vector: np.ndarray) -> np.ndarray:
    """ImageNet classes, likeliest first, by the classifier that came with the packaged weights."""
    tensors = torch.load(packaged_weights(), weights_only=True)
    return np.argsort(-(tensors["_fc.weight"].numpy() @ vector + tensors["_fc.bias"].numpy()))


def test_packaged_weights_know_a_cat_and_a_cup_of_coffee(encoder):
    from skimage import data
    from skimage.color import rgb2gray

    cat, coffee = (
        (255 * rgb2gray(picture())).astype(np.uint8) for picture in (data.cat, data.coffee)
    )
    assert set(classes(encoder.encode(cat))[:3]) <= CATS | {287}
    assert classes(encoder.encode(coffee))[0] == ESPRESSO


def test_packaged_weights_are_not_random():
    image = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)
    with torch.no_grad():
        first, second = (load_backbone(EncoderConfig())(image) for _ in range(2))
        random = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()(image)
    assert torch.equal(first, second)
    assert not torch.allclose(first, random, atol=1e-2)


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "resnet18"])
def test_a_grey_image_equals_three_equal_channels(backbone, resnet_file):
    weights = str(resnet_file) if backbone == "resnet18" else None
    config = EncoderConfig(backbone=backbone, weights=weights)
    network, _ = load_grey_backbone(config)
    if backbone == "resnet18":  # ImageNet's own normalisation differs between channels
        mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    else:
        mean, std = (127.0,) * 3, (128.0,) * 3
    grey = torch.randint(0, 256, (2, 1, 96, 128), generator=torch.Generator().manual_seed(1))
    rgb = grey.float().repeat(1, 3, 1, 1)
    normalised = (rgb - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = load_backbone(config)(normalised)
        torch.testing.assert_close(network(grey.to(torch.uint8)), expected, rtol=1e-4, atol=1e-5)


def test_a_convolution_without_channels_to_sum_is_kept():
    grouped = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1, groups=3), torch.nn.Flatten())
    network = GreyBackbone(grouped, (0.0,) * 3, (1.0,) * 3, first_conv="0")
    assert network.channels == 3
    assert network(torch.zeros(1, 1, 2, 2, dtype=torch.uint8)).shape == (1, 12)


def test_a_local_checkpoint_of_another_backbone_gives_its_own_dimension(resnet_file):
    config = EncoderConfig(
        backbone="resnet18", weights=str(resnet_file), pixels=96 * 96, device="cpu"
    )
    encoder = Encoder(config)
    assert encoder.dimension == 512
    assert encoder.encode(np.zeros((50, 60), np.uint8)).shape == (512,)
    assert encoder.encoder_id.startswith("resnet18-")


def test_a_headless_torch_file_has_the_identity_of_the_whole_network(resnet_file, tmp_path):
    config = EncoderConfig(backbone="resnet18", weights=str(resnet_file))
    headless = tmp_path / "features.pth"
    torch.save(load_backbone(config).state_dict(), headless)
    other = replace(config, weights=str(headless))
    assert load_grey_backbone(config)[1] == load_grey_backbone(other)[1]


def test_changed_weights_change_the_identity(resnet_file, tmp_path):
    config = EncoderConfig(backbone="resnet18", weights=str(resnet_file))
    tensors = timm.models.load_state_dict(str(resnet_file))
    tensors["conv1.weight"][0, 0, 0, 0] += 1e-3
    save_file(tensors, tmp_path / "tuned.safetensors")
    tuned = replace(config, weights=str(tmp_path / "tuned.safetensors"))
    assert load_grey_backbone(config)[1] != load_grey_backbone(tuned)[1]


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("no_such_network", "unknown backbone 'no_such_network'"),
        ("vit_tiny_patch16_224", "takes only 224 × 224"),
        ("resnest14d_typo", "unknown backbone"),
    ],
)
def test_a_backbone_that_cannot_serve_is_refused(backbone, message):
    with pytest.raises(EncoderUnavailableError, match=message):
        load_backbone(EncoderConfig(backbone=backbone))


def test_a_missing_file_is_named(tmp_path):
    config = EncoderConfig(weights=str(tmp_path / "absent.pth"))
    with pytest.raises(EncoderUnavailableError, match=r"no weights at .*absent\.pth"):
        Encoder(config)


def test_weights_of_another_network_do_not_fit(resnet_file):
    with pytest.raises(EncoderUnavailableError, match="does not fit backbone resnet34"):
        load_backbone(EncoderConfig(backbone="resnet34", weights=str(resnet_file)))


def test_a_file_of_code_is_not_run(tmp_path):
    marker = tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return Path.touch, (marker,)

    bad = tmp_path / "code.pth"
    bad.write_bytes(pickle.dumps(Code(), protocol=2))
    with pytest.raises(EncoderUnavailableError, match="not a readable state dict"):
        load_backbone(EncoderConfig(weights=str(bad)))
    assert not marker.exists()


def test_a_damaged_file_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    for name in ("noise.safetensors", "noise.pth", "empty.pth"):
        (tmp_path / name).write_bytes(b"\x07" * 999 if "noise" in name else b"")
    for name in ("noise.safetensors", "noise.pth", "empty.pth", "list.pth"):
        with pytest.raises(EncoderUnavailableError, match="not a readable state dict"):
            load_backbone(EncoderConfig(weights=str(tmp_path / name)))


def test_without_hub_and_cache_there_is_no_network(tmp_path):
    script = """
from models.encode.backbones import EncoderConfig, EncoderUnavailableError, load_backbone
try:
    load_backbone(EncoderConfig(backbone="resnet18"))
except EncoderUnavailableError as error:
    print(error)
"""
    places = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("no weights for resnet18 in timm's cache")
    assert "weights=FILE" in done.stdout
