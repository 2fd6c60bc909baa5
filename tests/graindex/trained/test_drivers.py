"""What drives the damage of particles: planted drivers are found, kept, drawn, and withdrawn."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from graindex.errors import GraindexError
from graindex.features.files import make_feature_set
from graindex.features.registry import register_feature_set
from graindex.store import Store, open_store
from graindex.trained.driver_figures import differences, driver_figures
from graindex.trained.drivers import Drivers
from graindex.trained.kept import kept_drivers, kept_model, run_of, stored_page
from graindex.trained.predict import predict
from graindex.trained.replay import replay
from graindex.trained.train import train_model
from graindex.training.training_set import build_training_set
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.particle_rows import label_volume, particles_3d, volume, write
from tests.graindex.rows import key
from tests.graindex.trained.conftest import fit, model

ELECTRODES, COUNT, SIDE_UM = "electrodes", 120, 60.0
COLUMNS = ("z_um", "x_um", "volume_um3", "elongation", "sphericity")
DAMAGE = {
    "name": "damage",
    "method": "forest",
    "feature_set": "attributes",
    "label": "damage",
    "where": "NOT touches_border",
    "split": {"kind": "kfold", "by": "block", "allow_leakage": True, "folds": 3},
    "parameters": {"trees": 30, "inner_folds": 3},
    "explain": {"compare": "cycles", "draws": 3, "seeds": 2},
}


def planted(cycles: int) -> dict[str, np.ndarray]:
    """Depth drives the damage after 10 cycles, volume after 50."""
    rng = np.random.default_rng(cycles)
    z, y, x = rng.uniform(0, SIDE_UM, (3, COUNT))
    size = rng.lognormal(4, 0.5, COUNT)
    driver = z / SIDE_UM if cycles == 10 else np.log(size) / 4
    damage = np.clip(0.1 * driver * np.exp(rng.normal(0, 0.1, COUNT)), 0, 1)
    return {
        "label": np.arange(1, COUNT + 1),
        "voxels": np.full(COUNT, 100),
        "z_um": z,
        "y_um": y,
        "x_um": x,
        "volume_um3": size,
        "body_volume_um3": size * (1 - damage),
        "crack_volume_um3": size * damage,
        "damage": damage,
        "elongation": rng.uniform(1, 2, COUNT),
        "sphericity": rng.uniform(0.7, 1, COUNT),
        "touches_border": np.arange(COUNT) % 20 == 0,
        "neighbours": np.full(COUNT, 6),
    }


def fill(store: Store) -> None:
    samples, parts = [], []
    for cycles in (10, 50):
        name = f"after {cycles}"
        samples.append(
            {
                "dataset": ELECTRODES,
                "sample_id": key(cycles),
                "sample": name,
                "cycles": float(cycles),
                "code_version": "1",
            }
        )
        row = volume(ELECTRODES, name, (60, 60, 60), (1, 1, 1), sample_id=key(cycles))
        parts.append(
            {
                "volumes": from_records(TABLES["volumes"], [row]),
                "particle_labels_3d": from_records(
                    TABLES["particle_labels_3d"], [label_volume(ELECTRODES, name, COUNT)]
                ),
                "particles_3d": particles_3d(ELECTRODES, name, planted(cycles), calibration_um=1.0),
            }
        )
    write(store, ELECTRODES, *parts, {"samples": from_records(TABLES["samples"], samples)})
    definition = {
        "name": "attributes",
        "entity": "particle",
        "particles": "particles_3d",
        "features": [
            {"columns": [f"particles_3d.{column}" for column in COLUMNS]},
            {"columns": ["samples.cycles"]},
        ],
    }
    register_feature_set(store, make_feature_set(definition), author="test")


@pytest.fixture(scope="module")
def home(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("electrodes") / "home"
    shutil.copytree(empty_home, folder)
    store = open_store(folder)
    fill(store)
    train_model(store, model(DAMAGE), author="test")
    return folder


@pytest.fixture
def store(home: Path) -> Store:
    return open_store(home)


def drivers(store: Store) -> Drivers:
    return kept_drivers(store, run_of(store, "damage"))


def test_a_measured_column_is_a_label_of_the_particles_themselves(store):
    found = build_training_set(store, model(DAMAGE).request())
    assert len(found) == 2 * COUNT - 12
    assert set(found.rows["labeller"].to_pylist()) == {"measured"}
    rows = store.read("particles_3d").to_pylist()
    damage = {row["particle_id"]: row["damage"] for row in rows if not row["touches_border"]}
    ids, labels = (found.rows[name].to_pylist() for name in ("entity_id", "label_number"))
    assert dict(zip(ids, labels, strict=True)) == damage


def test_blocks_keep_particles_of_one_place_together(store):
    found = build_training_set(store, model(DAMAGE).request())
    rows = {row["particle_id"]: row for row in store.read("particles_3d").to_pylist()}
    fold_of: dict[tuple, set] = {}
    for key_, fold in zip(
        found.rows["entity_id"].to_pylist(), found.rows["fold"].to_pylist(), strict=True
    ):
        row = rows[key_]
        place = (row["volume_id"], row["y_um"] // 20, row["x_um"] // 20)
        fold_of.setdefault(place, set()).add(fold)
    assert len(fold_of) == found.counts["groups"] == 18
    assert all(len(folds) == 1 for folds in fold_of.values())
    assert any("leakage" in note for note in found.notes)


def test_planted_drivers_come_first_in_each_part_and_in_every_fit(store):
    found = drivers(store)
    assert found.parts == ("all", "cycles 10", "cycles 50")
    for part, driver in (("cycles 10", "z_um"), ("cycles 50", "volume_um3")):
        assert found.ranked([part])[0] == driver
        fits: dict[tuple, list] = {}
        for row in found.importances:
            if row["part"] == part:
                fits.setdefault((row["strategy"], row["repeat"]), []).append(row)
        assert sorted(fits) == [
            ("draws", 0), ("draws", 1), ("draws", 2), ("model", 0), ("seeds", 0), ("seeds", 1)
        ]  # fmt: skip
        for own in fits.values():
            assert max(own, key=lambda row: row["importance"])["feature"] == driver
            assert sum(row["importance_share"] for row in own) == pytest.approx(1)


def test_the_difference_of_parts_has_the_sign_of_the_law(store):
    parts = ("cycles 10", "cycles 50")
    for name, sign in (("z_um", -1), ("volume_um3", 1)):
        mean, deviation = differences(drivers(store), parts, name, "importance_share")
        assert sign * mean > 3 * deviation > 0


def test_shapley_values_add_up_to_the_predictions_of_the_kept_model(store):
    found = drivers(store)
    total: dict[str, float] = {}
    for row in found.shap:
        if row["part"] == "all":
            total[row["entity_id"]] = total.get(row["entity_id"], 0) + row["shap_value"]
    ids = sorted(total)
    told = predict(kept_model(store, "damage"), ids, store=store)
    base = np.array([row["value"] for row in told]) - [total[key_] for key_ in ids]
    np.testing.assert_allclose(base, base[0], atol=1e-9)
    values = {r["entity_id"]: r["feature_value"] for r in found.shap if r["feature"] == "z_um"}
    rows = {row["particle_id"]: row["z_um"] for row in store.read("particles_3d").to_pylist()}
    assert all(rows[key_] == value for key_, value in values.items())


def test_the_model_beats_the_mean_and_says_that_it_knows_this_electrode_only(store):
    card = kept_model(store, "damage").card
    left_out = {
        metric.metric: metric.value
        for metric in card.metrics
        if metric.part == "all" and metric.evaluation == "cross-validation"
    }
    assert left_out["mae"] < 0.6 * left_out["mae_of_mean"]
    assert any("leakage is allowed" in warning for warning in card.warnings)


def test_the_page_and_the_pictures_show_it(store):
    page = stored_page(store, "damage").decode()
    assert "What drives it" in page
    figures = driver_figures(drivers(store), "1")
    assert [png[:4] for _, png in figures] == [b"\x89PNG"] * 4
    assert page.count("data:image/png") >= 5


def test_the_same_definition_gives_the_same_bits(store):
    assert replay(store, "damage").equal
    kept, again = drivers(store), fit(store, model(DAMAGE)).drivers
    for one, other in ((kept.importances, again.importances), (kept.shap, again.shap)):
        told = {name: row[name] for row in one for name in ("model", "model_version")}
        assert sorted(map(str, one)) == sorted(str(told | row) for row in other)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"split": {"kind": "kfold", "by": "block"}}, "split by block tests particles"),
        ({"explain": {"compare": "cycle"}}, "compares by 'cycle', which is no column of samples"),
        ({"where": "cycles = 10"}, "compares by 'cycles', of which the rows have 1 value"),
        ({"label": "volume_um3"}, "feature 'volume_um3' is taken from particles_3d.volume_um3"),
        ({"label": "damages"}, "did you mean damage"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(store, change, told):
    with pytest.raises(GraindexError, match=told) as caught:
        fit(store, model(DAMAGE, **change))
    assert "\n" not in str(caught.value)


def test_features_that_are_nearly_the_label_are_warned_of(store):
    from graindex.trained.learning import warnings_of

    only = {"where": "cycles = 10 AND NOT touches_border", "explain": {}}
    found = fit(store, model(DAMAGE, **only)).learning
    assert any("'z_um' goes with the label" in warning for warning in warnings_of(found))


def test_blocks_are_of_particles(read_only):
    from tests.graindex.trained.conftest import GRAIN

    split = {"kind": "kfold", "by": "block", "allow_leakage": True}
    with pytest.raises(GraindexError, match="these rows are of a micrograph"):
        fit(read_only, model(GRAIN, split=split))


def test_an_autoencoder_tells_how_features_go_together_in_each_part(store):
    found = fit(store, model(DAMAGE, explain={"compare": "cycles", "autoencoder": True}))
    told = {
        (row["space"], row["part"], row["feature"], row["other_feature"]): row["pearson_r"]
        for row in found.correlations
    }
    for space in ("measured", "reconstructed"):
        driven, other = (
            {part: told[space, part, name, "damage"] for part in ("cycles 10", "cycles 50")}
            for name in ("z_um", "volume_um3")
        )
        assert driven["cycles 10"] > 0.6 > abs(driven["cycles 50"]) + 0.3
        assert other["cycles 50"] > 0.6 > abs(other["cycles 10"]) + 0.3
    rows = store.read("particles_3d").to_pylist()
    own = [r for r in rows if r["volume_id"] == key("after 10") and not r["touches_border"]]
    z, damage = (np.array([row[name] for row in own]) for name in ("z_um", "damage"))
    expected = np.corrcoef(z, damage)[0, 1]
    assert told["measured", "cycles 10", "z_um", "damage"] == pytest.approx(expected)
    assert {space for space, *_ in told} == {"measured", "reconstructed", "latent"}
    assert not any("cycles" in (one, other) for _, _, one, other in told)  # constant in each part
    (section,) = found.sections
    assert all(png.startswith(b"\x89PNG") for _, png in section.pictures)
    assert {curve.name for curve in found.curves} == {
        f"reconstruction error, {name}"
        for name in ("autoencoder", "without penalties", "principal components")
    }


def test_a_gaussian_process_says_what_drives_it_too(read_only):
    from tests.graindex.trained.conftest import GRAIN

    explain = {"draws": 2}
    asked = model(GRAIN, method="gaussian-process", parameters={}, split="none", explain=explain)
    found = fit(read_only, asked)
    assert found.drivers.ranked(["all"])[0] == "brightness_mean"  # as planted
    draws = [row for row in found.drivers.importances if row["strategy"] == "draws"]
    best = {row["repeat"]: row["feature"] for row in sorted(draws, key=lambda r: r["importance"])}
    assert best == {0: "brightness_mean", 1: "brightness_mean"}
    total: dict[str, float] = {}
    for row in found.drivers.shap:
        total[row["entity_id"]] = total.get(row["entity_id"], 0.0) + row["shap_value"]
    base = [row["predicted_number"] - total[row["entity_id"]] for row in found.predictions]
    np.testing.assert_allclose(base, base[0], atol=1e-9)
