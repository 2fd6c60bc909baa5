"""Annotated images of a collection: read once, again when they change, refused with a reason."""

import os
import shutil
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from graindex.annotated_images import classes_of, load_annotation
from graindex.annotation_checks import annotations_without_image, images_without_annotation
from graindex.annotation_settings import AnnotationSettings
from graindex.annotations import (
    NO_IMAGE,
    OVERLAP,
    REFUSED,
    inputs_of_annotations,
)
from graindex.catalogue import refresh_micrographs
from graindex.errors import CollectionError
from graindex.recipes import make_recipe, save_recipe
from schemas.arrow import arrow_schema
from schemas.tables import TABLES
from tests.graindex.annotated_collection import NEXT, OVER, SHAPE, SQUARE, Annotated, labels


def test_label_images_are_taken_as_they_are(annotated):
    annotated.mask("a.tif", labels(3, 9))
    annotated.mask("b.tif", labels(1))
    annotated.mask("sub/c.tif", labels(1, 2, 70_000 - 65_535))
    outcome = annotated.register(classes=("grain",)).refresh()
    assert (outcome.rows, outcome.computed, outcome.refused) == (3, 3, {})
    rows = annotated.rows()
    assert {name: row["particle_count"] for name, row in rows.items()} == {
        "a.png": 2, "b.png": 1, "sub/c.png": 3,
    }  # fmt: skip
    row = rows["a.png"]
    assert np.array_equal(load_annotation(annotated.store, row), labels(3, 9))
    assert classes_of(row) == {"grain": [3, 9]}
    assert (row["annotation"], row["annotation_format"]) == ("a.tif", "label_image")
    assert row["particle_fraction"] == pytest.approx(200 / labels().size)
    assert annotated.store.files.get(row["overlay"]).startswith(b"\xff\xd8")
    assert annotated.findings() == {}
    assert images_without_annotation(annotated.store, "d") == []


def test_a_json_file_gives_every_image_its_particles_and_classes(annotated):
    uri = annotated.coco(
        [
            {"id": 1, "image_id": 0, "segmentation": SQUARE},
            {"id": 2, "image_id": 0, "segmentation": NEXT, "category_id": 2},
            {"id": 3, "image_id": 2, "segmentation": SQUARE},
        ]
    )
    outcome = annotated.register(uri).refresh()
    rows = annotated.rows()
    assert classes_of(rows["a.png"]) == {"crack": [2], "particle": [1]}
    assert rows["a.png"]["overlap_px"] == 20
    assert "20 pixels" in annotated.findings()["a.png", OVERLAP]
    assert rows["sub/c.png"]["particle_count"] == 1
    (refused,) = outcome.refused.values()
    assert refused.startswith("b.png in annotations.json: no particle is annotated")
    assert "--allow-empty" in refused
    assert annotated.register(uri, allow_empty=True).refresh().rows == 3
    empty = annotated.rows()["b.png"]
    assert (empty["particle_count"], classes_of(empty)) == (0, {})
    found = load_annotation(annotated.store, empty)
    assert (found.shape, found.dtype, found.max()) == (SHAPE, np.uint16, 0)


def test_what_cannot_be_used_is_refused_and_the_rest_goes_on(annotated):
    annotated.mask("a.tif", labels(1)[:-1])
    annotated.mask("b.tif", labels(1, 2))
    annotated.mask("sub/c.tif", labels())
    annotated.mask("nowhere.tif", labels(1))
    outcome = annotated.register().refresh()
    assert (outcome.rows, len(outcome.refused)) == (1, 3)
    found = annotated.findings()
    assert "the mask is of 80 x 59 pixels, its image of 80 x 60" in found["a.tif", REFUSED]
    assert "no particle is annotated" in found["sub/c.tif", REFUSED]
    assert found["nowhere.tif", NO_IMAGE].startswith("no catalogued image is called like this")
    (missing,) = images_without_annotation(annotated.store, "d")
    assert [detail.split(":")[0] for _, detail in missing.rows] == ["a.png", "sub/c.png"]
    assert "80 x 59" in missing.rows[0][1]
    told = sorted(outcome.refused.values())
    assert told[0].startswith("a.tif: the mask is of 80 x 59 pixels")
    assert told[-1].startswith("sub/c.tif: no particle is annotated")
    (strays,) = annotations_without_image(annotated.store, "d")
    assert [name for name, _ in strays.rows] == ["nowhere.tif"]
    # what was refused and did not change is not out of date for ever
    assert annotated.stale() == 0
    annotated.mask("a.tif", labels(1))
    assert annotated.stale() == 1
    assert annotated.refresh().computed == 1


@pytest.mark.parametrize(
    ("annotations", "settings", "says"),
    [
        ([SQUARE, OVER], {}, "annotation 0 and annotation 1 overlap by 50.0% of the smaller"),
        ([[[1, 1, 5, 5, 9, 9]]], {}, "annotation 0 has no area, it covers"),
        ([[[1, 1, 95, 5, 9, 9]]], {}, "drawn on an image of another size"),
        ([SQUARE], {"classes": ("crack",)}, "annotation 0 is of class 'particle'; declared are cr"),
    ],
)
def test_faults_of_one_image_are_told_in_one_line(annotated, annotations, settings, says):
    bad = [{"id": n, "image_id": 0, "segmentation": one} for n, one in enumerate(annotations)]
    good = {"id": 9, "image_id": 1, "segmentation": SQUARE, "category_id": 2}
    uri = annotated.coco([*bad, good])
    annotated.register(uri, allow_empty=True, **settings).refresh()
    assert annotated.rows().keys() == {"b.png", "sub/c.png"}
    detail = annotated.findings()["a.png", REFUSED]
    assert detail.startswith(says) or says in detail
    assert "\n" not in detail


