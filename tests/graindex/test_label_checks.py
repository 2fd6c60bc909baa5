"""Contradictions between names, readings, statements and samples; and how problems are told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graindex
from graindex.label_checks import LABEL_CHECKS, labels_contradict, labels_suspected
from graindex.label_conflicts import classes_in, numbers_in
from graindex.label_issues import refresh_label_issues
from graindex.recipes import make_recipe, save_recipe
from schemas.tables import LAKE_ASSETS
from tests.graindex.planted import collection, replace, specimen_key, state

NCM, LLZTO, UHCS = "ncm622_cycled_sem", "llzto_llto_sem", "uhcs"


@pytest.mark.real_data
@pytest.mark.parametrize(
    "fixture", ["real_home", pytest.param("all_real_home", marks=pytest.mark.slow)]
)
def test_real_collections_do_not_contradict_themselves_until_somebody_does(request, fixture):
    store = graindex.open(request.getfixturevalue(fixture)())
    assert all(not labels_contradict(store, name) for name in (NCM, LLZTO, UHCS))
    readings = store.read("acquisition_readings", NCM).to_pylist()
    wrong = {row["micrograph_id"] for row in readings[:40]}
    for row in readings:
        if row["micrograph_id"] in wrong and row["quantity"] == "magnification":
            row["value_number"] = 1000.0
    replace(store, NCM, "acquisition_readings", readings)
    (problem,) = labels_contradict(store, NCM)
    assert problem.rule == "name and readings agree"
    assert {one for one, _ in problem.rows} == wrong
    assert "name states magnification 500" in problem.rows[0][1]

    rows = store.read("micrographs", LLZTO).sort_by("path").to_pylist()[-1:]
    stated = {
        row["micrograph_id"]: "LLTO" if row["path"].startswith("LLZTO") else "LLZTO" for row in rows
    }
    state(store, LLZTO, "material", stated)
    problems = {one.rule: one for one in labels_contradict(store, LLZTO)}
    assert problems.keys() == {"name and label agree", "statements and samples say the same"}
    assert all({one for one, _ in each.rows} == set(stated) for each in problems.values())

    refresh_label_issues(store, store.recipe(LLZTO), author="test")
    issues = store.read("label_issues", LLZTO).to_pylist()
    told = {one for problem in labels_suspected(store, LLZTO) for one, _ in problem.rows}
    assert told == {row["micrograph_id"] for row in issues if row["suspected"]}
    assert set(stated) <= told


@pytest.mark.slow
@pytest.mark.real_data
def test_most_of_a_few_wrong_labels_are_suspected(all_real_home):
    """`benchmarks/quality_labels.py` has a recall of 0.83 and a precision of 0.74 over 40 draws."""
    store = graindex.open(all_real_home())
    rows = store.read("micrographs", LLZTO).sort_by("path").to_pylist()
    true = {row["micrograph_id"]: row["path"].partition("/")[0] for row in rows}
    other = {"LLZTO": "LLTO", "LLTO": "LLZTO"}
    rng = np.random.default_rng(0)
    found = planted = raised = 0
    for _ in range(12):
        wrong = set(rng.choice(list(true), 3, replace=False).tolist())
        said = {key: other[of] if key in wrong else of for key, of in true.items()}
        state(store, LLZTO, "material", said)
        refresh_label_issues(store, store.recipe(LLZTO), author="test")
        issues = store.read("label_issues", LLZTO).to_pylist()
        of_material = [row for row in issues if row["label_name"] == "material"]
        suspected = {row["micrograph_id"] for row in of_material if row["suspected"]}
        found += len(wrong & suspected)
        planted += len(wrong)
        raised += len(suspected)
    assert found / planted >= 0.7
    assert found / raised >= 0.6


@pytest.mark.parametrize(
    ("path", "magnification", "voltage", "distance"),
    [
        ("ETRI_ 20 kV_SE_HighVac_x500 __453.jpg", [500], [20], []),
        ("20kV/250X_WD10.5mm.tif", [250], [20], [10.5]),
        ("a x1.5k WD=8mm 5 kV.tif", [1500], [5], [8]),
        ("LiNi0.6Mn0.2Co0.2 x2 doped.tif", [], [], []),
        ("box500/max20kVA.tif", [], [], []),
        ("sample3x.tif", [], [], []),
    ],
)
def test_numbers_are_read_from_names(path, magnification, voltage, distance):
    assert numbers_in(path, "magnification") == magnification
    assert numbers_in(path, "accelerating_voltage_kv") == voltage
    assert numbers_in(path, "working_distance_mm") == distance


@given(st.integers(5, 500_000), st.sampled_from(["x{}", "{}x", "X{}", "{}X"]))
def test_any_magnification_is_read_back(number, form):
    assert numbers_in(f"run 3/{form.format(number)}_001.tif", "magnification") == [number]


def test_classes_are_whole_words_and_the_longer_one_counts():
    classes = ["cycled", "pristine", "cycled 100", "LLTO", "LLZTO"]
    assert classes_in("a/Cycled/1.tif", classes) == ["cycled"]
    assert classes_in("a/cycled 100/1.tif", classes) == ["cycled 100"]
    assert classes_in("recycled/LLZTO_3.tif", classes) == ["LLZTO"]
    assert classes_in("x.tif", classes) == []


def made(store, folders, states):
    """Images in folders, of specimens that are in a state."""
    count = len(folders)
    save_recipe(store.location, make_recipe(dataset="c", location_uri="/x"))
    specimens = [f"s{i}" for i in range(count)]
    own = {name: {"state": told} for name, told in zip(specimens, states, strict=True)}
    paths = [f"{folder}/{i}.tif" for i, folder in enumerate(folders)]
    return collection(store, "c", None, specimens=specimens, own=own, path=paths)


def test_what_folders_statements_and_labellers_say_differently_is_told(store):
    states = ["pristine"] * 10 + ["cycled"] * 10
    ids = made(store, [*states[:9], "cycled", *states[10:]], states)
    state(store, "c", "phase", {ids[0]: "layered", ids[1]: "spinel"}, labeller="ada")
    state(store, "c", "phase", {ids[0]: "spinel", ids[1]: "spinel"}, labeller="bob")
    state(store, "c", "capacity", {ids[2]: 100.0, ids[3]: 100.0}, labeller="ada")
    state(store, "c", "capacity", {ids[2]: 101.0, ids[3]: 120.0}, labeller="bob")
    wrong, right = (specimen_key("c", name) for name in ("s0", "s1"))
    state(store, "c", "state", {wrong: "cycled", right: "pristine"}, kind="sample")
    problems = {one.rule: dict(one.rows) for one in labels_contradict(store, "c")}
    assert problems == {
        "name and label agree": {
            ids[0]: "name states state pristine, label cycled",
            ids[9]: "name states state cycled, label pristine",
        },
        "statements and samples say the same": {
            wrong: "state: somebody states cycled, samples pristine"
        },
        "labellers agree": {
            ids[0]: "phase: ada layered, bob spinel",
            ids[3]: "capacity: ada 100, bob 120",
        },
    }


def test_words_that_mean_something_else_are_not_taken_for_classes(store):
    made(store, ["cycled"] * 20, ["pristine"] * 15 + ["cycled"] * 5)
    assert labels_contradict(store, "c") == []


def test_every_check_is_of_an_asset_and_says_what_to_do():
    assert {check.asset for check in LABEL_CHECKS} <= {*LAKE_ASSETS, "micrograph_vectors"}
    assert all(check.advice.endswith(".") and not check.blocking for check in LABEL_CHECKS)
