"""Labels that a setting decides raise an alarm, and specimens are not torn apart."""

from datetime import datetime, timedelta

import numpy as np
import pytest

import graindex
from graindex.confounding import inputs_of_confounders, refresh_confounders
from graindex.generated_checks import dictionary_problems
from graindex.label_checks import labels_confounded
from graindex.recipes import make_recipe, save_recipe
from tests.graindex.planted import collection, replace, state

LLZTO, UHCS = "llzto_llto_sem", "uhcs"
BRIGHTNESS = "brightness and contrast"


def refresh(store, dataset):
    return refresh_confounders(store, store.recipe(dataset), author="test")


def rows_of(store, dataset):
    rows = store.read("confounders", dataset).to_pylist()
    return {(row["label_name"], row["predictors"]): row for row in rows}


@pytest.mark.real_data
def test_real_and_planted_confounders_are_told_and_nothing_else(real_home):
    store = graindex.open(real_home())
    refresh(store, LLZTO)
    rows = rows_of(store, LLZTO)
    by_date = rows["material", "date"]
    assert by_date["alarm"]
    assert by_date["predictability"] > 0.95
    assert by_date["chance_level"] == 0.5
    assert not dictionary_problems("confounders", store, LLZTO)
    (problem,) = labels_confounded(store, LLZTO)
    assert any("date alone" in found for _, found in problem.rows)

    refresh(store, UHCS)  # where no label follows from anything
    assert not any(row["alarm"] for row in rows_of(store, UHCS).values())
    quality = store.read("image_quality", UHCS).to_pylist()
    middle = np.median([row["brightness_mean"] for row in quality])
    operator = {
        row["micrograph_id"]: "day" if row["brightness_mean"] > middle else "night"
        for row in quality
    }
    state(store, UHCS, "operator", operator)
    before = len(rows_of(store, UHCS))
    outcome = refresh(store, UHCS)
    assert outcome.kept == before
    rows = rows_of(store, UHCS)
    assert {key for key, row in rows.items() if row["alarm"]} == {("operator", BRIGHTNESS)}
    again = refresh(store, UHCS)
    assert (again.computed, again.kept) == (0, len(rows))
    assert inputs_of_confounders(store, store.recipe(UHCS)).keys() == {key for key, _ in rows}


def dated(store, days, classes, specimens):
    """Images of these days and classes; returns their ids."""
    start = datetime(2026, 3, 2, 9)
    moments = [start + timedelta(days=int(day), minutes=i) for i, day in enumerate(days)]
    save_recipe(store.location, make_recipe(dataset="c", location_uri="/x"))
    own = {specimen: {"state": name} for specimen, name in zip(specimens, classes, strict=True)}
    return collection(
        store,
        "c",
        None,
        specimens=specimens,
        own=own,
        acquired_at=moments,
        instrument=["one"] * len(days),
    )


def test_one_class_a_day_is_confounded_with_date_and_session(store):
    classes = ["pristine"] * 20 + ["cycled"] * 20
    specimens = [f"s{i // 2}" for i in range(40)]
    dated(store, [0] * 20 + [7] * 20, classes, specimens)
    refresh(store, "c")
    rows = rows_of(store, "c")
    assert {name for _, name in rows} == {"date", "session"}  # nothing else varies
    assert all(row["alarm"] and row["predictability"] == 1 for row in rows.values())
    assert {row["row_count"] for row in rows.values()} == {40}
    replace(store, "c", "micrographs", [])
    outcome = refresh(store, "c")
    assert (outcome.rows, outcome.dropped) == (0, len(rows))


def test_what_only_looks_confounded_raises_no_alarm(store):
    days = [i // 2 for i in range(40)]
    dated(store, days, ["pristine", "cycled"] * 20, [f"s{i}" for i in range(40)])
    refresh(store, "c")
    assert not any(row["alarm"] for row in rows_of(store, "c").values())  # taken in turn
    specimens = [f"s{i // 10}" for i in range(60)]
    classes = ["pristine" if i // 10 % 2 else "cycled" for i in range(60)]
    dated(store, [i // 10 * 3 for i in range(60)], classes, specimens)
    refresh(store, "c")
    assert not any(row["alarm"] for row in rows_of(store, "c").values())  # six specimens


def test_few_images_and_single_specimens_are_left_out(store):
    dated(store, [0] * 6 + [7] * 6, ["a"] * 6 + ["b"] * 6, [f"s{i}" for i in range(12)])
    assert refresh(store, "c").rows == 0
    dated(store, [0] * 20 + [7] * 20, ["a"] * 20 + ["b"] * 20, ["x"] * 20 + ["y"] * 20)
    assert refresh(store, "c").rows == 0
