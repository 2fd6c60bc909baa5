"""Predictions by the artefact alone, and images that a model refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from graindex.errors import GraindexError, ModelError, OriginalError
from graindex.features.files import make_feature_set
from graindex.features.fitting import FittedFeatures
from graindex.features.registry import register_feature_set
from graindex.trained.artefact import Artefact
from graindex.trained.card import EncoderCard, PixelSizeCard
from graindex.trained.kept import kept_model
from graindex.trained.pixel_sizes import PixelSizes
from graindex.trained.predict import CLASS_COLUMNS, NUMBER_COLUMNS, predict
from graindex.trained.train import train_model
from models.measure.image_quality import image_quality
from tests.graindex.features import texture
from tests.graindex.rows import key
from tests.graindex.trained.conftest import FEATURES, GRAIN, PLATES, image_name, model


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """An image file that no store knows, and its grey values."""
    grey = np.random.default_rng(1).normal(120, 25, (96, 128)).clip(0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("images") / "unknown.png"
    Image.fromarray(grey).save(path)
    return str(path), grey


def with_card(artefact, **changes):
    return Artefact(artefact.card.model_copy(update=changes), artefact.weights)


def test_ids_of_the_store_give_the_predictions_of_the_training(read_only):
    ids = [key(image_name(3, 1)), key(image_name(0, 0))]
    found = predict(kept_model(read_only, "grain"), ids, store=read_only)
    assert [row["image"] for row in found] == ids
    assert set(found[0]) == set(NUMBER_COLUMNS)
    trained = {
        row["entity_id"]: row
        for row in read_only.read("predictions").to_pylist()
        if row["model"] == "grain" and row["evaluation"] == "train"
    }
    for row in found:
        kept = trained[row["image"]]
        assert np.log10(row["value"]) == pytest.approx(kept["predicted_number"], rel=1e-9)
        assert row["std"] == pytest.approx(kept["predicted_std"], rel=1e-9)
        assert row["upper"] / row["value"] == pytest.approx(10 ** row["std"], rel=1e-9)
        assert row["value"] / row["lower"] == pytest.approx(10 ** row["std"], rel=1e-9)
        assert row["unit"] == "µm"


def test_classes_come_with_their_probabilities(read_only):
    found = predict(kept_model(read_only, "finish"), [key(image_name(1, 0))], store=read_only)[0]
    assert set(found) == set(CLASS_COLUMNS)
    assert found["predicted"] == "rough"
    assert found["probability"] == max(found["probabilities"].values())
    assert sum(found["probabilities"].values()) == pytest.approx(1)


def test_a_file_is_measured_as_a_store_would(read_only, image):
    path, grey = image
    artefact = kept_model(read_only, "grain")
    found = predict(artefact, [path], pixel_size_um=0.5)[0]
    quality = image_quality(grey)
    raw = np.array([[getattr(quality, name) for name in FEATURES]])
    fitted = FittedFeatures.from_json(artefact.card.features.fitted)
    assert fitted.names == FEATURES
    expected = artefact.fitted().predict(raw).number[0]
    assert np.log10(found["value"]) == pytest.approx(expected, rel=1e-9)


def test_files_and_ids_come_back_in_the_order_they_were_asked(read_only, image):
    asked = [image[0], key(image_name(2, 0)), image[0]]
    found = predict(kept_model(read_only, "grain"), asked, store=read_only, pixel_size_um=0.5)
    assert [row["image"] for row in found] == asked
    assert found[0] == found[2]


@pytest.mark.parametrize(
    ("size", "fits"), [(0.5, True), (0.549, True), (0.551, False), (0.45, True)]
)
def test_pixel_sizes_beyond_ten_percent_are_refused(read_only, image, size, fits):
    artefact = kept_model(read_only, "grain")
    if fits:
        assert predict(artefact, [image[0]], pixel_size_um=size)
        return
    with pytest.raises(ModelError, match=r"was made for 0\.5 to 0\.5 µm a pixel") as caught:
        predict(artefact, [image[0]], pixel_size_um=size)
    assert "\n" not in str(caught.value)


def test_an_image_without_a_pixel_size_is_refused_unless_the_definition_takes_it(read_only):
    card = kept_model(read_only, "grain").card
    with pytest.raises(ModelError, match="its pixel size is unknown"):
        PixelSizes(card).check("x.png", None)
    rule = card.pixel_size.model_copy(update={"without": "accept"})
    PixelSizes(card.model_copy(update={"pixel_size": rule})).check("x.png", None)


def test_a_model_of_uncalibrated_images_takes_any(read_only):
    rule = PixelSizeCard(
        least_um=None,
        greatest_um=None,
        calibrated=0,
        uncalibrated=9,
        tolerance=0.1,
        without="refuse",
    )
    card = kept_model(read_only, "grain").card.model_copy(update={"pixel_size": rule})
    PixelSizes(card).check("x.png", None)
    PixelSizes(card).check("x.png", 17.0)


def test_an_image_of_the_store_with_another_pixel_size_is_refused(trained):
    micrographs = trained.read("micrographs")
    sizes = micrographs["pixel_size_um"].to_numpy().copy()
    sizes[0] = 2.0
    place = micrographs.schema.get_field_index("pixel_size_um")
    changed = micrographs.set_column(place, micrographs.schema.field(place), [sizes])
    trained.lake.replace({"micrographs": changed}, PLATES, author="test", message="scale")
    refused = micrographs["micrograph_id"][0].as_py()
    with pytest.raises(ModelError, match=f"{refused}: 2 µm a pixel"):
        predict(kept_model(trained, "grain"), [refused], store=trained)


def test_vectors_of_another_encoder_are_refused(trained):
    texture.write_vectors(trained, texture.vector_rows(PLATES, (image_name(0, 0),)), PLATES)
    artefact = kept_model(trained, "grain")
    other = EncoderCard(
        encoder_id="other", backbone="tf_efficientnet_lite0", weights=None, precision="float32"
    )
    pooled = {"name": "pooled", "entity": "micrograph", "features": [{"vector": "micrographs"}]}
    features = artefact.card.features.model_copy(
        update={"reference": "pooled@1", "definitions": {"pooled@1": pooled}}
    )
    with pytest.raises(ModelError, match="was made for encoder other, and the vectors of 'plates'"):
        predict(
            with_card(artefact, encoder=other, features=features),
            [key(image_name(0, 0))],
            store=trained,
        )


def test_weights_of_an_encoder_that_are_not_there_are_said(read_only, image):
    other = EncoderCard(
        encoder_id="x",
        backbone="tf_efficientnet_lite0",
        weights="/absent.safetensors",
        precision="float32",
    )
    artefact = with_card(kept_model(read_only, "grain"), encoder=other)
    with pytest.raises(ModelError, match=r"model grain@1: no weights at /absent\.safetensors"):
        predict(artefact, [image[0]], pixel_size_um=0.5)


def test_features_of_a_store_are_not_made_up_for_files(read_only, image):
    artefact = kept_model(read_only, "grain")
    columns = ["image_quality.brightness_mean", "micrographs.width_px"]
    wide = {"name": "wide", "entity": "micrograph", "features": [{"columns": columns}]}
    features = artefact.card.features.model_copy(
        update={"reference": "wide@1", "definitions": {"wide@1": wide}}
    )
    with pytest.raises(ModelError, match=r"needs micrographs\.width_px, which an image"):
        predict(with_card(artefact, features=features), [image[0]], pixel_size_um=0.5)


def test_derived_features_and_included_sets_are_made_for_files_too(plates, image):
    register_feature_set(
        plates,
        make_feature_set(
            {
                "name": "ratio",
                "entity": "micrograph",
                "include": ["quality"],
                "derived": {"relative_contrast": "contrast_std / brightness_mean"},
            }
        ),
        author="test",
    )
    train_model(plates, model(GRAIN, feature_set="ratio"), author="test")
    artefact = kept_model(plates, "grain")
    quality = image_quality(image[1])
    raw = [getattr(quality, name) for name in FEATURES]
    raw.append(quality.contrast_std / quality.brightness_mean)
    expected = artefact.fitted().predict(np.array([raw])).number[0]
    found = predict(artefact, [image[0]], pixel_size_um=0.5)[0]
    assert np.log10(found["value"]) == pytest.approx(expected, rel=1e-9)


def test_specimens_can_be_asked_about_where_a_model_is_of_specimens(plates, image):
    columns = ["image_quality.brightness_mean", "image_quality.contrast_std"]
    definition = {"name": "plate", "entity": "sample", "features": [{"columns": columns}]}
    register_feature_set(plates, make_feature_set(definition), author="test")
    train_model(plates, model(GRAIN, feature_set="plate"), author="test")
    artefact = kept_model(plates, "grain")
    assert artefact.card.pixel_size is None
    assert predict(artefact, [key(4)], store=plates)[0]["value"] > 0
    with pytest.raises(ModelError, match="features of a sample"):
        predict(artefact, [image[0]], store=plates)


def test_what_is_neither_id_nor_file_is_said(read_only, tmp_path):
    artefact = kept_model(read_only, "grain")
    with pytest.raises(ModelError, match="is no micrograph_id of the store, nor a file"):
        predict(artefact, ["0123456789abcdef"], store=read_only)
    with pytest.raises(GraindexError, match="neither a micrograph_id"):
        predict(artefact, [str(tmp_path / "absent.png")], pixel_size_um=0.5)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(OriginalError, match=r"text\.png"):
        predict(artefact, [str(tmp_path / "text.png")], pixel_size_um=0.5)


def test_a_number_beyond_the_training_is_marked(read_only, tmp_path):
    dark = np.random.default_rng(2).normal(20, 3, (64, 64)).clip(0, 255).astype(np.uint8)
    Image.fromarray(dark).save(tmp_path / "dark.png")
    artefact = kept_model(read_only, "grain")
    found = predict(artefact, [str(tmp_path / "dark.png")], pixel_size_um=0.5)[0]
    assert found["note"].startswith("beyond the labels of the training")
    known = predict(artefact, [key(image_name(0, 0))], store=read_only)[0]
    assert found["std"] > 2 * known["std"]
    json.dumps(found)


def test_other_pixel_sizes_are_taken_where_that_is_asked_for_with_a_note(read_only, image):
    artefact = kept_model(read_only, "grain")
    asked = {"pixel_size_um": 5.0, "any_pixel_size": True}
    (told,) = predict(artefact, [image[0]], **asked)
    assert told["note"].startswith("5 µm a pixel, and model grain@1 was made for 0.5 to 0.5 µm")
    (fits,) = predict(artefact, [image[0]], pixel_size_um=0.5, any_pixel_size=True)
    assert "was made for" not in (fits["note"] or "")
    assert told["value"] == fits["value"]
