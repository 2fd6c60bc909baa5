"""Planted conductivity: limits of the law; what tells it in the collection, and what does not."""

import csv
import io
import math
import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.preprocessing import PolynomialFeatures

from models.phantoms.conductivity import (
    CERAMICS,
    conductivity_s_per_cm,
    grain_diameter_um,
    grains_s_per_cm,
    porosity,
)
from models.phantoms.conductivity_collection import (
    COLUMNS,
    CONDUCTIVITY_LABEL_PATTERN,
    GRAIN_SCATTER,
    NOISE_DECADES,
    PORE_SCATTER,
    conductivity_collection,
    conductivity_samples_csv,
    electrolytes,
)
from models.phantoms.sem import render

each_ceramic = pytest.mark.parametrize("name", CERAMICS)
MANY = 400


@pytest.fixture(scope="module")
def many():
    return electrolytes(MANY)


def measured(specimens):
    return np.log10([one.conductivity_s_per_cm for one in specimens])


def r2(target, predicted):
    return 1 - np.mean((target - predicted) ** 2) / target.var()


@each_ceramic
def test_a_dense_single_crystal_conducts_as_its_grains_do(name):
    ceramic = CERAMICS[name]
    found = conductivity_s_per_cm(ceramic, 0.3, math.inf, 0)
    assert found == grains_s_per_cm(ceramic, 0.3)
    assert conductivity_s_per_cm(ceramic, 0.3, 5, 1) == 0
    halved = conductivity_s_per_cm(ceramic, 0.3, ceramic.boundary_um, 0)
    assert halved == pytest.approx(found / 2)
    quarter = conductivity_s_per_cm(ceramic, 0.3, math.inf, 1 - 0.25 ** (2 / 3))
    assert quarter == pytest.approx(found / 4)
    fine = [conductivity_s_per_cm(ceramic, 0.3, d, 0) for d in (1e-6, 2e-6)]
    assert fine[1] / fine[0] == pytest.approx(2, rel=1e-5)  # boundaries alone


@each_ceramic
def test_the_best_composition_conducts_best_by_an_arrhenius_law(name):
    ceramic = CERAMICS[name]
    best = grains_s_per_cm(ceramic, ceramic.best_fraction)
    off = grains_s_per_cm(ceramic, ceramic.best_fraction + 0.2)
    assert off == pytest.approx(grains_s_per_cm(ceramic, ceramic.best_fraction - 0.2))
    kelvin = ceramic.activation_rise_ev * 0.2**2 / 8.617333e-5 / math.log(best / off)
    assert kelvin == pytest.approx(303.15, rel=1e-6)


@each_ceramic
@given(
    st.floats(0, 1),
    st.floats(0.1, 100),
    st.floats(0, 0.9),
    st.floats(1.01, 3),
    st.floats(0.01, 0.1),
)
def test_coarser_and_denser_conducts_better(name, fraction, diameter, pores, coarser, denser):
    ceramic = CERAMICS[name]
    found = conductivity_s_per_cm(ceramic, fraction, diameter, pores)
    assert 0 < found < grains_s_per_cm(ceramic, fraction)
    assert conductivity_s_per_cm(ceramic, fraction, diameter * coarser, pores) > found
    assert conductivity_s_per_cm(ceramic, fraction, diameter, pores + denser) < found


@pytest.mark.parametrize(("diameter", "pores"), [(0, 0.1), (math.nan, 0.1), (1, 1.1), (1, -0.1)])
def test_structures_that_do_not_exist_are_refused(diameter, pores):
    with pytest.raises(ValueError, match="take grains above 0 µm and 0…1"):
        conductivity_s_per_cm(CERAMICS["garnet"], 0.4, diameter, pores)


@each_ceramic
def test_hotter_and_longer_is_coarser_and_denser(name):
    ceramic = CERAMICS[name]
    low, high = ceramic.sintering_c
    for law, sign in ((grain_diameter_um, 1), (porosity, -1)):
        by_heat = [sign * law(ceramic, t, 4) for t in np.linspace(low, high, 9)]
        by_time = [sign * law(ceramic, ceramic.middle_c, t) for t in (0, 1, 4, 16)]
        assert all(a < b for values in (by_heat, by_time) for a, b in pairwise(values))
    assert grain_diameter_um(ceramic, ceramic.middle_c, 1) == pytest.approx(1.3 * 1.8 ** (1 / 3))
    assert porosity(ceramic, ceramic.middle_c, 6) == pytest.approx(0.13)


def test_specimens_scatter_about_their_recipes_and_measurements_about_the_law(many):
    grain, pores, noise = [], [], []
    for one in many:
        ceramic = CERAMICS[one.material]
        recipe = (ceramic, one.sintering_temperature_c, one.sintering_time_h)
        grain.append(math.log(one.grain_diameter_um / grain_diameter_um(*recipe)))
        pores.append(math.log(one.porosity / porosity(*recipe)))
        law = conductivity_s_per_cm(
            ceramic, one.dopant_fraction, one.grain_diameter_um, one.porosity
        )
        noise.append(math.log10(one.conductivity_s_per_cm / law))
    assert np.std(noise) == pytest.approx(NOISE_DECADES, rel=0.1)
    for off, scatter in ((grain, GRAIN_SCATTER), (pores, PORE_SCATTER)):
        assert np.std(off) == pytest.approx(0.96 * scatter, rel=0.1)  # cut at two deviations
        assert np.abs(off).max() <= 2 * scatter + 1e-9
    assert abs(np.corrcoef(grain, pores)[0, 1]) < 0.1


