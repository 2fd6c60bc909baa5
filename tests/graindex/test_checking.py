"""Checks run, their results become rows, and what every asset is checked for is found."""

import json
import shutil
from dataclasses import dataclass

import pyarrow as pa
import pytest

from graindex.check_results import accept_counts, record_results, run_checks
from graindex.checking import SHOWN, Check, Problem
from graindex.errors import CollectionError
from graindex.generated_checks import dictionary_problems, generated_checks, store_problems
from graindex.recipes import CheckLimits, make_recipe, save_recipe
from graindex.store import Store, open_store
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import key, micrograph, micrographs, samples, vectors


def check(name="c", problems=(), *, blocking=True, asset="samples"):
    return Check(asset, name, lambda *_: list(problems), "All well.", "Mend it.", blocking=blocking)


def problem(count, rule="rule", advice=""):
    rows = tuple((f"id{n}", f"found {n}") for n in range(min(count, SHOWN)))
    return Problem(rule, count, rows, advice)


@dataclass(frozen=True)
class Desk:
    """A collection of one test in a store that tests share."""

    store: Store
    dataset: str

    def register(self, **options):
        recipe = make_recipe(dataset=self.dataset, location_uri="/x", **options)
        save_recipe(self.store.location, recipe)

    def replace(self, **tables):
        return self.store.lake.replace(tables, self.dataset, author="test", message="test")

    def record(self, *checks, names=None):
        ended = run_checks(self.store, checks, self.dataset)
        names = names or [one.name for one in checks]
        return record_results(self.store, ended, names, author="test")

    def results(self):
        rows = self.store.read("check_results", self.dataset).to_pylist()
        return {row["check_name"]: row for row in rows if row["asset"] != "datasets"}

    def failures(self):
        return self.store.read("check_failures", self.dataset).to_pylist()

    def broken(self, asset):
        found = dictionary_problems(asset, self.store, self.dataset)
        return {one.rule: one for one in found}

    def fill(self):
        """Three images of two specimens, as a registered collection."""
        self.register()
        row = {
            "dataset": self.dataset,
            "kind": "micrographs",
            "location_uri": "/x",
            "file_count": 3,
            "registered_at": self.store.recipe(self.dataset).registered_at,
            "code_version": "1",
        }
        images = [micrograph(self.dataset, n, sample_id=key("s")) for n in range(3)]
        self.replace(
            datasets=from_records(TABLES["datasets"], [row]),
            samples=samples(self.dataset, "st"),
            micrographs=from_records(TABLES["micrographs"], images),
        )


@pytest.fixture(scope="module")
def shared(empty_home, tmp_path_factory):
    home = tmp_path_factory.mktemp("checking") / "home"
    shutil.copytree(empty_home, home)
    return open_store(home)


@pytest.fixture
def desk(shared, request):
    return Desk(shared, key(request.node.name))


@pytest.fixture
def images(desk):
    desk.fill()
    return desk


def test_a_result_says_what_was_checked_what_fails_and_what_to_do(desk):
    desk.replace(samples=samples(desk.dataset, range(7)))
    bad = check("bad", [problem(2), problem(3, "other")], blocking=False)
    desk.record(check("good"), bad)
    good, bad = desk.results()["good"], desk.results()["bad"]
    assert (good["passed"], good["failing_count"], good["checked_count"]) == (True, 0, 7)
    assert (bad["passed"], bad["failing_count"], bad["checked_count"]) == (False, 5, 7)
    assert (good["blocking"], bad["blocking"]) == (True, False)
    assert good["advice"] == bad["advice"] == "Mend it."
    assert {(row["rule"], row["failing_id"], row["found"]) for row in desk.failures()} == {
        *(("rule", f"id{n}", f"found {n}") for n in range(2)),
        *(("other", f"id{n}", f"found {n}") for n in range(3)),
    }


def test_the_first_thousand_are_listed_and_all_are_counted(desk):
    desk.record(check(problems=[problem(12_345)]))
    assert len(desk.failures()) == SHOWN == 1000
    assert {row["failing_count"] for row in desk.failures()} == {12_345}
    assert desk.results()["c"]["failing_count"] == 12_345
    assert len(json.loads(json.dumps(problem(12_345).as_json()))["rows"]) == 100


def test_a_row_that_breaks_a_rule_twice_is_listed_once(desk):
    desk.record(check(problems=[Problem("unique", 2, (("same", "first"), ("same", "second")))]))
    (failure,) = desk.failures()
    assert (failure["found"], failure["failing_count"]) == ("first", 2)


def test_checking_again_makes_no_snapshot_until_something_changes(desk):
    first = desk.record(check("x"), check("y", [problem(2)]))
    before = desk.results()
    assert desk.record(check("x"), check("y", [problem(2)])) == first == desk.store.snapshot()
    assert desk.results() == before
    assert desk.record(check("x"), check("y", [problem(1)])) > first
    after = desk.results()
    assert after["x"] == before["x"]
    assert after["y"]["checked_at"] > before["y"]["checked_at"]
    assert (after["y"]["failing_count"], after["y"]["lake_snapshot"]) == (1, first)


def test_problems_may_have_better_advice_than_their_check(desk):
    desk.record(check(problems=[problem(1, "a", "Do this."), problem(1, "b"), problem(1, "c")]))
    assert desk.results()["c"]["advice"] == "Do this. Mend it."


