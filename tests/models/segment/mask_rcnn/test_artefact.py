"""Artefacts: what is read back finds the same; what is damaged is refused in one line."""

import json

import pytest
import torch

from models.segment.cards import CARD_NAME, WEIGHTS_NAME
from models.segment.mask_rcnn.artefact import load_artefact, save_artefact
from models.segment.mask_rcnn.config import MaskRcnnError
from models.segment.mask_rcnn.network import build_network

CARD = {"training data": "phantoms", "licence": "Apache-2.0", "scores": {"f1_50": 0.9}}


@pytest.fixture(scope="module")
def network(tiny_config):
    torch.manual_seed(0)
    return build_network(tiny_config, pretrained=False).eval()


@pytest.fixture
def folder(network, tmp_path):
    save_artefact(tmp_path, network, CARD)
    return tmp_path


def test_a_network_read_back_finds_the_same(network, folder):
    again, card = load_artefact(folder)
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        (one,), (other,) = network(image), again(image)
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name])
    assert again.config == network.config
    assert not again.training
    assert card.items() >= CARD.items()


def test_halves_take_half_the_room(network, folder, tmp_path):
    whole = (folder / WEIGHTS_NAME).stat().st_size
    save_artefact(tmp_path / "half", network, CARD, half=True)
    assert (tmp_path / "half" / WEIGHTS_NAME).stat().st_size < 0.7 * whole
    for name, tensor in load_artefact(tmp_path / "half")[0].state_dict().items():
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=1e-3, atol=1e-3)


def test_the_same_network_is_the_same_bytes(network, folder, tmp_path):
    save_artefact(tmp_path / "again", network, CARD)
    for name in (WEIGHTS_NAME, CARD_NAME):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_a_card_cannot_say_what_the_network_says(network, tmp_path):
    with pytest.raises(MaskRcnnError, match="leave them out"):
        save_artefact(tmp_path, network, {"network": "mine"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "star-convex"}, "no card of a Mask R-CNN"),
        ({"format": 99}, "this version reads 1"),
        ({"network": {"mask_px": 28}}, "describes no network"),
        ({"network": {"no such": 1, "anchors_px": [1]}}, "describes no network"),
    ],
)
def test_a_card_of_something_else_is_refused(folder, changed, message):
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    (folder / CARD_NAME).write_text(json.dumps(card | changed), encoding="utf-8")
    with pytest.raises(MaskRcnnError, match=message):
        load_artefact(folder)


def test_weights_of_another_network_are_refused(folder):
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    card["network"]["mask_filters"] = 4
    (folder / CARD_NAME).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(MaskRcnnError, match="do not fit"):
        load_artefact(folder)


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
@pytest.mark.parametrize("damage", [None, b"{torn"])
def test_missing_and_damaged_files_are_refused(folder, name, damage):
    (folder / name).unlink()
    if damage is not None:
        (folder / name).write_bytes(damage)
    with pytest.raises(MaskRcnnError, match=name):
        load_artefact(folder)
