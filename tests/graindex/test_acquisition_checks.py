"""Descriptions that cannot be true are found in real collections, and clean ones stay quiet."""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graindex import acquisition_checks
from graindex.acquisition_checks import (
    acquisition_order,
    in_order,
    magnification_out_of_family,
    no_databar,
    stale_calibration,
    wrong_sidecar,
)
from graindex.catalogue import refresh_micrographs
from graindex.duplicate_checks import duplicates_across_specimens
from graindex.registration import register_collection
from graindex.store import Store, init_store, open_store
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex import rows
from tests.real_collections import FEW, LLZTO, NCM, UHCS

CHECKS = (
    no_databar,
    stale_calibration,
    magnification_out_of_family,
    acquisition_order,
    wrong_sidecar,
)
Change = Callable[[int, dict], dict]


def change(store: Store, dataset: str, changes: dict[str, dict[str, object]]) -> None:
    """Change some columns of some images."""
    records = [
        row | changes.get(row["micrograph_id"], {})
        for row in store.read("micrographs", dataset).to_pylist()
    ]
    table = from_records(TABLES["micrographs"], records)
    store.lake.replace({"micrographs": table}, dataset, author="test", message="planted")


def by_path(store: Store, dataset: str) -> list[dict]:
    return sorted(store.read("micrographs", dataset).to_pylist(), key=lambda row: row["path"])


def named(problems) -> list[str]:
    return [key for problem in problems for key, _ in problem.rows]


@pytest.fixture
def real_store(real_home: Callable[[], Path]) -> Store:
    return open_store(real_home())


@pytest.mark.real_data
def test_clean_collections_raise_no_alarm(real_store: Store) -> None:
    for dataset in (NCM, LLZTO, UHCS):
        for check in CHECKS:
            assert check(real_store, dataset) == [], (dataset, check)


@pytest.mark.real_data
def test_an_image_without_databar_among_databars_is_named(real_store: Store) -> None:
    row = by_path(real_store, NCM)[7]
    change(real_store, NCM, {row["micrograph_id"]: {"content_y1_px": row["height_px"]}})
    assert named(no_databar(real_store, NCM)) == [row["micrograph_id"]]
    (problem,) = no_databar(real_store, NCM)
    assert problem.rows[0][1] == f"none, of {FEW[NCM]} images {FEW[NCM] - 1} have one"


@pytest.mark.real_data
@pytest.mark.parametrize("factor", [0.9, 1.05, 1.5])
def test_a_stale_calibration_is_named(real_store: Store, factor: float) -> None:
    picked = by_path(real_store, LLZTO)[3:60:10]
    stale = {row["micrograph_id"]: {"pixel_size_um": factor * 0.3745} for row in picked}
    change(real_store, LLZTO, stale)
    assert set(named(stale_calibration(real_store, LLZTO))) == set(stale)
    (problem,) = stale_calibration(real_store, LLZTO)
    assert "0.3745 µm expected at ×250" in problem.rows[0][1]


@pytest.mark.real_data
def test_a_stale_calibration_shows_against_another_collection(real_store: Store) -> None:
    """A lab whose second collection was scaled with last year's value for the same instrument."""
    records = [
        {**row, "dataset": "new", "pixel_size_um": 1.08 * row["pixel_size_um"]}
        for row in by_path(real_store, LLZTO)[:20]
    ]
    table = from_records(TABLES["micrographs"], records)
    real_store.lake.replace({"micrographs": table}, "new", author="test", message="planted")
    assert len(named(stale_calibration(real_store, "new"))) == 20
    assert stale_calibration(real_store, LLZTO) == []


@pytest.mark.real_data
def test_another_magnification_with_its_right_pixel_size_is_no_stale_calibration(
    real_store: Store,
) -> None:
    row = by_path(real_store, NCM)[0]
    doubled = {"magnification": 1000.0, "pixel_size_um": row["pixel_size_um"] / 2}
    change(real_store, NCM, {row["micrograph_id"]: doubled})
    assert stale_calibration(real_store, NCM) == []
    (problem,) = magnification_out_of_family(real_store, NCM)
    assert problem.rows == ((row["micrograph_id"], "×1000, usual is ×500"),)


