"""Faults planted into real images are found by their checks; the clean collections stay quiet."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from graindex.image_checks import (
    IMAGE_FAULT_CHECKS,
    blurred,
    charging,
    empty_or_foreign,
    saturated,
)
from graindex.image_faults import refresh_faults
from graindex.store import Store, open_store
from schemas.tables import TABLES
from tests.graindex import faulty_images as faults
from tests.real_collections import LLZTO, NCM, UHCS, RealCollections

pytestmark = pytest.mark.real_data

KNOWN = {
    NCM: {},
    UHCS: {
        "saturated": {
            "Croppedmicrograph35.png",
            "Croppedmicrograph67.png",
            "Croppedmicrograph728.png",
            "Croppedmicrograph821.png",
            "Croppedmicrograph9.png",
        },
        "empty_or_foreign": {"Croppedmicrograph534.png"},
    },
}
"""What the checks say of the collections as they are, each looked at: five images of strong
contrast of which 5 to 10 % are clipped, and one that shows little but a smooth grain."""


@pytest.fixture(scope="module")
def measured(real_collections: RealCollections, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of the real collections with the figures of two of them, not to be changed."""
    home = tmp_path_factory.mktemp("faults") / "home"
    shutil.copytree(real_collections.home, home)
    store = open_store(home)
    store.lake.create()
    for dataset in (NCM, UHCS):
        outcome = refresh_faults(store, dataset, author="test")
        assert outcome.refused == {}
    return home


@pytest.fixture
def store(measured: Path, tmp_path: Path) -> Store:
    shutil.copytree(measured, tmp_path / "home")
    return open_store(tmp_path / "home")


@pytest.fixture(scope="module")
def images(measured: Path) -> dict[str, dict[str, np.ndarray]]:
    store = open_store(measured)
    return {dataset: faults.contents(store, dataset) for dataset in (NCM, UHCS)}


def named(problems, store: Store) -> set[str]:
    paths = {row["micrograph_id"]: row["path"] for row in store.read("micrographs").to_pylist()}
    return {paths[key] for problem in problems for key, _ in problem.rows}


def chosen(images: dict[str, np.ndarray], count: int) -> list[str]:
    return sorted(images)[:: len(images) // count][:count]


@pytest.mark.parametrize("dataset", [NCM, UHCS])
def test_clean_collections_are_quiet_but_for_what_is_known(store: Store, dataset: str) -> None:
    said = {
        check.name: named(check.body(store, dataset), store)
        for check in IMAGE_FAULT_CHECKS
        if check.asset == "image_faults"
    }
    assert {name: paths for name, paths in said.items() if paths} == KNOWN[dataset]


@pytest.mark.parametrize(("dataset", "sigma_px"), [(NCM, 1), (UHCS, 3)])
def test_blurred_images_are_named(store: Store, images, dataset: str, sigma_px: float) -> None:
    """Where magnifications are mixed, sharp images differ more, and only strong blur stands out."""
    picked = chosen(images[dataset], 5)
    changed = {key: faults.blurred(images[dataset][key], sigma_px) for key in picked}
    faults.measure_again(store, dataset, changed)
    (problem,) = blurred(store, dataset)
    assert {key for key, _ in problem.rows} == set(picked)


def test_defocus_under_the_noise_of_the_detector_is_named(store: Store, images) -> None:
    rng = np.random.default_rng(0)
    picked = chosen(images[NCM], 5)
    changed = {key: faults.defocused(images[NCM][key], 2.5, 1, rng) for key in picked}
    faults.measure_again(store, NCM, changed)
    (problem,) = blurred(store, NCM)
    assert {key for key, _ in problem.rows} == set(picked)


def test_too_bright_and_too_dark_images_are_named(store: Store, images) -> None:
    bright, dark = chosen(images[NCM], 2)
    content = images[NCM]
    changed = {
        bright: faults.overexposed(content[bright], 0.1),
        dark: faults.underexposed(content[dark], 0.1),
    }
    faults.measure_again(store, NCM, changed)
    low, high = saturated(store, NCM)
    assert [key for key, _ in low.rows] == [dark]
    assert [key for key, _ in high.rows] == [bright]


def test_charging_is_named_and_scratches_across_the_scan_are_not(store: Store, images) -> None:
    rng = np.random.default_rng(1)
    content = images[NCM]
    *picked, scratched = chosen(content, 6)
    changed = {key: faults.charged(content[key], rng) for key in picked}
    changed[scratched] = np.ascontiguousarray(faults.charged(content[scratched].T, rng).T)
    faults.measure_again(store, NCM, changed)
    (problem,) = charging(store, NCM)
    assert {key for key, _ in problem.rows} == set(picked)


@pytest.mark.parametrize("dataset", [NCM, UHCS])
def test_bare_foil_is_named(store: Store, images, dataset: str) -> None:
    rng = np.random.default_rng(2)
    content = images[dataset]
    picked = chosen(content, 4)
    foils = {key: faults.bare_foil(content[key].shape, content[key].mean(), rng) for key in picked}
    faults.measure_again(store, dataset, foils)
    problems = empty_or_foreign(store, dataset)
    empty = {key for problem in problems if "structure" in problem.rule for key, _ in problem.rows}
    assert set(picked) <= empty
    assert len(empty - set(picked)) == len(KNOWN[dataset].get("empty_or_foreign", ()))


@pytest.mark.parametrize("of", [UHCS, LLZTO])
def test_images_unlike_the_rest_are_named(store: Store, of: str) -> None:
    into = NCM
    table = store.settings.encoder.vector_table
    columns = TABLES["micrograph_vectors"].columns
    own = store.vectors.read(table, into, columns)
    catalogued = store.read("micrographs", into)["micrograph_id"].combine_chunks()
    own = own.filter(pc.is_in(own["micrograph_id"], catalogued))
    foreign = store.vectors.read(table, of, columns).sort_by("micrograph_id").slice(0, 3)
    places = pa.array(range(3))
    planted = own.take(places)
    for name in ("vector", "vector_norm"):
        at = planted.column_names.index(name)
        planted = planted.set_column(at, planted.schema.field(name), foreign[name])
    dimension = own.schema.field("vector").type.list_size
    store.vectors.upsert(table, planted, dimension)
    problems = [p for p in empty_or_foreign(store, into) if p.rule == "looks like its collection"]
    assert {key for p in problems for key, _ in p.rows} == set(planted["micrograph_id"].to_pylist())


def test_collections_of_a_few_images_are_not_judged(store: Store) -> None:
    for table in ("micrographs", "image_quality", "image_faults"):
        rows = store.read(table, UHCS).slice(0, 5)
        store.lake.replace({table: rows}, UHCS, author="test", message="few")
    for check in IMAGE_FAULT_CHECKS:
        if check.asset == "image_faults":
            assert check.body(store, UHCS) == [], check.name


def test_images_without_figures_are_not_judged(store: Store) -> None:
    for check in IMAGE_FAULT_CHECKS:
        if check.asset == "image_faults" and check.name != "empty_or_foreign":
            assert check.body(store, LLZTO) == [], check.name


def test_every_figure_is_measured_once(store: Store) -> None:
    snapshot = store.snapshot()
    outcome = refresh_faults(store, UHCS, author="test")
    assert (outcome.computed, outcome.kept, outcome.snapshot) == (0, 97, snapshot)
