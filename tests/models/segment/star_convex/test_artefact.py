"""Artefacts: what is read back predicts the same; what is damaged is refused in one line."""

import json

import pytest
import torch

from models.segment.star_convex.artefact import load_artefact, save_artefact
from models.segment.star_convex.card import CARD_NAME, WEIGHTS_NAME
from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.network import build_network

CARD = {"training data": "phantoms", "licence": "Apache-2.0", "scores": {"f1_50": 0.9}}


@pytest.fixture(scope="module")
def network(tiny_config):
    torch.manual_seed(0)
    return build_network(tiny_config).eval()


@pytest.fixture
def folder(network, tmp_path):
    save_artefact(tmp_path, network, CARD)
    return tmp_path


def test_a_network_read_back_predicts_the_same(network, folder):
    again, card = load_artefact(folder)
    image = torch.rand(1, 1, 32, 48)
    with torch.no_grad():
        for one, other in zip(network(image), again(image), strict=True):
            assert torch.equal(one, other)
    assert again.config == network.config
    assert not again.training
    assert card.items() >= CARD.items()


def test_halves_take_half_the_room_and_predict_nearly_the_same(network, folder, tmp_path):
    whole = (folder / WEIGHTS_NAME).stat().st_size
    save_artefact(tmp_path / "half", network, CARD, half=True)
    assert (tmp_path / "half" / WEIGHTS_NAME).stat().st_size < 0.7 * whole
    image = torch.rand(1, 1, 32, 48)
    with torch.no_grad():
        for one, other in zip(
            network(image), load_artefact(tmp_path / "half")[0](image), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=0.01, atol=0.01)


def test_the_same_network_is_the_same_bytes(network, folder, tmp_path):
    save_artefact(tmp_path / "again", network, CARD)
    for name in (WEIGHTS_NAME, CARD_NAME):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_the_configuration_of_every_kind_survives(tmp_path):
    config = NetworkConfig(decoder_filters=(32, 16, 16, 8))
    save_artefact(tmp_path, build_network(config, pretrained=False), {})
    assert load_artefact(tmp_path)[0].config == config


def test_a_card_cannot_say_what_the_network_says(network, tmp_path):
    with pytest.raises(StarConvexError, match="leave them out"):
        save_artefact(tmp_path, network, {"network": "mine"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "mask-rcnn"}, "no card of a star-convex network"),
        ({"format": 99}, "this version reads 1"),
        ({"network": {"rays": 32}}, "describes no network"),
        ({"network": {"no such": 1, "decoder_filters": [1]}}, "describes no network"),
    ],
)
def test_a_card_of_something_else_is_refused(folder, changed, message):
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    (folder / CARD_NAME).write_text(json.dumps(card | changed), encoding="utf-8")
    with pytest.raises(StarConvexError, match=message):
        load_artefact(folder)


def test_weights_of_another_network_are_refused(folder, tiny_config):
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    card["network"]["base_filters"] = 8
    (folder / CARD_NAME).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(StarConvexError, match="do not fit"):
        load_artefact(folder)


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
@pytest.mark.parametrize("damage", [None, b"{torn"])
def test_missing_and_damaged_files_are_refused(folder, name, damage):
    (folder / name).unlink()
    if damage is not None:
        (folder / name).write_bytes(damage)
    with pytest.raises(StarConvexError, match=name):
        load_artefact(folder)
