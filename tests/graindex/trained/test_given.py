"""Columns of specimens given for image files: the same prediction as the store comes to."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from graindex.errors import GraindexError, ModelError
from graindex.features.files import make_feature_set
from graindex.features.registry import register_feature_set
from graindex.store import Store, open_store
from graindex.trained.artefact import read_folder, write_folder
from graindex.trained.definition import ModelDefinition
from graindex.trained.given import Given, given_columns
from graindex.trained.kept import kept_model
from graindex.trained.predict import predict
from graindex.trained.train import train_model
from tests.end_to_end.commands import run_here
from tests.graindex.training.catalogued import Collection, write_images

SPECIMENS = 8
FIRED = {
    "name": "fired",
    "method": "ridge",
    "feature_set": "process",
    "label": "strength_mpa",
    "split": {"kind": "kfold", "folds": 4},
    "parameters": {"penalties": [1e-6, 1e-4], "scalings": [[1, "standard"]], "inner_folds": 3},
}


def process(specimen: int) -> tuple[float, float]:
    return 1100.0 + 10 * (specimen * 3 % SPECIMENS), 1.0 + specimen


def furnace(specimen: int) -> str:
    return ("box", "tube")[specimen // 2 % 2]


@pytest.fixture(scope="module")
def folder(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strength is 0.2 a degree and 3 an hour; images have no part in it."""
    folder = tmp_path_factory.mktemp("fired")
    write_images(folder / "images", 2 * SPECIMENS)
    (folder / "images" / "S0" / "field 0.png.txt").unlink()
    lines = ["sample,temperature_c,time_h,furnace,strength_mpa"]
    for specimen in range(SPECIMENS):
        temperature, hours = process(specimen)
        strength = 0.2 * temperature + 3 * hours
        lines.append(f"S{specimen},{temperature},{hours},{furnace(specimen)},{strength}")
    (folder / "samples.csv").write_text("\n".join(lines))
    shutil.copytree(empty_home, folder / "home")
    store = open_store(folder / "home")
    collection = Collection(store, folder / "images", "fired")
    collection.register()
    collection.refresh()
    definition = {
        "name": "process",
        "entity": "micrograph",
        "features": [
            {"columns": ["image_quality.noise_std", "samples.temperature_c"]},
            {"columns": ["samples.time_h"], "prefix": "kiln_"},
            {"one_hot": {"samples.furnace": ["box", "tube"]}},
        ],
        "products": ["temperature_c", "kiln_time_h"],
        "normalise": {"method": "standard"},
    }
    register_feature_set(store, make_feature_set(definition), author="test")
    train_model(store, ModelDefinition.model_validate(FIRED), author="test")
    write_folder(kept_model(store, "fired"), folder / "exported")
    with (folder / "process.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("Path", "Temperature C", "Time h", "Furnace", "operator"))
        for row in images(store):
            specimen = int(row["path"][1])
            told = (*process(specimen), furnace(specimen))
            writer.writerow((f"images/{row['path']}", *told, "nobody"))
    return folder


def images(store: Store) -> list[dict]:
    return store.read("micrographs", "fired").to_pylist()


def test_a_file_with_what_the_store_knows_is_predicted_as_the_store_does(folder):
    store, artefact = open_store(folder / "home"), read_folder(folder / "exported")
    given = given_columns((), str(folder / "process.csv"))
    rows = images(store)
    by_file = predict(artefact, [row["uri"] for row in rows], given=given)
    by_id = predict(kept_model(store, "fired"), [row["micrograph_id"] for row in rows], store=store)
    for row, one, other in zip(rows, by_file, by_id, strict=True):
        assert one["value"] == pytest.approx(other["value"], rel=1e-12)
        assert one["std"] == pytest.approx(other["std"], rel=1e-9)
        temperature, hours = process(int(row["path"][1]))
        assert one["value"] == pytest.approx(0.2 * temperature + 3 * hours, abs=0.1)


def test_what_is_given_for_all_images_decides(folder):
    artefact = read_folder(folder / "exported")
    image = str(folder / "images" / "S3" / "field 6.png")
    values = []
    for temperature in (1110, 1140):
        given = given_columns((f"temperature_c={temperature}", "time_h = 4", "furnace=tube"))
        values.append(predict(artefact, [image], given=given)[0]["value"])
    assert values[1] - values[0] == pytest.approx(0.2 * 30, abs=0.1)
    assert values[0] == pytest.approx(0.2 * 1110 + 3 * 4, abs=0.2)


def test_a_table_beside_a_single_number_for_all(folder, tmp_path):
    image = folder / "images" / "S3" / "field 6.png"
    table = tmp_path / "elsewhere.csv"
    table.write_text(f"file,temperature_c,furnace\n{image},1120,box\n")
    artefact = read_folder(folder / "exported")
    found = predict(artefact, [str(image)], given=given_columns(["time_h=5"], str(table)))
    alone = given_columns(["time_h=5", "temperature_c=1120", "furnace=box"])
    both = predict(artefact, [str(image)], given=alone)
    assert found == both


def test_the_command_takes_both(folder):
    home, image = folder / "home", folder / "images" / "S3" / "field 6.png"
    words = ("predict", folder / "exported", image, "--format", "json")
    table = run_here(*words, "--given-table", folder / "process.csv", home=home)
    temperature, hours = process(3)
    told = (f"temperature_c={temperature}", f"time_h={hours}", f"furnace={furnace(3)}")
    alone = run_here(*words, *(word for one in told for word in ("--given", one)), home=home)
    assert table.rows == alone.rows
    refused = run_here(*words, "--given", "time_h=3", "--given", "furnace=box", home=home)
    assert refused.code == 2
    assert "needs temperature_c of the specimen" in refused.error
    assert len(refused.error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Given(), r"needs temperature_c, time_h, furnace of the specimen.*--given furnace=…"),
        (
            Given({"time_h": "3", "furnace": "box"}),
            r"needs temperature_c of the specimen, which an image does not",
        ),
        (
            Given({"time_h": "3", "temperatur_c": "3"}),
            "takes no temperatur_c to be given: did you mean temperature_c",
        ),
        (
            Given({}, {"other.png": {"time_h": "3"}}, "t.csv"),
            r"t\.csv has no row of .*field 6\.png",
        ),
    ],
)
def test_what_is_missing_or_unknown_is_named_in_one_line(folder, given, told):
    image = str(folder / "images" / "S3" / "field 6.png")
    with pytest.raises(ModelError, match=told) as caught:
        predict(read_folder(folder / "exported"), [image], given=given)
    assert "\n" not in str(caught.value)


