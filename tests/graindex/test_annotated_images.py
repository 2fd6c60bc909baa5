"""Annotated images as a training reads them: known pixels, in a known order, without databar."""

import shutil

import numpy as np
import pytest
from PIL import Image

from graindex.annotated_images import annotated_examples
from graindex.catalogue import refresh_micrographs
from graindex.errors import CollectionError, OriginalError
from graindex.recipes import make_recipe, save_recipe
from models.phantoms.sem import SemPhantom, render
from tests.graindex.annotated_collection import NAMES, SHAPE, Annotated, labels


def test_examples_are_the_pixels_and_labels_in_the_order_of_their_ids(annotated):
    drawn = {"a.png": labels(3, 9), "sub/c.png": labels(7)}
    for name, values in drawn.items():
        annotated.mask(name.replace(".png", ".tif"), values)
    annotated.register().refresh()
    images = {
        row["micrograph_id"]: row for row in annotated.store.read("micrographs", "d").to_pylist()
    }
    found = list(annotated_examples(annotated.store, "d"))
    wanted = sorted(key for key, row in images.items() if row["path"] in drawn)
    assert [one.micrograph_id for one in found] == wanted
    for one in found:
        row = images[one.micrograph_id]
        grey = np.asarray(Image.open(annotated.place / "images" / row["path"]))
        assert np.array_equal(one.content, grey)
        assert np.array_equal(one.labels, drawn[row["path"]])
        assert one.sample_id == row["sample_id"]
    again = list(annotated_examples(annotated.store, "d"))
    assert [one.micrograph_id for one in again] == wanted


def test_an_image_without_particles_is_an_example_of_background(annotated):
    for name in NAMES:
        annotated.mask(name.replace(".png", ".tif"), labels())
    annotated.register(allow_empty=True).refresh()
    found = list(annotated_examples(annotated.store, "d"))
    assert len(found) == len(NAMES)
    assert not any(one.labels.any() for one in found)


def test_the_databar_is_left_out_of_both(empty_home, tmp_path):
    shutil.copytree(empty_home, tmp_path / "home")
    (tmp_path / "images").mkdir()
    grey = render(SemPhantom(databar=True)).image
    Image.fromarray(grey).save(tmp_path / "images" / "bar.png")
    made = Annotated(tmp_path)
    values = np.arange(1, grey.size + 1, dtype=np.uint32).reshape(grey.shape)  # each pixel its own
    made.mask("bar.tif", values)
    made.register()
    refresh_micrographs(made.store, made.recipe, author="test")
    made.refresh()
    (row,) = made.store.read("micrographs", "d").to_pylist()
    y0, x0, y1, x1 = (row[f"content_{edge}_px"] for edge in ("y0", "x0", "y1", "x1"))
    assert 0 < y1 < row["height_px"]
    (one,) = annotated_examples(made.store, "d")
    assert np.array_equal(one.labels, values[y0:y1, x0:x1])
    assert np.array_equal(one.content, grey[y0:y1, x0:x1])


def test_nothing_to_learn_from_is_said_at_once(annotated):
    plain = make_recipe(dataset="d", location_uri=str(annotated.place / "images"))
    save_recipe(annotated.store.location, plain)
    with pytest.raises(CollectionError, match=r"'d' has no annotated image: .*--masks"):
        annotated_examples(annotated.store, "d")
    with pytest.raises(CollectionError, match="nowhere"):
        annotated_examples(annotated.store, "nowhere")


def test_labels_that_are_gone_or_damaged_say_what_to_materialise(annotated):
    annotated.mask("a.tif", labels(1))
    annotated.register().refresh()
    (row,) = annotated.store.read("particle_annotations", "d").to_pylist()
    path = annotated.place / "home" / "files"
    (stored,) = path.rglob(f"{row['mask']}*")
    stored.chmod(0o600)
    stored.write_bytes(b"damaged")
    with pytest.raises(OriginalError, match=r"damaged; delete .* materialise particle_annotations"):
        next(annotated_examples(annotated.store, "d"))
    stored.unlink()
    with pytest.raises(OriginalError, match="gone; materialise particle_annotations again"):
        next(annotated_examples(annotated.store, "d"))


def test_an_image_that_changed_is_not_shown_with_the_labels_of_another(annotated):
    images = annotated.place / "images"
    copy = annotated.place / "copy"
    shutil.copytree(images, copy)
    annotated.mask("a.tif", labels(1))
    recipe = make_recipe(
        dataset="d", location_uri=str(copy), annotations={"uri": str(annotated.masks)}
    )
    save_recipe(annotated.store.location, recipe)
    refresh_micrographs(annotated.store, recipe, author="test")
    annotated.refresh()
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(copy / "a.png")
    with pytest.raises(OriginalError, match="changed since it was catalogued"):
        next(annotated_examples(annotated.store, "d"))
