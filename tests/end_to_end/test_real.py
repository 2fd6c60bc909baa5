"""Three real collections, one command each: nothing lost, calibrated right, searchable.

Out of scope: how fast (`benchmarks`).
"""

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import graindex
from graindex.store import Store
from models.calibrate.reconcile import RELATIVE_TOLERANCE, TIME_TOLERANCE_S
from orchestration.cli.main import main
from tests.end_to_end.commands import SELECTED, Answer, by_asset, one_vector_each
from tests.real_collections import LLZTO, NCM, UHCS, RealCollections

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(900)]

PIXEL_SIZE_UM = {NCM: 100 / 375, LLZTO: 100 / 267}
NUMBERS = ("magnification", "accelerating_voltage_kv", "working_distance_mm")


@dataclass(frozen=True)
class Real:
    """The three collections as the commands left them."""

    store: Store
    counts: dict[str, int]
    added: dict[str, Answer]
    materialized: dict[str, Answer]

    def query(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.store.sql(sql).to_arrow_table().to_pylist()
        return rows


@pytest.fixture(scope="module", params=["some", pytest.param("every", marks=pytest.mark.slow)])
def real(request: pytest.FixtureRequest) -> Real:
    names = {"some": "real_collections", "every": "all_real_collections"}
    made: RealCollections = request.getfixturevalue(names[request.param])
    return Real(graindex.open(made.home), made.counts, made.added, made.materialized)


def test_every_image_is_there(real: Real) -> None:
    for name, answer in real.materialized.items():
        assert answer.code == 0, answer
        summary = by_asset(answer.rows, name)
        for asset in ("micrographs", "image_quality", "micrograph_vectors"):
            row = summary[asset]
            assert (row["rows"], row["computed"], row["refused"]) == (real.counts[name],) * 2 + (0,)
    counted = real.query("SELECT dataset, count(*) AS n FROM micrographs GROUP BY ALL")
    assert {row["dataset"]: row["n"] for row in counted} == real.counts
    assert real.query("SELECT * FROM quarantine") == []
    one_vector_each(real.store)


def test_adding_says_what_was_found(real: Real) -> None:
    assert (
        f"{NCM}: {real.counts[NCM]} images, {real.counts[NCM]} with sidecars" in real.added[NCM].err
    )
    assert f"{real.counts[LLZTO]} images, 0 with sidecars" in real.added[LLZTO].err
    assert (
        "labelled by material, conductivity_class, conductivity_s_per_cm" in real.added[LLZTO].err
    )
    assert "97 images" in real.added[UHCS].err


@pytest.mark.parametrize("dataset", [NCM, LLZTO])
def test_the_scale_bar_gives_every_pixel_size(real: Real, dataset: str) -> None:
    rows = real.query(f"SELECT * FROM micrographs WHERE dataset = '{dataset}'")
    assert len(rows) == real.counts[dataset]
    for row in rows:
        assert row["pixel_size_um"] == pytest.approx(PIXEL_SIZE_UM[dataset], rel=0.02), row["path"]
        assert row["pixel_size_source"] == "scale_bar"
        assert 0 < row["pixel_size_uncertainty_um"] < 0.02 * row["pixel_size_um"]


def test_the_sidecars_pixel_size_is_a_finding_and_not_used(real: Real) -> None:
    readings = real.query(f"""
        SELECT value_number, used FROM acquisition_readings
        WHERE dataset = '{NCM}' AND quantity = 'pixel_size_um' AND reading_source = 'sidecar'
    """)
    assert readings == [{"value_number": 0.7, "used": False}] * real.counts[NCM]
    findings = real.query("SELECT * FROM findings WHERE finding LIKE '%_disagreement'")
    assert Counter((row["dataset"], row["finding"]) for row in findings) == {
        (NCM, "pixel_size_um_disagreement"): real.counts[NCM]
    }
    assert len({row["micrograph_id"] for row in findings}) == real.counts[NCM]
    for row in findings:
        assert "0.7 µm" in row["detail"] and "scale bar is used" in row["detail"]


@pytest.mark.parametrize("dataset", [NCM, LLZTO])
def test_acquisition_is_filled(real: Real, dataset: str) -> None:
    rows = real.query(f"SELECT * FROM micrographs WHERE dataset = '{dataset}'")
    for row in rows:
        for name in (*NUMBERS, "acquired_at"):
            assert row[name] is not None, (row["path"], name)
    expected = {NCM: (500, 20), LLZTO: (250, None)}[dataset]
    assert {row["magnification"] for row in rows} == {expected[0]}
    if expected[1]:
        assert {row["accelerating_voltage_kv"] for row in rows} == {expected[1]}


def test_sidecar_and_databar_agree(real: Real) -> None:
    rows = real.query(f"""
        SELECT quantity, s.value_number AS sidecar, d.value_number AS databar,
               s.value_time AS sidecar_time, d.value_time AS databar_time
        FROM acquisition_readings s JOIN acquisition_readings d
        USING (dataset, micrograph_id, quantity)
        WHERE dataset = '{NCM}' AND s.reading_source = 'sidecar' AND d.reading_source = 'databar'
    """)
    counted = Counter(row["quantity"] for row in rows)
    assert {name: counted[name] for name in (*NUMBERS, "acquired_at")} == dict.fromkeys(
        (*NUMBERS, "acquired_at"), real.counts[NCM]
    )
    for row in rows:
        if row["quantity"] in NUMBERS:
            assert row["databar"] == pytest.approx(row["sidecar"], rel=RELATIVE_TOLERANCE), row
        elif row["quantity"] == "acquired_at":
            apart = abs(row["databar_time"] - row["sidecar_time"])
            assert apart <= timedelta(seconds=TIME_TOLERANCE_S), row


def test_images_of_one_conductivity_are_one_specimen(real: Real) -> None:
    rows = real.query(f"""
        SELECT path, sample_id, material, conductivity_s_per_cm FROM micrograph_catalog
        WHERE dataset = '{LLZTO}'
    """)
    every = real.counts[LLZTO] == 67
    materials = {"LLZTO": 47, "LLTO": 20} if every else {"LLZTO": 17, "LLTO": 8}
    assert Counter(row["material"] for row in rows) == materials
    specimen = {row["path"]: row["sample_id"] for row in rows}
    twins = [path for path in specimen if " (2)" in path]
    assert len(twins) == 2
    for twin in twins:
        assert specimen[twin] == specimen[twin.replace(" (2)", "")]
    assert len(set(specimen.values())) == real.counts[LLZTO] - len(twins)
    values = [row["conductivity_s_per_cm"] for row in rows]
    assert (min(values), max(values)) == ((8.33e-8, 4.52e-4) if every else (7.03e-7, 4.28e-4))


def test_the_samples_table_labels_every_image(real: Real, real_data: Path) -> None:
    rows = real.query(f"""
        SELECT path, primary_microconstituent AS kind, anneal_temperature, magnification
        FROM micrograph_catalog WHERE dataset = '{UHCS}'
    """)
    found = {row["path"]: row for row in rows}
    lines = list(csv.DictReader((real_data / UHCS / "metadata.csv").read_text().splitlines()))
    assert {line["path"] for line in lines} == found.keys()
    for line in lines:
        row = found[line["path"]]
        assert row["kind"] == line["primary_microconstituent"]
        stated = (line["anneal_temperature"], line["magnification"].rstrip("xX"))
        numbers = tuple(float(text) if text else None for text in stated)
        assert (row["anneal_temperature"], row["magnification"]) == numbers, line


@pytest.mark.parametrize(
    ("dataset", "label", "least"),
    [(UHCS, "primary_microconstituent", 0.85), (LLZTO, "material", 0.95)],
)
def test_the_nearest_neighbour_is_of_the_same_kind(
    real: Real, dataset: str, label: str, least: float
) -> None:
    rows = real.query(f"""
        WITH images AS (
            SELECT micrograph_id, {label} AS kind, vector
            FROM micrograph_catalog c JOIN vectors.main.micrographs v USING (micrograph_id)
            WHERE c.dataset = '{dataset}'
        )
        SELECT a.micrograph_id, a.kind, arg_min(b.micrograph_id, d) AS nearest
        FROM images a, images b,
             LATERAL (SELECT array_cosine_distance(a.vector, b.vector) AS d)
        WHERE a.micrograph_id <> b.micrograph_id GROUP BY ALL
    """)
    assert len(rows) == real.counts[dataset]
    kinds = {row["micrograph_id"]: row["kind"] for row in rows}
    right = sum(row["kind"] == kinds[row["nearest"]] for row in rows)
    assert right / len(rows) >= least
    for row in rows[::10]:
        (hit,) = real.store.similar(row["micrograph_id"], 1, f"dataset = '{dataset}'").to_pylist()
        assert hit["id"] == row["nearest"]


def test_vector_search_joins_with_tables(real: Real) -> None:
    ((key, path, vector),) = real.store.sql(f"""
        SELECT micrograph_id, path, vector
        FROM micrographs JOIN vectors.main.micrographs v USING (micrograph_id)
        WHERE micrographs.dataset = '{NCM}' ORDER BY path LIMIT 1
    """).fetchall()
    found = real.query(f"""
        SELECT micrograph_id, path, _distance
        FROM lance_vector_search('vectors.main.micrographs', 'vector',
                                 {list(vector)}::FLOAT[{len(vector)}], k = 3)
        JOIN micrographs USING (micrograph_id) ORDER BY _distance
    """)
    assert (found[0]["micrograph_id"], found[0]["path"]) == (key, path)
    assert len(found) == 3


@pytest.mark.slow
def test_a_second_run_computes_nothing(
    all_real_home: Callable[[], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    home = str(all_real_home())
    code = main(["materialize", *SELECTED, "--strict", "--format", "json", "--home", home])
    answer = Answer(code, *capfd.readouterr())
    assert answer.code == 0, answer
    assert len(answer.rows) == 3 * 5
    assert all(row["computed"] == row["dropped"] == 0 for row in answer.rows)