def test_an_empty_cell_is_missing_and_a_word_is_no_number(folder, tmp_path):
    image = str(folder / "images" / "S3" / "field 6.png")
    artefact = read_folder(folder / "exported")
    for cell, told in (
        ("", "needs temperature_c of the specimen"),
        ("hot", "temperature_c of .* is 'hot', which is no finite number"),
        ("nan", "is 'nan', which is no finite number"),
    ):
        table = tmp_path / "process.csv"
        table.write_text(f"path,temperature_c,time_h,furnace\n{image},{cell},3,box\n")
        with pytest.raises(ModelError, match=told):
            predict(artefact, [image], given=given_columns((), str(table)))


def test_a_number_for_all_images_is_one(folder):
    image = str(folder / "images" / "S3" / "field 6.png")
    given = given_columns(["time_h=inf", "temperature_c=1120", "furnace=box"])
    with pytest.raises(ModelError, match="time_h is 'inf', which is no finite number"):
        predict(read_folder(folder / "exported"), [image], given=given)


def test_what_lies_beyond_the_training_is_remarked_on(folder):
    image = str(folder / "images" / "S3" / "field 6.png")
    artefact = read_folder(folder / "exported")
    least, greatest = artefact.card.features.ranges["temperature_c"]
    trained = [process(specimen) for specimen in range(SPECIMENS)]
    assert [least, greatest] == [f(row[0] for row in trained) for f in (min, max)]
    for told, remark in (
        (f"{least:g}", None),
        (f"{greatest:g}", None),
        (f"{greatest + 1:g}", f"temperature_c {greatest + 1:g} is beyond the training, "),
        (f"{least - 1:g}", f"temperature_c {least - 1:g} is beyond the training, {least:g} to"),
    ):
        given = given_columns([f"temperature_c={told}", "time_h=4", "furnace=box"])
        note = predict(artefact, [image], given=given)[0]["note"]
        assert (note is None) if remark is None else (remark in note)
    given = given_columns([f"temperature_c={least:g}", "time_h=4", "furnace=tub"])
    note = predict(artefact, [image], given=given)[0]["note"]
    assert note == "furnace 'tub' is none that the model tells apart, box, tube"


