"""Artefacts as they are passed on: whole, or refused in one line."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from graindex.errors import ModelError
from graindex.trained.artefact import (
    CARD_NAME,
    WEIGHTS_NAME,
    read_folder,
    tensors_of,
    weights_of,
    write_folder,
)
from graindex.trained.card import parse_card
from graindex.trained.kept import kept_model, open_model, run_of


@pytest.fixture
def folder(read_only, tmp_path):
    write_folder(kept_model(read_only, "grain"), tmp_path / "grain")
    return tmp_path / "grain"


def test_what_is_written_is_what_is_read(read_only, folder):
    found = read_folder(folder)
    assert found == kept_model(read_only, "grain")
    assert open_model(None, str(folder)) == found
    assert sorted(path.name for path in folder.iterdir()) == [CARD_NAME, WEIGHTS_NAME]


def test_the_weights_are_safetensors_and_the_card_is_json(folder):
    data = (folder / WEIGHTS_NAME).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert {entry["dtype"] for entry in header.values()} == {"F64"}
    card = json.loads((folder / CARD_NAME).read_text())
    assert (card["model"], card["version"], card["label"]["unit"]) == ("grain", 1, "µm")


def test_equal_tensors_are_equal_bytes():
    tensors = {"b": np.arange(3.0), "a": np.eye(2)[:, ::-1]}
    one = weights_of(tensors)
    assert one == weights_of(dict(reversed(tensors.items())))
    back = tensors_of(one)
    assert all((back[name] == tensors[name]).all() for name in tensors)


def test_changed_weights_are_refused(folder):
    data = bytearray((folder / WEIGHTS_NAME).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS_NAME).write_bytes(data)
    with pytest.raises(ModelError, match=r"not the file that card\.json vouches for") as caught:
        read_folder(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        read_folder(folder)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\x80\x04pickle", "is no JSON"),
        (b"[1]", "is no card"),
        (b'{"format": 9}', "a card of format 9"),
        (b'{"format": 1, "model": "x"}', "version: Field required"),
    ],
)
def test_what_is_no_card_is_refused(data, told):
    with pytest.raises(ModelError, match=told) as caught:
        parse_card(data, "card.json")
    assert "\n" not in str(caught.value)


def test_weights_of_another_method_are_refused(read_only):
    ridge, logistic = kept_model(read_only, "grain"), kept_model(read_only, "finish")
    mixed = type(ridge)(ridge.card, logistic.weights)
    with pytest.raises(ModelError, match="its weights lack"):
        mixed.fitted()


def test_files_of_the_home_that_changed_or_went_are_refused(trained):
    run = run_of(trained, "grain")
    path = trained.files.address(run["artefact"])
    with Path(path).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(ModelError, match="was changed since the training"):
        kept_model(trained, "grain")
    trained.files._fs.rm(path)
    with pytest.raises(ModelError, match="gone from the home"):
        kept_model(trained, "grain")


def test_a_name_needs_a_home(tmp_path):
    with pytest.raises(ModelError, match="no home that may know it"):
        open_model(None, "grain")
    with pytest.raises(ModelError, match="a model is a folder with"):
        open_model(None, str(tmp_path / "absent"))