def test_a_larger_overlap_may_be_allowed(annotated):
    two = [{"id": n, "image_id": 0, "segmentation": one} for n, one in enumerate((SQUARE, OVER))]
    annotated.register(annotated.coco(two), max_overlap=0.5).refresh()
    assert annotated.rows()["a.png"]["overlap_px"] == 200


def test_a_stated_size_is_compared(annotated):
    images = [{"id": 0, "file_name": "a.png", "width": 80, "height": 61}]
    uri = annotated.coco([{"id": 1, "image_id": 0, "segmentation": SQUARE}], images)
    annotated.register(uri).refresh()
    assert "80 x 61 pixels, its image of 80 x 60" in annotated.findings()["a.png", REFUSED]


def test_only_what_changed_is_read_again(annotated):
    for name in ("a.tif", "b.tif"):
        annotated.mask(name, labels(1))
    annotated.register().refresh()
    before = annotated.rows()
    snapshot = annotated.store.lake.snapshot()
    outcome = annotated.refresh()
    assert (outcome.computed, outcome.kept) == (0, 2)
    assert annotated.store.lake.snapshot() == snapshot
    annotated.mask("b.tif", labels(1, 2))
    assert annotated.stale() == 1
    assert (annotated.refresh().computed, annotated.rows()["a.png"]) == (1, before["a.png"])
    assert annotated.rows()["b.png"]["particle_count"] == 2
    os.utime(annotated.masks / "a.tif", (1, 1))  # touched, but of the same bytes
    assert annotated.refresh().computed == 0
    (annotated.masks / "a.tif").unlink()
    assert (annotated.refresh().dropped, annotated.rows().keys()) == (1, {"b.png"})
    annotated.store.files.remove(
        next(
            f for f in annotated.store.files.entries() if f.key == annotated.rows()["b.png"]["mask"]
        ),
        datetime.max.replace(tzinfo=UTC),
    )
    assert annotated.refresh().computed == 1  # its file was gone


def test_one_changed_image_of_a_json_file_costs_that_image(annotated):
    one = {"id": 1, "image_id": 0, "segmentation": SQUARE}
    uri = annotated.coco([one, {"id": 2, "image_id": 1, "segmentation": SQUARE}])
    annotated.register(uri, allow_empty=True).refresh()
    first = annotated.rows()["a.png"]
    annotated.coco([one, {"id": 2, "image_id": 1, "segmentation": OVER}])
    assert annotated.refresh().computed == 1
    row = annotated.rows()["a.png"]
    assert (row["mask"], row["input_hash"]) == (first["mask"], first["input_hash"])
    assert row["annotation_hash"] != first["annotation_hash"]  # of the file as it is now


def test_a_collection_without_annotations_has_no_rows_and_no_line(annotated):
    recipe = make_recipe(dataset="d", location_uri=str(annotated.place / "images"))
    save_recipe(annotated.store.location, recipe)
    snapshot = annotated.store.lake.snapshot()
    assert annotated.refresh().rows == 0
    assert annotated.store.lake.snapshot() == snapshot
    assert not annotated.is_listed()
    assert images_without_annotation(annotated.store, "d") == []
    assert inputs_of_annotations(annotated.store, recipe) == {}
    rows = annotated.store.read("particle_annotations", "d")
    assert rows.schema.names == arrow_schema(TABLES["particle_annotations"]).names


def test_annotations_taken_out_of_the_recipe_take_their_rows_with_them(annotated):
    annotated.mask("a.tif", labels(1))
    annotated.register().refresh()
    recipe = annotated.recipe.model_copy(update={"annotations": AnnotationSettings()})
    save_recipe(annotated.store.location, recipe)
    assert annotated.is_listed()
    assert annotated.stale() == 1
    assert annotated.refresh().dropped == 1
    assert not annotated.is_listed()


def test_annotations_that_are_gone_are_one_line_and_status_still_answers(annotated):
    annotated.mask("a.tif", labels(1))
    annotated.register().refresh()
    shutil.rmtree(annotated.masks)
    with pytest.raises(CollectionError, match="masks is not there"):
        annotated.refresh()
    assert annotated.rows().keys() == {"a.png"}  # what there was stays
    assert annotated.stale() == 1


EMPS = 12


@pytest.mark.real_data
@pytest.mark.parametrize("count", [EMPS, pytest.param(162, marks=pytest.mark.slow)])
def test_hand_drawn_maps_of_published_images(real_data, empty_home, tmp_path, count):
    shutil.copytree(empty_home, tmp_path / "home")
    (tmp_path / "images").mkdir()
    for path in sorted((real_data / "emps" / "images").iterdir())[:count]:
        (tmp_path / "images" / path.name).symlink_to(path)
    made = Annotated(tmp_path).register(real_data / "emps" / "segmaps")
    refresh_micrographs(made.store, made.recipe, author="test")
    outcome = made.refresh()
    rows = made.rows()
    assert (outcome.rows, len(rows)) == (count, count)
    assert len(outcome.refused) == 162 - count  # maps of images that are not in the collection
    for name, row in rows.items():
        drawn = cv2.imread(str(real_data / "emps" / "segmaps" / name), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(load_annotation(made.store, row), drawn)
        assert row["particle_count"] == len(np.unique(drawn)) - 1
