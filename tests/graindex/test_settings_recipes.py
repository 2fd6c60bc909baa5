from datetime import UTC, datetime

import pytest

from graindex.errors import CollectionError, HomeError
from graindex.recipes import load_recipe, make_recipe, recipe_names, save_recipe
from graindex.settings import EncoderSettings, Settings, load_settings, save_settings


def test_settings_are_defaults_until_a_file_says_otherwise(location):
    assert load_settings(location) == Settings()
    wanted = Settings(encoder=EncoderSettings(precision="bfloat16", weights="/w/한글.safetensors"))
    save_settings(location, wanted)
    assert load_settings(location) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("encoder: {colour: red}", "encoder.colour"),
        ("readers: {max_megapixels: -1}", "readers.max_megapixels"),
        ("encoder: {precision: float64}", "encoder.precision"),
        ("encoder: [", "is not YAML"),
        ("- a\n- b", "valid dictionary"),
        ("\x00", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_wrong_settings_are_one_line_that_names_the_file(location, text, says):
    (location.folder / "graindex.yaml").write_text(text)
    with pytest.raises(HomeError, match=says) as caught:
        load_settings(location)
    assert "graindex.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing", "encoder: {}"])
def test_what_a_file_leaves_out_is_default(location, text):
    (location.folder / "graindex.yaml").write_text(text)
    assert load_settings(location) == Settings()


def test_a_recipe_comes_back_as_it_went(location):
    recipe = make_recipe(
        dataset="NCM-622.a_1",
        location_uri="/data/한글 'x' %",
        label_pattern=r"^(?P<state>[^/\"']+)/",
        samples_uri="/s.csv",
        declared_pixel_size_um=0.1 + 0.2,
        description="two\nlines: with # signs",
        licence="CC-BY-4.0",
        registered_at=datetime(2026, 11, 21, 1, 2, 3, 456, UTC),
    )
    save_recipe(location, recipe)
    assert load_recipe(location, recipe.dataset) == recipe
    assert recipe_names(location) == [recipe.dataset]


def test_names_are_sorted_and_only_yaml_counts(location):
    assert recipe_names(location) == []
    for name in ("b", "a", "a.yaml"):
        save_recipe(location, make_recipe(dataset=name, location_uri="/x"))
    (location.folder / "datasets" / "notes.txt").write_text("x")
    assert recipe_names(location) == ["a", "a.yaml", "b"]


@pytest.mark.parametrize(
    "fields",
    [
        {"dataset": ""},
        {"dataset": "no blanks"},
        {"dataset": "../up"},
        {"dataset": ".hidden"},
        {"dataset": "a\n"},
        {"dataset": "o'clock"},
        {"dataset": "x" * 65},
        {"label_pattern": "("},
        {"label_pattern": "no groups"},
        {"declared_pixel_size_um": 0},
        {"declared_pixel_size_um": float("nan")},
        {"declared_pixel_size_um": float("inf")},
        {"modality": "AFM"},
        {"kind": "films"},
        {"declared_voxel_size_um": (0.1, 0, 0.1)},
        {"declared_voxel_size_um": (0.1, 0.1, 0.1)},  # of images
        {"declared_pixel_size_um": 0.1, "kind": "volumes"},
        {"colour": "red"},
    ],
)
def test_wrong_fields_are_one_line_that_names_the_field(fields):
    with pytest.raises(CollectionError, match=next(iter(fields))) as caught:
        make_recipe(**{"dataset": "a", "location_uri": "/x", **fields})
    assert "\n" not in str(caught.value)


def test_an_unknown_collection_is_told_with_the_known_ones(location):
    with pytest.raises(CollectionError, match="run graindex add"):
        load_recipe(location, "a")
    save_recipe(location, make_recipe(dataset="b", location_uri="/x"))
    with pytest.raises(CollectionError, match=r"'a' is not registered \(known: b\)"):
        load_recipe(location, "a")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dataset: [", "is not YAML"),
        ("dataset: a", "location_uri"),
        ("", "valid dictionary"),
        (
            "dataset: b\nlocation_uri: /x\nregistered_at: 2026-11-21",
            r"dataset is 'b'; call the file b\.yaml",
        ),
    ],
)
def test_wrong_files_are_one_line_that_names_the_file(location, text, says):
    (location.folder / "datasets").mkdir()
    (location.folder / "datasets" / "a.yaml").write_text(text)
    with pytest.raises(CollectionError, match=says) as caught:
        load_recipe(location, "a")
    assert "a.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
