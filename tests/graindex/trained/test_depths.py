"""Vectors of several depths beside those of the search, and a Gaussian process on the depths."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from graindex.checks import missing_vectors
from graindex.derive import refresh_vectors
from graindex.errors import HomeError, ModelError
from graindex.features.files import make_feature_set
from graindex.features.registry import register_feature_set
from graindex.freshness import out_of_date, row_count
from graindex.generated_checks import dictionary_problems
from graindex.settings import EncoderSettings, Settings, save_settings
from graindex.store import Store, open_store
from graindex.trained.artefact import read_folder, write_folder
from graindex.trained.definition import ModelDefinition
from graindex.trained.kept import kept_model, stored_page
from graindex.trained.predict import predict
from graindex.trained.replay import replay
from graindex.trained.train import train_model
from graindex.vector_history import vectors_as_of
from tests.graindex.trained.conftest import GRAIN, fit, model
from tests.graindex.training.catalogued import Collection

SPECIMENS, SIDE = 16, 96
LAST = EncoderSettings(device="cpu")
DEEP = EncoderSettings(pooling="depths", mirrored=True, device="cpu")
DEPTHS = {
    "name": "depths",
    "method": "gaussian-process",
    "feature_set": "depths",
    "label": {"name": "grain_px", "transform": "log10"},
    "split": {"kind": "kfold", "folds": 4, "balanced": True},
}


def texture(grain: int, seed: int) -> np.ndarray:
    """Noise in squares of a size."""
    cells = -(-SIDE // grain)
    coarse = np.random.default_rng(seed).integers(60, 200, (cells, cells), dtype=np.uint8)
    return np.kron(coarse, np.ones((grain, grain), np.uint8))[:SIDE, :SIDE]


@pytest.fixture(scope="module")
def home(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("depths")
    lines = ["sample,grain_px"]
    for specimen in range(SPECIMENS):
        for field in range(2):
            path = folder / "images" / f"S{specimen}" / f"field {field}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(texture(specimen // 2 + 1, 10 * specimen + field)).save(path)
        lines.append(f"S{specimen},{specimen // 2 + 1}")
    (folder / "samples.csv").write_text("\n".join(lines))
    shutil.copytree(empty_home, folder / "home")
    location = open_store(folder / "home").location
    save_settings(location, Settings(encoder=LAST, further_encoders=(DEEP,)))
    store = open_store(folder / "home")
    collection = Collection(store, folder / "images", "textures")
    collection.register()
    collection.refresh()
    refresh_vectors(store, "textures", author="test")
    last = {"name": "last", "entity": "micrograph", "features": [{"vector": "micrographs"}]}
    register_feature_set(store, make_feature_set(last), author="test")
    vector = {"vector": "micrographs_depths"}
    numbers = {"columns": ["image_quality.noise_std", "image_quality.contrast_std"]}
    select = {"select": {"min_variance": 1e-12}}
    for name, features, more in (
        ("depths", [vector], {}),
        ("picked", [vector], select),
        ("both", [vector, numbers], {}),
        ("mixed", [vector, numbers], select),
    ):
        definition = {"name": name, "entity": "micrograph", "features": features, **more}
        register_feature_set(store, make_feature_set(definition), author="test")
    train_model(store, ModelDefinition.model_validate(DEPTHS), author="test")
    return folder / "home"


@pytest.fixture
def store(home: Path) -> Store:
    return open_store(home)


def left_out(metrics) -> float:
    return next(
        one.value
        for one in metrics
        if (one.metric, one.part, one.evaluation) == ("r2", "all", "cross-validation")
    )


def test_grain_size_is_learned_with_a_share_for_each_depth(store):
    card = kept_model(store, "depths").card
    assert left_out(card.metrics) > 0.8
    shares = [card.method.chosen[f"share of block {n}"] for n in range(1, 6)]
    assert sum(shares) == pytest.approx(1)
    assert "share of block 6" not in card.method.chosen
    assert card.encoder.pooling == "depths"
    assert card.encoder.mirrored
    assert "log posterior over step of the optimisation" in stored_page(store, "depths").decode()


def test_it_predicts_without_the_home_by_the_encoder_of_its_card(store, tmp_path):
    write_folder(kept_model(store, "depths"), tmp_path / "model")
    Image.fromarray(texture(3, 999)).save(tmp_path / "new.png")
    (alone,) = predict(read_folder(tmp_path / "model"), [str(tmp_path / "new.png")])
    (known,) = predict(kept_model(store, "depths"), [str(tmp_path / "new.png")], store=store)
    assert alone["value"] == known["value"]
    assert abs(np.log10(alone["value"] / 3)) < 3 * alone["std"]


def test_a_home_with_another_encoder_refuses_its_own_vectors(store, tmp_path, home):
    shutil.copytree(home, tmp_path / "home")
    other = open_store(tmp_path / "home")
    for further, told in (
        ((DEEP.model_copy(update={"mirrored": False}),), "the vectors are by .*depths-mirrored"),
        ((), "takes vectors of micrographs_depths, .* name theirs in further_encoders"),
    ):
        save_settings(other.location, Settings(encoder=LAST, further_encoders=further))
        other = open_store(tmp_path / "home")
        with pytest.raises(ModelError, match=told) as caught:
            train_model(other, ModelDefinition.model_validate(DEPTHS), author="test")
        assert "\n" not in str(caught.value)


def test_images_are_searched_by_the_one_encoder_and_learned_from_by_either(store):
    ids = store.read("micrographs", "textures")["micrograph_id"].to_pylist()
    for table, encoder in store.encoders.items():
        rows = store.vectors.read(table, "textures").to_pylist()
        assert {row["micrograph_id"] for row in rows} == set(ids)
        assert {row["encoder_id"] for row in rows} == {encoder.encoder_id}
    assert list(store.encoders) == ["micrographs", "micrographs_depths"]
    assert not dictionary_problems("micrograph_vectors", store, "textures")
    found = store.similar(ids[0], len(ids)).to_pylist()
    own = {
        row["micrograph_id"]: row["vector"] for row in vectors_as_of(store, "textures").to_pylist()
    }
    for hit in found[:5]:
        expected = 1 - float(np.dot(own[ids[0]], own[hit["id"]]))
        assert hit["distance"] == pytest.approx(expected, abs=1e-5)
    last = DEPTHS | {"name": "last", "feature_set": "last", "split": "none"}
    trained = train_model(store, ModelDefinition.model_validate(last), author="test")
    assert (trained.card.encoder.pooling, trained.card.encoder.mirrored) == ("avg", False)


def test_an_encoder_that_is_added_leaves_the_vectors_that_there_are(tmp_path, home):
    shutil.copytree(home, tmp_path / "home")
    store = open_store(tmp_path / "home")
    count = 2 * SPECIMENS
    store.vectors.delete(
        "micrographs_depths",
        store.read("micrographs", "textures")["micrograph_id"].to_pylist()[:3],
    )
    late = out_of_date(store, "micrograph_vectors", store.recipe("textures"))
    assert len(late) == 3
    assert [problem.rule for problem in missing_vectors(store, "textures")] == [
        "has a vector in micrographs_depths"
    ]
    outcome = refresh_vectors(store, "textures", author="test")
    assert (outcome.rows, outcome.computed, outcome.kept) == (2 * count, 3, 2 * count - 3)
    assert not out_of_date(store, "micrograph_vectors", store.recipe("textures"))
    assert not missing_vectors(store, "textures")
    assert row_count(store, "micrograph_vectors", "textures") == 2 * count


@pytest.mark.parametrize(
    ("further", "told"),
    [
        ([{"equalise": "clahe"}], "would keep their vectors in micrographs: take"),
        ("depths", r"further_encoders: 'depths' is no list: write \[\{pooling"),
        ([{"poolin": "depths"}], r"further_encoders\.0\.poolin: unknown key; did you mean pooling"),
    ],
)
def test_encoders_that_cannot_be_are_refused_in_one_line(empty_home, tmp_path, further, told):
    shutil.copytree(empty_home, tmp_path / "home")
    location = open_store(tmp_path / "home").location
    settings = yaml.safe_dump({"further_encoders": further})
    (location.folder / "graindex.yaml").write_text(settings)
    with pytest.raises(HomeError, match=told) as caught:
        open_store(location.folder).encoders  # noqa: B018
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_features_that_are_selected_are_one_block(store):
    found = fit(store, ModelDefinition.model_validate(DEPTHS | {"feature_set": "picked"}))
    assert "share of block 2" not in found.chosen


@pytest.mark.slow
def test_it_is_trained_again_to_the_same_bits(store):
    assert replay(store, "depths").equal


def test_a_gaussian_process_learns_from_a_few_numbers_too(read_only):
    found = fit(read_only, model(GRAIN, method="gaussian-process", parameters={}))
    assert left_out(found.metrics) > 0.95


def test_depths_of_a_vector_count_as_one_feature_beside_others(store):
    explained = DEPTHS | {"feature_set": "both", "split": "none"}
    found = fit(store, ModelDefinition.model_validate(explained))
    assert set(found.drivers.ranked(["all"])) == {"vector", "noise_std", "contrast_std"}
    total: dict[str, float] = {}
    for row in found.drivers.shap:
        total[row["entity_id"]] = total.get(row["entity_id"], 0.0) + row["shap_value"]
    base = [row["predicted_number"] - total[row["entity_id"]] for row in found.predictions]
    np.testing.assert_allclose(base, base[0], atol=1e-9)


@pytest.mark.slow
def test_features_that_share_a_large_block_are_refused_where_they_are_asked_for(store):
    mixed = DEPTHS | {"feature_set": "mixed", "split": "none"}
    assert not fit(store, ModelDefinition.model_validate(mixed)).drivers.importances
    with pytest.raises(ModelError, match="stand in one block of more than 10") as caught:
        fit(store, ModelDefinition.model_validate(mixed | {"explain": {"draws": 2}}))
    assert "\n" not in str(caught.value)
