"""Networks on images as models of the store: trained, evaluated, shown, exported, resumed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from graindex.errors import GraindexError, OriginalError
from graindex.features.files import make_feature_set
from graindex.features.registry import register_feature_set
from graindex.store import Store, open_store
from graindex.trained.artefact import read_folder, write_folder
from graindex.trained.definition import ModelDefinition, save_definition
from graindex.trained.given import given_columns
from graindex.trained.kept import kept_model, run_of, stored_page
from graindex.trained.predict import predict
from graindex.trained.replay import replay
from graindex.trained.train import train_model
from tests.end_to_end.commands import run_here
from tests.graindex.trained.conftest import fit
from tests.graindex.training.catalogued import Collection

SIDE, SPECIMENS, FIELDS = 64, 12, 2
SEES = {
    "name": "sees",
    "method": "image-network",
    "label": {"name": "conductivity_s_per_cm", "transform": "log10"},
    "split": {"kind": "kfold", "folds": 4, "balanced": True},
    "parameters": {
        "filters": [4, 8, 16],
        "equalise": "none",
        "inner_folds": 1,
        "crop_px": SIDE,
        "epochs": 20,
        "batch": 2,
        "learning_rate": 5e-3,
        "patience": 20,
    },
}
CLASSES = SEES | {"name": "tells", "method": "image-classifier", "label": "crowd"}
JOINED = {
    "name": "joined",
    "feature_set": "process",
    "parameters": {**SEES["parameters"], "architecture": "descriptors"},
}


def model(**more) -> ModelDefinition:
    return ModelDefinition.model_validate(SEES | more)


def blobs(rng: np.random.Generator, count: int) -> tuple[np.ndarray, float]:
    """An image with bright blobs, and their share of it."""
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), bool)
    for _ in range(count):
        radius, (cy, cx) = rng.uniform(4, 8), rng.uniform(0, SIDE, 2)
        mask |= (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
    grey = 90 + 60 * mask + rng.normal(0, 15, mask.shape)
    return np.clip(grey, 0, 255).astype(np.uint8), float(mask.mean())


def write_collection(folder: Path) -> None:
    """The more of the images is blobs, the higher the conductivity; blobs grow with temperature."""
    lines = ["sample,conductivity_s_per_cm,temperature_c,flat,crowd"]
    for specimen in range(SPECIMENS):
        rng = np.random.default_rng(specimen)
        shares = []
        for field in range(FIELDS):
            image, share = blobs(rng, 1 + specimen)
            shares.append(share)
            path = folder / "images" / f"S{specimen}" / f"field {field}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        crowd = "few" if specimen < SPECIMENS // 2 else "many"
        conductivity = 10 ** (-6 + 4 * np.mean(shares))
        lines.append(f"S{specimen},{conductivity},{1000 + 10 * specimen},5,{crowd}")
    (folder / "samples.csv").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def home(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blobs")
    write_collection(folder)
    shutil.copytree(empty_home, folder / "home")
    store = open_store(folder / "home")
    collection = Collection(store, folder / "images", "blobs")
    collection.register()
    collection.refresh()
    for name, column in (("process", "temperature_c"), ("constant", "flat")):
        columns = {"columns": [f"samples.{column}"]}
        definition = {"name": name, "entity": "micrograph", "features": [columns]}
        register_feature_set(store, make_feature_set(definition), author="test")
    shutil.copytree(folder / "home", folder / "untrained")
    train_model(store, model(), author="test")
    train_model(store, model(**CLASSES), author="test")
    return folder / "home"


@pytest.fixture
def store(home: Path) -> Store:
    return open_store(home)


def left_out(card) -> dict[str, float]:
    return {
        metric.metric: metric.value
        for metric in card.metrics
        if metric.part == "all" and metric.evaluation == "cross-validation"
    }


def test_a_planted_law_is_found_in_specimens_that_were_left_out(store):
    card = kept_model(store, "sees").card
    assert left_out(card)["r2"] > 0.8
    assert card.training_set.rows == SPECIMENS * FIELDS
    assert card.method.parameters["architecture"] == "baseline"


def test_it_predicts_from_the_exported_folder_alone(store, tmp_path):
    write_folder(kept_model(store, "sees"), tmp_path / "exported")
    image = tmp_path / "new.png"
    grey, share = blobs(np.random.default_rng(99), 6)
    Image.fromarray(grey).save(image)
    (told,) = predict(read_folder(tmp_path / "exported"), [str(image)])
    code = (
        "import json, sys; from pathlib import Path\n"
        "from graindex.trained.artefact import read_folder\n"
        "from graindex.trained.predict import predict\n"
        "print(json.dumps(predict(read_folder(Path(sys.argv[1])), [sys.argv[2]])[0]))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "exported"), str(image)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert repr(told["value"]) in found.stdout
    assert told["lower"] < told["value"] < told["upper"]
    assert abs(np.log10(told["value"]) - (-6 + 4 * share)) < 3 * told["std"]


def test_images_of_the_store_are_predicted_as_their_files_are(store):
    rows = store.read("micrographs", "blobs").to_pylist()[:3]
    artefact = kept_model(store, "sees")
    by_id = predict(artefact, [row["micrograph_id"] for row in rows], store=store)
    by_file = predict(artefact, [row["uri"] for row in rows], store=store)
    assert [row["value"] for row in by_id] == [row["value"] for row in by_file]


def test_the_page_shows_where_it_looks(store):
    page = stored_page(store, "sees").decode()
    assert "Where it looks" in page
    assert "Learning curves" in page
    assert "Images of one specimen" in page
    assert page.count("data:image/png") == 7  # result, specimens, channels, three images, curves


def test_classes_are_told_apart_in_specimens_that_were_left_out(store, tmp_path):
    card = kept_model(store, "tells").card
    assert left_out(card)["macro_f1"] > 0.8
    assert card.label.classes == ("few", "many")
    write_folder(kept_model(store, "tells"), tmp_path / "exported")
    for name, count in (("few", 1), ("many", 11)):
        image = tmp_path / f"{name}.png"
        Image.fromarray(blobs(np.random.default_rng(98), count)[0]).save(image)
        (told,) = predict(read_folder(tmp_path / "exported"), [str(image)])
        assert told["predicted"] == name


def test_the_page_of_classes_shows_what_speaks_for_each(store):
    page = stored_page(store, "tells").decode()
    assert "Where it looks" in page
    assert page.count("data:image/png") == 4  # result, one image of each class, curves
    assert "many: S" in page


@pytest.mark.parametrize("fields", [SEES, CLASSES])
def test_a_command_trains_where_nobody_registered_a_feature_set(home, tmp_path, fields):
    shutil.copytree(home.with_name("untrained"), tmp_path / "home")
    quick = {"parameters": SEES["parameters"] | {"epochs": 1}, "split": {"kind": "kfold"}}
    config = tmp_path / "told.yaml"
    config.write_text(yaml.safe_dump(fields | quick | {"name": "told"}))
    answer = run_here("train", "told", "--config", config, home=tmp_path / "home")
    assert answer.code == 0, answer
    assert "told@1 trained" in answer.err


@pytest.mark.slow
def test_it_is_trained_again_to_the_same_bits(store):
    assert replay(store, "sees").equal


@pytest.mark.slow
def test_descriptors_join_the_image(store):
    found = fit(store, model(**JOINED))
    assert found.chosen["architecture"] == "descriptors"
    scores = {
        metric.metric: metric.value
        for metric in found.metrics
        if metric.part == "all" and metric.evaluation == "cross-validation"
    }
    assert scores["r2"] > 0.8


@pytest.mark.slow
def test_descriptors_are_given_for_files(store, tmp_path):
    train_model(store, model(**JOINED), author="test")
    write_folder(kept_model(store, "joined"), tmp_path / "joined")
    row = store.read("micrographs", "blobs").to_pylist()[-1]
    specimen = int(row["path"].partition("/")[0][1:])
    given = given_columns([f"temperature_c={1000 + 10 * specimen}"])
    (by_file,) = predict(read_folder(tmp_path / "joined"), [row["uri"]], given=given)
    (by_id,) = predict(kept_model(store, "joined"), [row["micrograph_id"]], store=store)
    assert by_file["value"] == by_id["value"]
    with pytest.raises(GraindexError, match="needs temperature_c of the specimen"):
        predict(read_folder(tmp_path / "joined"), [row["uri"]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"feature_set": "process"}, "looks at images alone: leave feature_set out"),
        ({"parameters": {"architecture": "descriptors"}}, "give feature_set"),
        ({"parameters": {"architecture": "vgg"}}, "architecture"),
        ({"label": "sample"}, "sample"),
        ({"label": "crowd"}, "choose image-classifier"),
        (CLASSES | {"label": "conductivity_s_per_cm"}, "choose image-network"),
        ({"explain": {"draws": 2}}, "its method does not tell"),
        (JOINED | {"feature_set": "constant"}, "feature 'flat' is 5 in every row"),
        ({"where": "sample = 'S3'", "split": "none"}, "every image has the target"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_one_line(store, change, told):
    with pytest.raises((GraindexError, ValueError), match=told):
        fit(store, model(**change))


def test_a_changed_image_is_no_silent_mixture(home, tmp_path):
    shutil.copytree(home.parent, tmp_path / "copy")
    for recipe in (tmp_path / "copy" / "home" / "datasets").glob("*.yaml"):
        recipe.write_text(recipe.read_text().replace(str(home.parent), str(tmp_path / "copy")))
    store = open_store(tmp_path / "copy" / "home")
    path = Path(store.read("micrographs", "blobs").to_pylist()[0]["uri"])
    before = path.read_bytes()
    try:
        Image.fromarray(np.full((SIDE, SIDE), 7, np.uint8)).save(path)
        with pytest.raises(OriginalError, match="changed since it was catalogued"):
            fit(store, model())
    finally:
        path.write_bytes(before)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(home, tmp_path):
    shutil.copytree(home, tmp_path / "home")
    store = open_store(tmp_path / "home")
    code = (
        "import sys; from graindex.store import open_store\n"
        "from graindex.trained.definition import load_definition\n"
        "from graindex.trained.train import train_model\n"
        "store = open_store(sys.argv[1])\n"
        "train_model(store, load_definition(store.location, 'killed'), author='test')\n"
    )
    save_definition(store.location, model(name="killed"))
    checkpoints = tmp_path / "home" / "models" / ".killed.training"
    running = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "home")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(checkpoints.rglob("epoch-000003")):
        assert running.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert list(checkpoints.rglob("epoch-*"))
    train_model(store, model(name="killed"), author="test")
    assert not checkpoints.exists()
    assert run_of(store, "killed")["artefact"] == run_of(store, "sees")["artefact"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (SEES, "that of the mean"),
        pytest.param(CLASSES, "that of a guess", marks=pytest.mark.slow),
    ],
)
def test_networks_that_learned_nothing_are_told(home, tmp_path, given, told):
    shutil.copytree(home.parent / "untrained", tmp_path / "home")
    store = open_store(tmp_path / "home")
    short = {"parameters": {**SEES["parameters"], "epochs": 1, "learning_rate": 1e-7}}
    trained = train_model(store, model(**given | short | {"name": "idle"}), author="test")
    (warning,) = (line for line in trained.card.warnings if "learned nothing" in line)
    assert warning.startswith("1 of 1 networks learned nothing in up to 1 epochs")
    assert told in warning


def test_networks_that_learned_are_not_said_to_be_idle(store):
    for name in ("sees", "tells"):
        card = kept_model(store, name).card
        assert not [line for line in card.warnings if "learned nothing" in line]
