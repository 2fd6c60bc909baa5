"""Converted networks: what torch says, kept for the next process, which needs no torch."""

import subprocess
import sys

import numpy as np
import pytest

from models.measure.matching import evaluate
from models.segment.star_convex.artefact import save_artefact
from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.finding import PredictionOptions
from models.segment.star_convex.network import build_network
from models.segment.star_convex.openvino_forward import (
    compiled_forward,
    kept_model,
    openvino_forward,
)
from models.segment.star_convex.prediction import segment_image
from models.segment.star_convex.torch_runtime import torch_forward

LATER = """
import sys
from pathlib import Path
import numpy as np
from models.segment.star_convex.openvino_forward import compiled_forward, kept_model

forward = compiled_forward(kept_model(Path(sys.argv[1]), Path(sys.argv[2])), 1)
np.save(sys.argv[3], forward(np.load(sys.argv[4]))[1])
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def artefact(tiny_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artefact")
    save_artefact(folder, build_network(tiny_config), {})
    return folder


def test_openvino_finds_what_torch_finds(small_network, made_particles):
    grey = made_particles(303, shape_px=(190, 250)).image
    network = small_network.network
    options = PredictionOptions(probability=0.3)  # so short a training leaves probabilities low
    labels = [
        segment_image(forward, network.config, grey, options=options).labels
        for forward in (torch_forward(network), openvino_forward(network, threads=1))
    ]
    agreement = evaluate(*labels)
    assert agreement.true_count > 5
    assert agreement.at(0.95).f1 == 1


def test_a_network_that_openvino_runs_otherwise_is_refused(tiny_config):
    network = build_network(tiny_config)
    network.features.register_forward_hook(  # tracing makes a constant of the size
        lambda module, inputs, output: output + float(inputs[0].shape[-1])
    )
    with pytest.raises(StarConvexError, match="does not survive conversion"):
        openvino_forward(network, threads=1)


def test_a_later_process_needs_no_torch_and_says_the_same(artefact, tmp_path):
    image = np.random.default_rng(1).random((32, 48), dtype=np.float32)
    np.save(tmp_path / "image.npy", image)
    first = compiled_forward(kept_model(artefact, tmp_path / "cache"), 1)(image)[1]
    files = (artefact, tmp_path / "cache", tmp_path / "later.npy", tmp_path / "image.npy")
    subprocess.run([sys.executable, "-c", LATER, *files], check=True, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "later.npy"), first)


def test_other_weights_are_converted_anew(artefact, tiny_config, tmp_path):
    kept_model(artefact, tmp_path / "cache")
    save_artefact(tmp_path / "other", build_network(tiny_config), {})
    kept_model(tmp_path / "other", tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_where_nothing_can_be_kept_it_still_runs(artefact, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.warns(UserWarning, match="cannot be written"):
        model = kept_model(artefact, tmp_path / "cache")
    assert compiled_forward(model, 1)(np.zeros((32, 32), np.float32))[0].shape == (16, 16)


def test_a_network_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(StarConvexError, match="holds no network") as caught:
        kept_model(tmp_path, tmp_path / "cache")
    assert "\n" not in str(caught.value)
