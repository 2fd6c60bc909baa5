"""Segmentations beside annotations: right numbers, each method once, only what changed anew."""

import json

import numpy as np
import pytest

from graindex.freshness import out_of_date
from graindex.image_particles import refresh_masks_2d
from graindex.segmentation import make_options
from graindex.segmentation_scores import refresh_scores, side_by_side
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.annotated_collection import SHAPE, catalogued_images, copied_images

BRIGHT = {"method": "watershed", "threshold": 128.0, "polarity": "bright"}


def squares(*corners):
    labels = np.zeros(SHAPE, np.uint16)
    for number, (y, x) in enumerate(corners, start=1):
        labels[y : y + 10, x : x + 10] = number
    return labels


TRUTH = squares((5, 5), (5, 25), (30, 5))


@pytest.fixture(scope="module")
def catalogued(tmp_path_factory, empty_home):
    place = tmp_path_factory.mktemp("catalogued")
    catalogued_images(place, empty_home)
    return place


@pytest.fixture
def scored(tmp_path, catalogued):
    """Image a is annotated; the collection's masks of it are put in by hand."""
    made = copied_images(tmp_path, catalogued)
    made.mask("a.png", TRUTH)
    made.register()
    made.refresh()
    return made


def masks(made, labels):
    """Let the collection's own method have found these labels."""
    from graindex.label_images import encode_labels

    refresh_masks_2d(made.store, made.recipe, author="test")
    rows = made.store.read("particle_masks_2d", "d").to_pylist()
    address = made.store.files.put(encode_labels(labels))
    rows = [{**row, "mask": address, "particle_count": int(labels.max())} for row in rows]
    table = from_records(TABLES["particle_masks_2d"], rows)
    made.store.lake.replace({"particle_masks_2d": table}, "d", author="test", message="masks")


def of_collection(made):
    rows = made.store.read("segmentation_scores", "d").to_pylist()
    (row,) = (row for row in rows if row["of_collection"])
    return row


def test_the_measures_are_those_of_squares_that_are_known(scored):
    found = squares((5, 5), (5, 28), (45, 60))  # one right, one moved by 3 of 10, one spurious
    masks(scored, found)
    refresh_scores(scored.store, scored.recipe, author="test")
    row = of_collection(scored)
    assert (row["true_particles"], row["predicted_particles"]) == (3, 3)
    assert (row["true_positives_50"], row["false_positives_50"], row["false_negatives_50"]) == (
        (2, 1, 1)
    )
    assert (row["true_positives_75"], row["f1_75"]) == (1, pytest.approx(1 / 3))
    assert row["mean_matched_iou_50"] == pytest.approx((1 + 70 / 130) / 2)
    assert row["pixel_sensitivity"] == pytest.approx(170 / 300)
    assert row["pixel_precision"] == pytest.approx(170 / 300)
    assert row["d50_error"] == pytest.approx(0)
    assert scored.store.files.has(row["overlay"])


def test_each_segmentation_stands_once_and_beside_the_others(scored):
    refresh_masks_2d(scored.store, scored.recipe, author="test")
    refresh_scores(scored.store, scored.recipe, author="test")
    rows = scored.store.read("segmentation_scores", "d").to_pylist()
    names = {row["segmentation"]: row["of_collection"] for row in rows}
    assert names == {
        "mask-rcnn": True,
        "star-convex": False,
        "watershed": False,
    }
    table = side_by_side(scored.store, "d").to_pylist()
    assert {row["segmentation"] for row in table} == names.keys()
    assert {(row["images"], row["particles"]) for row in table} == {(1, 3)}


def test_own_options_are_told_from_the_defaults(scored):
    made = scored
    options = make_options(BRIGHT, "micrographs")
    recipe = made.recipe.model_copy(update={"segmentation": options})
    refresh_masks_2d(made.store, recipe, author="test")
    refresh_scores(made.store, recipe, author="test")
    rows = made.store.read("segmentation_scores", "d").to_pylist()
    assert {row["segmentation"] for row in rows} == {
        "watershed, collection",
        "watershed",
        "mask-rcnn",
        "star-convex",
    }
    (own,) = (row for row in rows if row["of_collection"])
    assert json.loads(own["segmentation_settings"])["threshold"] == 128.0


def test_only_what_changed_is_compared_again(scored):
    refresh_masks_2d(scored.store, scored.recipe, author="test")
    assert refresh_scores(scored.store, scored.recipe, author="test").computed == 3
    again = refresh_scores(scored.store, scored.recipe, author="test")
    assert (again.computed, again.kept) == (0, 3)
    assert not out_of_date(scored.store, "segmentation_scores", scored.recipe)
    scored.mask("b.png", TRUTH)
    scored.refresh()
    assert len(out_of_date(scored.store, "segmentation_scores", scored.recipe)) == 3
    more = refresh_scores(scored.store, scored.recipe, author="test")
    assert (more.computed, more.kept, more.rows) == (3, 3, 6)
    (scored.masks / "a.png").unlink()
    scored.refresh()
    less = refresh_scores(scored.store, scored.recipe, author="test")
    assert (less.computed, less.kept, less.dropped) == (0, 3, 3)


def test_without_annotations_there_is_an_empty_table(tmp_path, catalogued):
    made = copied_images(tmp_path, catalogued)
    refresh_masks_2d(made.store, made.recipe, author="test")
    outcome = refresh_scores(made.store, made.recipe, author="test")
    assert (outcome.rows, outcome.refused) == (0, {})
    assert made.store.read("segmentation_scores", "d").num_rows == 0


def test_an_image_with_nothing_in_it_scores_as_it_should(scored):
    masks(scored, np.zeros(SHAPE, np.uint16))
    refresh_scores(scored.store, scored.recipe, author="test")
    row = of_collection(scored)
    assert (row["predicted_particles"], row["f1_50"], row["d50_error"]) == (0, 0, -1)
    assert row["mean_matched_iou_50"] is None
