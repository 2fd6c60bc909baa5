"""Training sets by command: to a file, to a bundle, and from there into another home."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import graindex
from orchestration.cli.main import main
from tests.end_to_end.commands import phantom

SELECTED = "+key:micrograph_vectors or key:image_quality"
FEATURES = """
name: look
entity: micrograph
features:
  - vector: micrographs
  - columns: [image_quality.sharpness_tenengrad]
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    def run(*words: object, home: Path, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        found = main([str(word) for word in (*words, "--home", home)])
        out, err = capsys.readouterr()
        assert found == code, err
        return out, err

    return run


def summary(out: str) -> dict[str, Any]:
    return {row["what"]: row["value"] for row in json.loads(out)}


@pytest.mark.slow
def test_a_bundle_carries_a_training_set_to_another_home(
    new_home: Callable[[], Path], tmp_path: Path, run: Callable[..., tuple[str, str]]
) -> None:
    home, other = new_home(), new_home()
    images = tmp_path / "images"
    for place in range(6):
        phantom(images / f"S{place // 2}" / f"{place}.png", place, databar=False, sidecar=True)
    (tmp_path / "look.yaml").write_text(FEATURES)
    (tmp_path / "labels.csv").write_text("sample,grade\nS0,good\nS1,bad\nS2,good\n")
    pattern = r"(?P<sample>S\d)/"
    run("add", images, "--dataset", "life", "--label-pattern", pattern, home=home)
    run("materialize", "--select", SELECTED, home=home)
    run("label", tmp_path / "labels.csv", "--dataset", "life", "--labeller", "ada", home=home)
    run("feature-set", "add", tmp_path / "look.yaml", home=home)

    ask = ("training-set", "look", "--label", "grade", "--folds", 3, "--format", "json")
    out, err = run(*ask, "-o", tmp_path / "life.zip", home=home)
    sent = summary(out)
    assert "warning: collection 'life' states no licence" in err
    assert (sent["rows"], sent["classes"], sent["folds"]) == (6, "bad 2, good 4", "2, 2, 2")
    (kept,) = graindex.open(home).read("training_sets").to_pylist()
    assert kept["fingerprint"] == sent["fingerprint"]

    _, err = run("import", tmp_path / "life.zip", home=other)
    assert "next: graindex materialize --dataset life" in err
    run("materialize", "--select", SELECTED, home=other)
    told = next(line for line in err.splitlines() if line.startswith("then: graindex "))
    again = (*shlex.split(told)[2:], "--format", "json", "--no-keep")
    built = summary(run(*again, "-o", tmp_path / "rows.parquet", home=other)[0])
    assert built["fingerprint"] == sent["fingerprint"]
    assert graindex.open(other).read("training_sets").num_rows == 0
    table = pq.read_table(tmp_path / "rows.parquet")
    run(*ask, "-o", tmp_path / "rows.csv", "--no-keep", home=other)
    flat = pa_csv.read_csv(tmp_path / "rows.csv")
    assert flat.num_columns == table.num_columns - 1 + table.schema.field("vector").type.list_size

    _, err = run("import", tmp_path / "life.zip", home=other, code=2)
    assert "registered already" in err
    wrong = ("training-set", "look", "--label", "colour")
    assert run(*wrong, home=home, code=2)[1].startswith("error: ")
    assert "no snapshot 9999" in run(*ask, "--as-of", "9999", home=home, code=2)[1]
