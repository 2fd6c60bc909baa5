import json

import pyarrow.parquet as pq
import pytest

from graindex.store import open_store
from orchestration.cli.main import main
from tests.graindex.features import texture

TEXTURE = """
name: texture
entity: micrograph
features:
  - columns: [image_quality.noise_std]
  - table: particles_2d
    columns: [equivalent_diameter_um]
    statistics: [count, mean]
  - vector: micrographs
"""
PER_SPECIMEN = "{name: per_specimen, entity: sample, include: [texture]}"


@pytest.fixture
def home(filled):
    return filled.location.home


@pytest.fixture
def files(tmp_path):
    paths = []
    for name, text in (("per_specimen", PER_SPECIMEN), ("texture", TEXTURE)):
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(text)
    return [str(path) for path in paths]


def test_from_yaml_to_values(home, files, tmp_path, capsys):
    assert main(["feature-set", "add", *files, "--home", home, "--format", "json"]) == 0
    added = json.loads(capsys.readouterr().out)
    assert added == [
        {"feature_set": "texture", "version": 1}, {"feature_set": "per_specimen", "version": 1}
    ]  # fmt: skip
    assert main(["feature-set", "list", "--home", home, "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["feature_set"], row["features"]) for row in listed] == [
        ("per_specimen", 4), ("texture", 4)
    ]  # fmt: skip
    assert main(["feature-set", "show", "per_specimen@1", "--home", home, "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown[0] == {
        "feature": "noise_std",
        "unit": "grey",
        "aggregation": "mean",
        "source_columns": "image_quality.noise_std",
        "filter_columns": None,
    }
    store = open_store(home)
    then = store.snapshot()
    texture.write(store, {"image_quality": texture.quality(noise={"a1": 8.0})})
    target = tmp_path / "then.parquet"
    command = ["feature-set", "values", "per_specimen", "--home", home]
    assert main([*command, "--as-of", str(then), "-o", str(target)]) == 0
    assert pq.read_table(target)["noise_std"].to_pylist() in ([2.0, 5.0], [5.0, 2.0])
    flat = tmp_path / "now.csv"
    assert main([*command, "--where", "sample = 'a'", "-o", str(flat)]) == 0
    heading, row = flat.read_text().splitlines()
    assert heading.endswith('"vector[2]","vector[3]"') and ",8," in row
    # the home keeps the YAML, which is the same version when registered again
    kept = f"{home}/feature_sets/texture.yaml"
    capsys.readouterr()
    assert main(["feature-set", "add", kept, "--home", home, "--format", "csv"]) == 0
    assert capsys.readouterr().out == "feature_set,version\ntexture,1\n"


def test_wrong_commands_are_one_line(home, files, tmp_path, capsys):
    (tmp_path / "wrong.yaml").write_text(TEXTURE.replace("noise_std", "noise_sd"))
    for arguments, words in (
        (["add", str(tmp_path / "wrong.yaml")], "did you mean noise_std?"),
        (["add", str(tmp_path / "none.yaml")], "cannot be read"),
        (["show", "texture"], "is not registered"),
        (["values", "texture", "-o", str(tmp_path / "x.parquet")], "is not registered"),
    ):
        assert main(["feature-set", *arguments, "--home", home]) == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.count("\n") == 1 and words in told.err
    assert open_store(home).read("feature_sets").num_rows == 0