def test_a_check_that_cannot_be_made_keeps_no_other_from_running(desk):
    def gone(*_):
        message = "folder /x is not there"
        raise CollectionError(message)

    broken = Check("samples", "broken", gone, "All well.", "Mend it.")
    ended = run_checks(desk.store, [broken, check("good")], desk.dataset)
    told = [(one.passed, one.error) for one in ended]
    assert told == [(False, "folder /x is not there"), (True, "")]
    record_results(desk.store, ended, ["broken", "good"], author="test")
    assert desk.results().keys() == {"good"}


def test_rows_of_other_checks_stay_and_those_of_former_checks_go(desk):
    desk.record(check("a", [problem(1)]), check("b"), check("former", [problem(1)]))
    desk.record(check("a", [problem(1)], asset="datasets"))
    desk.record(check("b", [problem(2)]), names=["a", "b"])
    rows = desk.store.read("check_results", desk.dataset).to_pylist()
    assert {(row["asset"], row["check_name"], row["failing_count"]) for row in rows} == {
        ("samples", "a", 1),
        ("samples", "b", 2),
        ("datasets", "a", 1),
    }
    assert sorted(row["check_name"] for row in desk.failures()) == ["a", "a", "b", "b"]


def test_a_dropped_number_of_rows_warns_until_it_is_accepted(desk):
    desk.register()
    (count,) = (one for one in generated_checks("micrographs") if one.name == "row_count")

    def check_with(images):
        desk.replace(micrographs=micrographs(desk.dataset, range(images)))
        desk.record(count)
        row = desk.results()["row_count"]
        return row["passed"], row["failing_count"], row["checked_count"]

    assert check_with(10) == (True, 0, 10)
    assert check_with(8) == (True, 0, 8)
    for _ in range(2):  # what was accepted is not forgotten by failing
        assert check_with(6) == (False, 2, 8)
    (failure,) = desk.failures()
    assert failure["found"] == "6 rows, 8 were accepted"
    accept_counts(desk.store, desk.dataset, author="test")
    assert check_with(6) == (True, 0, 6)
    desk.register(checks=CheckLimits(max_drop_fraction=0.5))
    assert check_with(3) == (True, 0, 3)


def test_good_rows_keep_the_dictionary(images):
    for asset in ("datasets", "samples", "micrographs", "contacts"):
        assert images.broken(asset) == {}


def test_rows_written_along_with_an_asset_are_checked_with_it(images):
    lost = {"dataset": images.dataset, "micrograph_id": key("gone"), "finding": "f", "detail": "d"}
    images.replace(findings=from_records(TABLES["findings"], [lost]))
    found = images.broken("micrographs")
    assert found.keys() == {"findings: micrograph_id is in micrographs"}
    assert "materialize" in found.popitem()[1].advice


def test_rows_in_lancedb_keep_the_dictionary_too(images):
    rows = vectors(images.dataset, [1])
    images.store.vectors.upsert("micrographs", rows, 4)
    assert images.broken("micrograph_vectors") == {}
    place = rows.schema.get_field_index("vector_norm")
    wrong = rows.set_column(place, "vector_norm", pa.array([-1.0]))
    images.store.vectors.upsert("micrographs", wrong, 4)
    (found,) = images.broken("micrograph_vectors").values()
    assert found.rows == ((key(1), "-1.0"),)


def test_tables_that_are_not_as_declared_are_named_and_made_so_where_that_is_safe(store):
    desk = Desk(store, "a")
    desk.fill()
    for change in (
        "ALTER TABLE lake.micrographs DROP COLUMN detector",
        "ALTER TABLE lake.micrographs ALTER width_px SET DATA TYPE DOUBLE",
        "COMMENT ON COLUMN lake.micrographs.pixel_size_um IS 'Side of a pixel. [nm]'",
        "COMMENT ON COLUMN lake.micrographs.height_px IS NULL",
        "ALTER TABLE lake.samples ADD COLUMN cycles DOUBLE",
        "ALTER TABLE lake.samples ADD COLUMN taken_at DATE",
        "DROP TABLE lake.findings",
    ):
        store.lake.query(change)
    found = desk.broken("micrographs")
    changed = (("width_px", "DOUBLE instead of BIGINT"),)
    assert {rule: one.rows for rule, one in found.items()} == {
        "column is there": (("detector", "missing"),),
        "type": changed,
        "unit": (("height_px", "None instead of px"), ("pixel_size_um", "nm instead of µm")),
        "findings: the table is there": (("findings", "missing"),),
    }
    assert all("graindex init" in one.advice for one in found.values())
    (own,) = desk.broken("samples").values()
    assert own.rows == (("taken_at", "DATE instead of DOUBLE or VARCHAR"),)
    store.lake.create()
    assert {rule: one.rows for rule, one in desk.broken("micrographs").items()} == {"type": changed}


def test_tables_of_the_store_as_a_whole_are_checked(shared):
    assert store_problems(shared) == []
    row = {"model": "Bad Name", "model_version": 1, "curve": "c", "curve_x": 1.0, "curve_y": 1.0}
    shared.lake.put({"curves": from_records(TABLES["curves"], [row])}, author="t", message="t")
    found = {(table, one.rule.split(":")[0]): one.rows for table, one in store_problems(shared)}
    assert found == {
        ("curves", "model"): (("Bad Name 1 c 1.0", "Bad Name"),),
        ("curves", "model, model_version is in model_runs"): (
            ("Bad Name 1 c 1.0", "no Bad Name 1"),
        ),
    }


def test_every_check_says_what_should_hold_and_what_to_do():
    for asset in ("micrographs", "contacts"):
        for one in generated_checks(asset):
            assert one.asset == asset
            assert one.description.endswith(".")
            assert one.advice.endswith(".")
