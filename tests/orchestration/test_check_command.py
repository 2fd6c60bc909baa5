"""`graindex check` tells what is wrong and what to do, and writes it to the lake and as pages."""

import json
from pathlib import Path

import pytest

from graindex.check_results import record_results, run_checks
from graindex.generated_checks import generated_checks
from graindex.location import Location
from graindex.recipes import make_recipe, save_recipe
from graindex.store import Store, init_store
from orchestration.cli.main import main
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import key, micrograph

SELECTED = ("--select", "key:micrographs or key:samples")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of three images, of which one has a negative page and one no specimen."""
    folder = tmp_path_factory.mktemp("check")
    (folder / "images").mkdir()
    store = init_store(folder / "home")
    recipe = make_recipe(dataset="a", location_uri=str(folder / "images"))
    save_recipe(store.location, recipe)
    write(store, 3)
    return folder / "home"


def write(store: Store, count: int) -> None:
    images = [micrograph("a", n) for n in range(count)]
    images[0] |= {"page": -1, "sample_id": key("gone")}
    rows = {"micrographs": from_records(TABLES["micrographs"], images)}
    store.lake.replace(rows, "a", author="test", message="test")


def test_failing_rows_come_with_advice_rows_and_pages(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(Location.parse(home))
    run_one(store, "row_count", passes=True)
    write(store, 1)
    run_one(store, "row_count", passes=False)
    asked = ["check", "--home", str(home), *SELECTED, "--format", "json", "--accept-counts"]
    assert main([*asked, "--docs", str(tmp_path / "docs")]) == 1
    told = capsys.readouterr()
    rows = json.loads(told.out)
    found = {(row["check"], row["rule"].split(":")[0]): row for row in rows}
    assert found["dictionary", "page"]["found"] == "-1"
    assert found["dictionary", "sample_id is in samples"]["found"] == f"no a {key('gone')}"
    (line,) = [line for line in told.err.splitlines() if "micrographs.dictionary" in line]
    assert line.startswith("check failed: a micrographs.dictionary: 3 rows; Correct the value")
    assert "for the whole collection" in line
    assert not [line for line in told.err.splitlines() if line.startswith("failed:")]
    recorded = store.read("check_results", "a").to_pylist()
    assert {row["asset"] for row in recorded} == {"micrographs", "samples"}
    failing = {row["check_name"] for row in recorded if row["blocking"] and not row["passed"]}
    assert failing == {row["check"] for row in rows if row["level"] == "error"}
    (count,) = (row for row in recorded if row["check_name"] == "row_count")
    assert (count["passed"], count["checked_count"]) == (True, 1)
    assert key(0) in (tmp_path / "docs" / "index.html").read_text(encoding="utf-8")


def run_one(store: Store, name: str, *, passes: bool) -> None:
    """Run one generated check of the images and record how it ended."""
    (check,) = (one for one in generated_checks("micrographs") if one.name == name)
    (result,) = run_checks(store, [check], "a")
    record_results(store, [result], [name], author="test")
    assert result.passed == passes


def test_a_selection_of_nothing_is_a_wrong_command(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--home", str(home), "--select", "key:volumes"]) == 2
    assert "has no checked asset of collections of micrographs" in capsys.readouterr().err
