"""Vectors of several depths and of mirror images, against feature maps computed directly."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.encode.backbones import load_grey_backbone, timm
from models.encode.config import EncoderConfig, EncoderUnavailableError
from models.encode.depths import PooledDepths
from models.encode.encoder import Encoder
from models.encode.feature_maps import feature_maps
from models.encode.framing import clahe, frame, mirrored
from models.encode.framing import parts as parts_of
from models.encode.torch_engine import TorchEngine

REPOSITORY = Path(__file__).parents[3]
CONFIG = EncoderConfig(device="cpu", pixels=160 * 128, pooling="depths")
SIZES = (24, 40, 112, 320, 1280)


@pytest.fixture(scope="module")
def deep_encoder(encoder_cache) -> Encoder:
    return Encoder(CONFIG, str(encoder_cache))


def parts(vector: np.ndarray) -> list[np.ndarray]:
    return np.split(vector, np.cumsum(SIZES)[:-1])


def test_the_identity_is_of_the_pooling(encoder, deep_encoder):
    assert deep_encoder.encoder_id == "tf_efficientnet_lite0-50f73474-depths-area20480-float32-v1"
    assert (deep_encoder.depths, deep_encoder.dimension) == (SIZES, 1776)
    assert (encoder.depths, encoder.dimension) == ((1280,), 1280)
    both = replace(CONFIG, mirrored=True).encoder_id("0")
    assert both == "tf_efficientnet_lite0-0-depths-mirrored-area20480-float32-v1"
    views = replace(CONFIG, mirrored=True, crops=2, equalise="clahe").encoder_id("0")
    assert "-depths-mirrored-crops2-clahe-area20480-" in views
    plain = EncoderConfig().encoder_id("0")
    assert plain == "tf_efficientnet_lite0-0-avg-area307200-float32-v1"


def test_depths_are_means_of_the_feature_maps(deep_encoder, grains):
    maps = feature_maps(EncoderConfig(), (1, 2, 3, 4), pretrained=True).eval()
    for image in grains[:3]:
        framed = torch.from_numpy(frame(image, CONFIG.pixels))
        rgb = ((framed.float() - 127) / 128).expand(1, 3, -1, -1)
        with torch.no_grad():
            expected = [one[0].mean((1, 2)).numpy() for one in maps(rgb)]
        for found, wanted in zip(parts(deep_encoder.encode(image))[:4], expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


def test_the_last_depth_is_what_avg_gives(deep_encoder, encoder_cache, grains):
    plain = Encoder(replace(CONFIG, pooling="avg"), str(encoder_cache))
    for image in grains[:3]:
        wanted = plain.encode(image)
        found = parts(deep_encoder.encode(image))[-1]
        np.testing.assert_allclose(found, wanted, atol=1e-5 * wanted.max())


def test_every_depth_agrees_with_torch(deep_encoder, grains):
    network, _ = load_grey_backbone(CONFIG)
    assert network.sizes == SIZES
    reference = TorchEngine(network, "float32", "cpu")
    for image in grains[:3]:
        wanted = reference.infer(frame(image, CONFIG.pixels))
        for one, other in zip(parts(deep_encoder.encode(image)), parts(wanted), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())


def test_a_kept_network_knows_its_depths_without_torch(deep_encoder, encoder_cache):
    script = f"""
import sys
from models.encode.encoder import Encoder, EncoderConfig
encoder = Encoder(EncoderConfig(device="cpu", pooling="depths"), {str(encoder_cache)!r})
print(encoder.depths, "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == f"{deep_encoder.depths} False"


def test_mirror_images_are_averaged(deep_encoder, encoder_cache, grains):
    encoder = Encoder(replace(CONFIG, mirrored=True), str(encoder_cache))
    image = grains[0]
    views = mirrored(frame(image, CONFIG.pixels))
    assert len({view.tobytes() for view in views}) == 4
    mean = np.mean([deep_encoder.encode(view) for view in views], axis=0)
    found = encoder.encode(image)
    np.testing.assert_allclose(found, mean, rtol=1e-5, atol=1e-6)
    assert not np.allclose(found, deep_encoder.encode(image), rtol=1e-3)
    ((_, streamed),) = encoder.encode_stream([0], grains.__getitem__)
    np.testing.assert_allclose(streamed, found, rtol=1e-6, atol=1e-6)


def test_parts_are_averaged_after_the_contrast_of_the_whole_is_evened_out(encoder_cache, grains):
    config = replace(CONFIG, crops=2, equalise="clahe")
    encoder = Encoder(config, str(encoder_cache))
    plain = Encoder(CONFIG, str(encoder_cache))
    image = grains[0]
    mean = np.mean([plain.encode(part) for part in parts_of(clahe(image), 2)], axis=0)
    np.testing.assert_allclose(encoder.encode(image), mean, rtol=1e-5, atol=1e-6)
    ((_, streamed),) = encoder.encode_stream([0], grains.__getitem__)
    np.testing.assert_allclose(streamed, mean, rtol=1e-5, atol=1e-6)
    ((_, refused),) = encoder.encode_stream([0], lambda _: np.zeros((1, 9), np.uint8))
    assert "no 2 parts a side" in str(refused)


def test_a_mirrored_micrograph_has_the_same_vector(encoder_cache, grains):
    encoder = Encoder(replace(CONFIG, mirrored=True), str(encoder_cache))
    framed = frame(grains[1], CONFIG.pixels)
    vectors = [encoder.encode(view) for view in mirrored(framed)]
    for other in vectors[1:]:
        np.testing.assert_allclose(other, vectors[0], rtol=1e-5, atol=1e-6)


def test_mirrored_is_left_right_upside_down_and_both():
    image = np.array([[1, 2], [3, 4]], np.uint8)
    found = [view.tolist() for view in mirrored(image)]
    assert found == [[[1, 2], [3, 4]], [[2, 1], [4, 3]], [[3, 4], [1, 2]], [[4, 3], [2, 1]]]


def test_a_network_whose_last_map_is_its_output_gives_it_once(tmp_path, grains):
    torch.manual_seed(0)
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "resnet18.safetensors")
    weights = str(tmp_path / "resnet18.safetensors")
    encoder = Encoder(replace(CONFIG, backbone="resnet18", weights=weights, pixels=96 * 96))
    assert encoder.depths == (64, 128, 256, 512)
    assert encoder.encode(grains[0]).shape == (960,)


def test_a_backbone_without_intermediate_maps_is_refused():
    with pytest.raises(EncoderUnavailableError, match="does not give its intermediate maps"):
        PooledDepths(torch.nn.Sequential())