def test_specimens_of_the_store_are_remarked_on_too(folder, tmp_path):
    shutil.copytree(folder / "home", tmp_path / "home")
    store = open_store(tmp_path / "home")
    artefact = kept_model(store, "fired")
    first = images(store)[0]
    known, (temperature, _) = first["micrograph_id"], process(int(first["path"][1]))
    narrow = {"temperature_c": (0.0, 1.0), "kiln_time_h": (0.0, 1e9)}
    features = artefact.card.features.model_copy(update={"ranges": narrow})
    card = artefact.card.model_copy(update={"features": features})
    (found,) = predict(replace(artefact, card=card), [known], store=store)
    assert found["note"].startswith(f"temperature_c {temperature:g} is beyond the training, 0 to 1")


def test_images_of_the_store_keep_their_own_columns(folder):
    store = open_store(folder / "home")
    known = images(store)[0]["micrograph_id"]
    with pytest.raises(ModelError, match=f"{known} is known to the store, which tells its columns"):
        predict(kept_model(store, "fired"), [known], store=store, given=Given({"time_h": "1"}))


@pytest.mark.parametrize(
    ("texts", "table", "told"),
    [
        (["time_h"], None, "write NAME=VALUE"),
        (["=3"], None, "write NAME=VALUE"),
        (["time_h="], None, "write NAME=VALUE"),
        (["time_h=1", "Time h=2"], None, "time_h is given twice"),
        (["time_h=1"], "path,time_h\na.png,3\n", "time_h is given twice, for all images and in"),
        ([], "sample,time_h\nS1,3\n", "joins by sample, which image files lack"),
        ([], "name,time_h\nS1,3\n", "has no column path, file or image"),
    ],
)
def test_what_cannot_be_given_is_refused_in_one_line(tmp_path, texts, table, told):
    if table is not None:
        (tmp_path / "given.csv").write_text(table)
        table = str(tmp_path / "given.csv")
    with pytest.raises(GraindexError, match=told) as caught:
        given_columns(texts, table)
    assert "\n" not in str(caught.value)


def test_paths_are_those_asked_about_or_relative_to_the_table(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    table = tmp_path / "run" / "given.csv"
    table.write_text("path,time_h\na.png,1\nsub/b.png,2\nhttps://lab/c.png,3\n")
    given = given_columns((), str(table))
    assert given.number("time_h", str(tmp_path / "run" / "a.png")) == 1
    assert given.number("time_h", "sub/b.png") == 2
    assert given.number("time_h", "https://lab/c.png") == 3
    assert given.number("time_h", "https://lab/a.png") is None
    monkeypatch.chdir(tmp_path)
    assert given.number("time_h", "run/sub/../a.png") == 1
    assert given.number("time_h", "elsewhere/a.png") is None
    assert given.number("time_h", "./a.png") == 1  # as it is asked about
    (tmp_path / "run" / "a.png").touch()
    with pytest.raises(ModelError, match="is another file there: write its whole path"):
        given.number("time_h", "./a.png")
    assert given.number("time_h", "run/a.png") == 1