def test_true_attributes_tell_the_conductivity_nearly_perfectly(many):
    target = measured(many)
    law = [
        conductivity_s_per_cm(
            CERAMICS[one.material], one.dopant_fraction, one.grain_diameter_um, one.porosity
        )
        for one in many
    ]
    assert r2(target, np.log10(law)) > 0.98
    attributes = np.array(
        [
            [
                one.material == "garnet",
                one.dopant_fraction,
                math.log(one.grain_diameter_um),
                one.porosity,
            ]
            for one in many
        ],
        float,
    )
    curved = PolynomialFeatures(3).fit_transform(attributes)
    found = cross_val_predict(LinearRegression(), curved, target, cv=5)
    assert r2(target, found) > 0.98  # learned, without being told the law


def test_structure_tells_what_recipe_and_composition_leave_open(many):
    """Of one material: structure, recipe and composition each know a part."""
    own = [one for one in many if one.material == "nasicon"]
    target = measured(own)
    columns = {
        "structure": [(math.log(one.grain_diameter_um), one.porosity) for one in own],
        "recipe": [(one.sintering_temperature_c, math.log(one.sintering_time_h)) for one in own],
        "composition": [(one.dopant_fraction, one.dopant_fraction**2) for one in own],
    }
    known = {
        "structure": ("structure",),
        "process": ("recipe", "composition"),
        "all": ("structure", "composition"),
    }
    found = {}
    for name, parts in known.items():
        x = np.hstack([np.array(columns[part]) for part in parts])
        x = PolynomialFeatures(2).fit_transform((x - x.mean(0)) / x.std(0))
        found[name] = r2(target, cross_val_predict(LinearRegression(), x, target, cv=5))
    assert found["structure"] < 0.8
    assert found["structure"] + 0.1 < found["process"] < found["all"] - 0.01
    assert found["all"] > 0.96


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_how_images_are_taken_predicts_nothing(seed):
    files = list(conductivity_collection(MANY, seed, MANY // 2))
    of = {one.sample: one for one in electrolytes(MANY // 2, seed)}
    samples = [file.relative_path.split("/")[1] for file in files]
    target = measured([of[name] for name in samples])
    settings = np.array(
        [
            (
                file.config.brightness,
                file.config.contrast,
                file.config.noise_std,
                file.config.roughness,
                file.config.acquired_at.timestamp(),
            )
            for file in files
        ]
    )
    structure = np.array(
        [
            (file.config.grain_diameter_um, of[name].material == "garnet")
            for file, name in zip(files, samples, strict=True)
        ]
    )
    model = HistGradientBoostingRegressor(max_leaf_nodes=4, max_iter=40, random_state=0)
    for values, low, high in (
        (settings[:, :1], -1, 0.1),
        (settings, -1, 0.15),
        (structure, 0.7, 1),
    ):
        found = cross_val_predict(model, values, target, groups=samples, cv=GroupKFold(5))
        assert low < r2(target, found) < high


def test_images_hold_the_porosity_and_the_settings_of_their_specimen():
    files = list(conductivity_collection(6))
    off = []
    for file in files:
        rendered = render(file.config)
        content = rendered.image[: rendered.content_rows]
        assert content.mean() == pytest.approx(file.config.brightness, abs=0.03)
        assert content.std() == pytest.approx(file.config.contrast, abs=0.03)
        off.append((rendered.labels == 0).mean() - file.config.porosity)
    assert abs(np.mean(off)) < 0.02
    assert np.abs(off).max() < 0.08  # pores of a field are counted, not shared out


def test_paths_and_samples_table_join():
    files = list(conductivity_collection(20, 3, 9))
    groups = [re.fullmatch(CONDUCTIVITY_LABEL_PATTERN, file.relative_path) for file in files]
    rows = list(csv.DictReader(io.StringIO(conductivity_samples_csv(9, 3))))
    assert tuple(rows[0]) == COLUMNS
    told = {row["sample"]: row for row in rows}
    assert Counter(row["material"] for row in rows) == {"garnet": 5, "nasicon": 4}
    for file, group in zip(files, groups, strict=True):
        row = told[group["sample"]]
        assert row["material"] == group["material"]
        assert float(row["porosity_planted"]) == pytest.approx(file.config.porosity, abs=1e-4)
        planted = float(row["grain_diameter_planted_um"])
        assert planted == pytest.approx(file.config.grain_diameter_um, abs=1e-4)
    assert files[10].relative_path == "nasicon/N002/field_2.png"


def test_the_same_seed_gives_the_same_and_fewer_are_the_first():
    whole = list(conductivity_collection(60, 4, 20))
    assert list(conductivity_collection(60, 4, 20)) == whole
    assert list(conductivity_collection(25, 4, 20)) == whole[:25]
    assert list(conductivity_collection(60, 5, 20)) != whole
    assert electrolytes(20, 4) == electrolytes(50, 4)[:20]
    assert conductivity_samples_csv(20, 4) == conductivity_samples_csv(20, 4)


def test_a_specimen_is_imaged_in_a_session_of_its_own():
    files = list(conductivity_collection(60, 0, 20))
    spans = []
    for number in range(20):
        times = [file.config.acquired_at for file in files[number::20]]
        assert times == sorted(times)
        spans.append((times[0], times[-1]))
    spans.sort()
    assert all(later[0] - earlier[1] > timedelta(hours=2) for earlier, later in pairwise(spans))


def test_small_images_hold_the_largest_grains_and_need_no_databar():
    for file in conductivity_collection(MANY, 0, MANY, (144, 160)):
        assert not file.config.databar


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1,), "n must not be"), ((1, -1), "no negative seed"), ((1, 0, 0), "1…999 specimens")],
)
def test_negative_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        next(conductivity_collection(*arguments))
