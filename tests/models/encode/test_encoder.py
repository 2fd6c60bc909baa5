import hashlib
import subprocess
import sys
import threading
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.encode.backbones import load_grey_backbone
from models.encode.config import EncoderConfig, EncoderUnavailableError
from models.encode.conversion import cosine
from models.encode.encoder import Encoder
from models.encode.framing import frame
from models.encode.openvino_runtime import core
from models.encode.torch_engine import TorchEngine

REPOSITORY = Path(__file__).parents[3]
HAS_BFLOAT16 = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(scope="module")
def torch_engine() -> TorchEngine:
    return TorchEngine(load_grey_backbone(EncoderConfig())[0], "float32", "cpu")


def test_the_identity_is_pinned(encoder):
    """A change here orphans every stored vector: raise the version and say so in the changelog."""
    assert encoder.encoder_id == "tf_efficientnet_lite0-50f73474-avg-area307200-float32-v1"
    assert encoder.dimension == 1280


def test_the_identity_names_what_changes_vectors_and_nothing_else():
    config = EncoderConfig()
    names = {
        replace(config, **change).encoder_id("00000000")
        for change in ({}, {"precision": "bfloat16"}, {"pixels": 96 * 96}, {"backbone": "resnet18"})
    }
    assert len(names) == 4
    for change in ({"threads": 1}, {"device": "cuda"}, {"weights": "elsewhere.pth"}):
        assert replace(config, **change).encoder_id("0") == config.encoder_id("0")


@pytest.mark.parametrize(
    "wrong", [{"pixels": 100}, {"threads": 0}, {"precision": "float16"}, {"pooling": "max"}]
)
def test_a_configuration_without_meaning_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EncoderConfig(**wrong)


def test_float32_agrees_with_torch(encoder, small_encoder, torch_engine, grains):
    for network, images in ((encoder, grains[:1]), (small_encoder, grains)):
        for image in images:
            reference = torch_engine.infer(frame(image, network.config.pixels))
            assert cosine(network.encode(image), reference) >= 0.9999


def test_bfloat16_stays_close_to_float32_or_is_refused(encoder, encoder_cache, grains):
    config = replace(encoder.config, precision="bfloat16")
    if not HAS_BFLOAT16:
        with pytest.raises(EncoderUnavailableError, match="no bfloat16"):
            Encoder(config, str(encoder_cache))
        return
    half = Encoder(config, str(encoder_cache))
    for image in grains[::3]:
        likeness = cosine(half.encode(image), encoder.encode(image))
        assert 0.99 <= likeness < 1 - 1e-9, "equal vectors would mean that it ran in float32"


def test_a_gpu_agrees_or_is_missed_clearly(encoder, grains):
    import torch

    config = replace(encoder.config, device="cuda")
    if not torch.cuda.is_available():
        with pytest.raises(EncoderUnavailableError, match="sees no GPU"):
            Encoder(config)
        return
    on_gpu = Encoder(config)
    assert on_gpu.encoder_id == encoder.encoder_id
    assert cosine(on_gpu.encode(grains[0]), encoder.encode(grains[0])) >= 0.9999


def test_vectors_do_not_depend_on_threads_workers_or_order(small_encoder, encoder_cache, grains):
    single = [small_encoder.encode(image) for image in grains]
    for threads, workers, order in ((1, 1, 1), (2, 3, -1), (3, 8, 1)):
        other = Encoder(replace(small_encoder.config, threads=threads), str(encoder_cache))
        streamed = dict(
            other.encode_stream(range(12)[::order], grains.__getitem__, workers=workers)
        )
        assert sorted(streamed) == list(range(12))
        for index, vector in streamed.items():
            np.testing.assert_allclose(vector, single[index], rtol=1e-6, atol=1e-6)


def test_another_process_computes_the_same_vector(small_encoder, encoder_cache, grains, tmp_path):
    np.save(tmp_path / "image.npy", grains[0])
    script = f"""
import hashlib, sys
import numpy as np
from models.encode.encoder import Encoder, EncoderConfig
encoder = Encoder(EncoderConfig(device="cpu", pixels=128 * 96), {str(encoder_cache)!r})
vector = encoder.encode(np.load({str(tmp_path / "image.npy")!r}))
print(encoder.encoder_id, hashlib.sha256(vector.tobytes()).hexdigest())
print("torch" in sys.modules, sys.modules["openvino_telemetry"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    identity, digest, torch_imported, telemetry = done.stdout.split()
    assert identity == small_encoder.encoder_id
    assert digest == hashlib.sha256(small_encoder.encode(grains[0]).tobytes()).hexdigest()
    assert torch_imported == "False", "a kept network must start without torch"
    assert telemetry == "None"


def test_the_cache_changes_no_vector(small_encoder, grains):
    fresh = Encoder(small_encoder.config)
    np.testing.assert_array_equal(fresh.encode(grains[0]), small_encoder.encode(grains[0]))
    assert fresh.encoder_id == small_encoder.encoder_id


def test_vectors_are_raw_features_that_tell_images_apart(small_encoder, grains):
    vectors = np.stack([small_encoder.encode(image) for image in grains])
    assert vectors.dtype == np.float32
    assert np.all(vectors >= 0), "the last layer is rectified"
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths.std() > 1e-2
    alike = (vectors / lengths[:, None]) @ (vectors / lengths[:, None]).T
    assert np.all(alike[~np.eye(12, dtype=bool)] < 0.999)


def test_a_failing_load_is_passed_on_and_the_stream_goes_on(small_encoder, grains):
    failures = {2: OSError("truncated"), 5: ValueError("no such page")}

    def load(index):
        if index in failures:
            raise failures[index]
        return grains[index] if index != 7 else np.zeros((3, 3, 3), np.uint8)

    results = dict(small_encoder.encode_stream(range(10), load, workers=2))
    assert len(results) == 10
    assert results[2] is failures[2]
    assert results[5] is failures[5]
    assert isinstance(results[7], ValueError)
    assert all(isinstance(results[i], np.ndarray) for i in (0, 1, 3, 4, 6, 8, 9))


def test_a_mistake_in_load_ends_the_stream(small_encoder):
    def load(index):
        raise TypeError("a programming error")

    with pytest.raises(TypeError, match="programming error"):
        list(small_encoder.encode_stream(range(3), load, workers=2))


def test_an_empty_stream_yields_nothing(small_encoder):
    assert list(small_encoder.encode_stream([], lambda item: item)) == []


def test_a_stream_needs_a_worker(small_encoder):
    with pytest.raises(ValueError, match="at least 1"):
        small_encoder.encode_stream([], lambda item: item, workers=0)


def test_memory_is_bounded_by_the_workers(small_encoder):
    workers, alive, most, taken, given = 3, 0, 0, 0, 0
    lock = threading.Lock()

    def died():
        nonlocal alive
        with lock:
            alive -= 1

    def load(index):
        nonlocal alive, most
        image = np.full((480, 640), index, np.uint8)
        with lock:
            alive += 1
            most = max(most, alive)
        weakref.finalize(image, died)
        return image

    def items():
        nonlocal taken
        for index in range(60):
            taken += 1
            yield index

    for _ in small_encoder.encode_stream(items(), load, workers=workers):
        given += 1
        assert taken - given <= 2 * workers
    assert given == 60
    assert most <= workers


def test_leaving_a_stream_early_stops_its_work(small_encoder, grains):
    loaded = []

    def load(index):
        loaded.append(index)
        return grains[index % 12]

    stream = small_encoder.encode_stream(range(1000), load, workers=2)
    next(stream)
    stream.close()
    after = len(loaded)
    assert after <= 8
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("encode")]
