"""The commands label and labels, as a person uses them."""

import json

import pytest

from graindex.store import init_store
from orchestration.cli.main import main
from tests.graindex.rows import micrographs, samples


@pytest.fixture
def home(tmp_path):
    store = init_store(tmp_path / "home")
    tables = {"samples": samples("a", ["s1", "s2"]), "micrographs": micrographs("a", ["i1", "i2"])}
    store.lake.replace(tables, "a", author="test", message="test")
    return tmp_path / "home"


def test_labels_are_stated_listed_and_refused_in_one_line(home, tmp_path, capsys):
    file = tmp_path / "labels.csv"
    file.write_text("sample,porosity\ns1,3.5\ns9,4\n")
    words = ["label", str(file), "--dataset", "a", "--home", str(home), "--format", "json"]
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "'s9' (line 3)" in told.err
    assert main([*words, "--skip-unknown", "--labeller", "ann"]) == 0
    told = capsys.readouterr()
    (row,) = json.loads(told.out)
    assert (row["labels"], row["entity_kind"], row["new"], row["unknown"]) == (
        "porosity",
        "sample",
        1,
        1,
    )
    assert "left out: 's9' is no sample of a" in told.err
    assert main(["labels", "--home", str(home), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["label_name"], row["labeller"], row["statements"]) == ("porosity", "ann", 1)
    assert main(["labels", "--dataset", "b", "--home", str(home)]) == 2
    assert "dataset 'b' is not registered" in capsys.readouterr().err
