"""Withdrawing a real image that a real model was trained on, by the command line.

Out of scope: kills, histories and volumes (`tests.graindex.forget`).
"""

import pytest

import graindex
from graindex.derive import refresh_vectors
from graindex.features.files import make_feature_set
from graindex.features.registry import register_feature_set
from tests.end_to_end.commands import run_here
from tests.graindex.forget.traces import holding, traces
from tests.real_collections import LLZTO

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

MODEL = f"""
method: ridge
feature_set: pooled
label: {{name: conductivity_s_per_cm, transform: log10}}
datasets: [{LLZTO}]
split: {{kind: kfold, balanced: true}}
parameters: {{scalings: [[0.5, none]]}}
"""


def test_a_real_image_and_the_model_that_saw_it(all_real_home, tmp_path):
    home = all_real_home()
    store = graindex.open(home)
    store.lake.create()
    refresh_vectors(store, LLZTO, author="test")
    definition = {"name": "pooled", "entity": "micrograph", "features": [{"vector": "micrographs"}]}
    register_feature_set(store, make_feature_set(definition), author="test")
    config = tmp_path / "conductivity.yaml"
    config.write_text(MODEL)
    assert run_here("train", "conductivity", "--config", config, home=home).code == 0
    image = store.table(f"FROM micrographs WHERE dataset = '{LLZTO}' ORDER BY path LIMIT 1")
    key, thumbnail, content = (
        image[name][0].as_py() for name in ("micrograph_id", "thumbnail", "content_hash")
    )
    picture = store.files.get(thumbnail)

    shown = run_here("forget", key, "--reason", "not ours", "--format", "json", home=home)
    assert shown.code == 0, shown
    counted = {row["what"]: row["now"] for row in shown.rows}
    assert counted["rows of micrographs"] == 1
    assert counted["models that saw it"] == 1
    assert counted["runs of Dagster"] >= 1
    assert "bundles and models that were passed on cannot be known" in shown.err
    assert "nothing was removed; remove with: --yes" in shown.err
    assert store.read("withdrawals").num_rows == 0

    done = run_here("forget", key, "--reason", "not ours", "--yes", home=home)
    assert done.code == 0, done
    assert f"{key} of {LLZTO} is withdrawn" in done.err
    assert "models that saw it: conductivity@1" in done.err
    assert traces(home, key, content, thumbnail) == []
    assert holding(home / "files", picture) == []

    replayed = run_here("replay", "conductivity", home=home)
    assert replayed.code == 1
    assert f"1 rows withdrawn since: {key}, withdrawn on " in replayed.out
    assert "all other rows have the same features and labels" in replayed.out
    assert replayed.out.splitlines()[-1].endswith("withdrawal; everything else is equal")
    (listed,) = run_here("models", "--format", "json", home=home).rows
    assert (listed["status"], listed["withdrawn"]) == ("affected by withdrawal", 1)

    again = run_here("materialize", "--dataset", LLZTO, "--select", "key:micrographs", home=home)
    assert again.code == 0, again
    assert ": not ours" in again.err
    rows = run_here("sql", f"FROM micrographs WHERE micrograph_id = '{key}'", home=home)
    assert key not in rows.out
    assert "nothing of it is left" in run_here("forget", key, "--reason", "x", home=home).error
