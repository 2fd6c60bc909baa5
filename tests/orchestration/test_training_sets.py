"""The command training-set asks for what Python asks for, and writes what was asked."""

import json
import shlex

import pyarrow.parquet as pq

from graindex.store import init_store
from graindex.training.request import make_request
from graindex.training.training_set import build_training_set
from orchestration.cli.main import main
from orchestration.cli.training_requests import command_of
from tests.graindex.training.grown_store import register_texture, write_all


def test_the_command_of_a_request_builds_the_same_set(tmp_path, capsys):
    home = ["--home", str(tmp_path / "home")]
    store = init_store(tmp_path / "home")
    write_all(store, "one")
    register_texture(store)
    request = make_request(
        feature_set="texture@1",
        label={
            "name": "grade",
            "tolerance": "30d",
            "labellers": ["ada", "bob"],
            "transform": "log10",
        },
        datasets=("one",),
        where="sample NOT IN ('s0', 's7')",  # grade 0, of s0, has no logarithm
        split={"kind": "holdout", "test_fraction": 0.4, "seed": 3, "balanced": True},
    ).model_copy(update={"as_of": store.snapshot()})
    words = shlex.split(command_of(request))
    assert words[0] == "graindex"
    built = build_training_set(store, request)
    capsys.readouterr()
    output = tmp_path / "rows.parquet"
    assert main([*words[1:], "-o", str(output), "--format", "json", *home]) == 0
    told = {row["what"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert told["fingerprint"] == built.fingerprint
    assert pq.read_table(output).equals(built.table)
    assert store.read("training_sets")["fingerprint"].to_pylist() == [built.fingerprint]
    assert main([*words[1:], "-o", str(tmp_path / "none" / "rows.parquet"), *home]) == 2
    assert "cannot be written" in capsys.readouterr().err
