"""One converted network for all encoder tests, and pictures whose content is known."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.encode.config import EncoderConfig
from models.encode.encoder import Encoder


@pytest.fixture(scope="session")
def encoder_cache(converted_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "encoders"
    shutil.copytree(converted_encoder / "encoders", folder)
    return folder


@pytest.fixture(scope="session")
def encoder(encoder_cache: Path) -> Encoder:
    return Encoder(EncoderConfig(device="cpu"), cache_dir=str(encoder_cache))


@pytest.fixture(scope="session")
def small_encoder(encoder: Encoder, encoder_cache: Path) -> Encoder:
    """Quick, for tests of behaviour; reads the network that `encoder` left in the cache."""
    return Encoder(EncoderConfig(device="cpu", pixels=128 * 96), cache_dir=str(encoder_cache))


@pytest.fixture(scope="session")
def grains() -> list[np.ndarray]:
    """Twelve unlike images (Y, X) uint8: smoothed noise of several grain sizes and shapes."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(7)
    images = []
    for index in range(12):
        shape = ((300, 400), (400, 300), (350, 350))[index % 3]
        field = gaussian_filter(rng.standard_normal(shape), 1 + index)
        field = (field - field.min()) / (field.max() - field.min())
        images.append((255 * field).astype(np.uint8))
    return images