def test_a_second_magnification_of_many_images_is_a_family(store: Store) -> None:
    records = [
        rows.micrograph("d", number, magnification=1000.0 if number % 4 == 0 else 500.0)
        for number in range(40)
    ]
    store.lake.replace(
        {"micrographs": from_records(TABLES["micrographs"], records)},
        "d",
        author="test",
        message="rows",
    )
    assert magnification_out_of_family(store, "d") == []


@pytest.mark.real_data
def test_an_image_taken_at_another_time_than_its_number_says_is_named(real_store: Store) -> None:
    images = by_path(real_store, NCM)
    early, late = images[5], images[20]
    times = {
        early["micrograph_id"]: {"acquired_at": late["acquired_at"]},
        late["micrograph_id"]: {"acquired_at": early["acquired_at"]},
    }
    change(real_store, NCM, times)
    assert set(named(acquisition_order(real_store, NCM))) == set(times)


def test_numbers_that_do_not_run_with_time_are_no_series(store: Store) -> None:
    start = datetime(2026, 1, 1)
    shuffled = [(7 * number) % 30 for number in range(30)]
    records = [
        rows.micrograph("d", f"a_{number}", acquired_at=start + timedelta(minutes=minute))
        for number, minute in enumerate(shuffled)
    ]
    store.lake.replace(
        {"micrographs": from_records(TABLES["micrographs"], records)},
        "d",
        author="test",
        message="rows",
    )
    assert acquisition_order(store, "d") == []


@given(st.lists(st.integers(0, 9), max_size=9))
def test_the_longest_run_in_order_equals_brute_force(minutes: list[int]) -> None:
    start = datetime(2026, 1, 1)
    kept = sorted(in_order([start + timedelta(minutes=minute) for minute in minutes]))
    chosen = [minutes[place] for place in kept]
    assert chosen == sorted(chosen)
    longest = 0
    for mask in range(2 ** len(minutes)):
        some = [value for place, value in enumerate(minutes) if mask >> place & 1]
        if some == sorted(some):
            longest = max(longest, len(some))
    assert len(chosen) == longest


@pytest.mark.real_data
def test_sidecars_of_other_files_are_named(real_data: Path, tmp_path: Path) -> None:
    """One image beside another's sidecar, one whose sidecar was renamed with the wrong text."""
    folder = tmp_path / "images"
    folder.mkdir()
    source = real_data / NCM
    first, second, other = (f"ETRI_ 20 kV_SE_HighVac_x500 __{n}.jpg" for n in (453, 490, 503))
    for name in (first, second):
        shutil.copy(source / name, folder / name)
    shutil.copy(source / f"{other}.txt", folder / f"{first}.txt")
    text = (source / f"{second}.txt").read_text(encoding="utf-8-sig")
    (folder / f"{second}.txt").write_text(
        text.replace("Magnification : x500", "Magnification : x2000").replace(
            "Voltage :  20 kV", "Voltage :  5 kV"
        ),
        encoding="utf-8",
    )
    store = init_store(tmp_path / "home")
    register_collection(store, str(folder), dataset="swapped")
    refresh_micrographs(store, store.recipe("swapped"), author="test")
    key = {row["path"]: row["micrograph_id"] for row in by_path(store, "swapped")}
    said = wrong_sidecar(store, "swapped")
    by_rule = {problem.rule: problem.rows for problem in said}
    assert [image for image, _ in by_rule["its sidecar names it"]] == [key[first]]
    contradicted = by_rule["its sidecar says what databar and tags say"]
    assert {told.partition(":")[0] for image, told in contradicted if image == key[first]} == {
        "acquired_at"
    }
    assert {told.partition(":")[0] for image, told in contradicted if image == key[second]} == {
        "accelerating_voltage_kv",
        "magnification",
    }


def test_few_images_are_not_judged(store: Store) -> None:
    start = datetime(2026, 1, 1)
    records = [
        rows.micrograph(
            "d",
            f"a_{number}",
            acquired_at=start - timedelta(hours=number),
            magnification=100.0 * (number + 1),
            pixel_size_um=float(number + 1),
        )
        for number in range(7)
    ]
    store.lake.replace(
        {"micrographs": from_records(TABLES["micrographs"], records)},
        "d",
        author="test",
        message="rows",
    )
    for check in CHECKS:
        assert check(store, "d") == [], check
    assert duplicates_across_specimens(store, "d") == []
    assert acquisition_checks.FEWEST == 8
