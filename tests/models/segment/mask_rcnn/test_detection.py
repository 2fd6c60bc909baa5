"""Boxes and masks: what torchvision finds with the same network, by torch and by OpenVINO."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encode.torchvision_kernels import nms
from models.segment.mask_rcnn.artefact import save_artefact
from models.segment.mask_rcnn.detection import LEAST_OBJECTNESS, moved, suppress, tile_instances
from models.segment.mask_rcnn.network import build_network
from models.segment.mask_rcnn.openvino_parts import OpenVinoParts, kept_parts, openvino_parts
from models.segment.mask_rcnn.torch_runtime import TorchParts
from models.segment.star_convex.config import StarConvexError

LATER = """
import sys
from pathlib import Path
import numpy as np
from models.segment.mask_rcnn.card import config_of, read_card
from models.segment.mask_rcnn.openvino_parts import OpenVinoParts, kept_parts

folder, cache, out, image = map(Path, sys.argv[1:])
config = config_of(read_card(folder)["network"])
seen = OpenVinoParts(kept_parts(folder, cache), config, 1).see(np.load(image))
np.save(out, seen.objectness[0])
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def artefact(tiny_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artefact")
    save_artefact(folder, build_network(tiny_config), {})
    return folder


@pytest.fixture(params=["torch", "openvino"], scope="module")
def parts(request, disc_network):
    return {"torch": TorchParts, "openvino": lambda network: openvino_parts(network, 1)}[
        request.param
    ](disc_network.network)


@pytest.mark.parametrize("shape", [(224, 320), (96, 160), (32, 64)])
def test_torchvision_finds_the_same(parts, disc_network, disc_image, monkeypatch, shape):
    tile = (disc_image(303, shape).grey / 200).astype(np.float32)
    found = tile_instances(parts, tile, 0.1)
    monkeypatch.setattr(disc_network.network.parts.rpn, "score_thresh", LEAST_OBJECTNESS)
    with torch.inference_mode():
        right = disc_network.network(torch.from_numpy(tile)[None, None])[0]
    sure = right["scores"].numpy() > 0.1
    assert shape == (32, 64) or sure.sum() > 5
    np.testing.assert_allclose(found.probability, right["scores"].numpy()[sure], atol=1e-3)
    np.testing.assert_allclose(found.boxes, right["boxes"].numpy()[sure], atol=1e-2)
    np.testing.assert_allclose(found.masks, right["masks"].numpy()[sure, 0], atol=1e-2)
    assert {array.dtype for array in (found.boxes, found.masks, found.probability)} == {
        np.dtype(np.float32)
    }


class Counting(TorchParts):
    """Counts the regions that are looked at."""

    regarded = 0

    def regions(self, level, boxes):
        self.regarded += len(boxes)
        return super().regions(level, boxes)


@pytest.mark.parametrize(("side", "times"), [(96, 1), (576, 1), (1152, 4)])
def test_a_larger_tile_has_more_proposals(tiny_config, side, times):
    """Where all tiles had the same number, particles of large ones would be left out."""
    parts = Counting(build_network(tiny_config, pretrained=False))
    tile_instances(parts, np.random.default_rng(0).random((side, side), np.float32), 0.9)
    assert parts.regarded == times * tiny_config.proposals


places = st.integers(0, 40).map(lambda fourth: fourth / 4)
boxes_drawn = st.lists(
    st.tuples(places, places, st.integers(1, 30), st.integers(1, 30), st.integers(1, 500)),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(boxes_drawn, st.sampled_from([0.3, 0.5, 0.7]))
def test_boxes_that_a_better_one_overlaps_are_left_out(drawn, overlap):
    rows = np.array(drawn, np.float32).reshape(-1, 5)
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    scores = rows[:, 4] / 500
    kept = suppress(boxes, scores, overlap)
    right = nms(torch.from_numpy(boxes), torch.from_numpy(scores), overlap)
    np.testing.assert_array_equal(kept, right.numpy())


def test_offsets_move_and_resize_a_box():
    box = np.array([[10, 20, 30, 60]], np.float32)
    offsets = np.array([[5, -2.5, np.log(2) * 5, 0]], np.float32)
    # half a side of 20 to the right, a quarter of 40 up, twice as wide
    expected = [[10, 10, 50, 50]]
    np.testing.assert_allclose(moved(box, offsets, (10, 10, 5, 5)), expected, rtol=1e-5)


def test_a_network_that_openvino_runs_otherwise_is_refused(tiny_config):
    network = build_network(tiny_config)
    network.parts.backbone.levels.register_forward_hook(  # tracing makes a constant of the size
        lambda module, inputs, output: {
            name: level + float(level.shape[-1]) for name, level in output.items()
        }
    )
    with pytest.raises(StarConvexError, match="does not survive conversion"):
        openvino_parts(network, 1)


def test_a_later_process_needs_no_torch_and_says_the_same(artefact, tiny_config, tmp_path):
    image = np.random.default_rng(1).random((64, 96), dtype=np.float32)
    np.save(tmp_path / "image.npy", image)
    first = OpenVinoParts(kept_parts(artefact, tmp_path / "cache"), tiny_config, 1).see(image)
    files = (artefact, tmp_path / "cache", tmp_path / "later.npy", tmp_path / "image.npy")
    subprocess.run([sys.executable, "-c", LATER, *files], check=True, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "later.npy"), first.objectness[0])
