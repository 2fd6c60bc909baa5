"""Which annotation is of which image, and what registering says of annotations."""

import pytest

from graindex.annotation_settings import AnnotationSettings
from graindex.annotation_sources import annotation_signature, survey
from graindex.annotations import NO_IMAGE
from graindex.catalogue import dataset_input_hash
from graindex.errors import AnnotationError, CollectionError
from graindex.recipes import make_recipe
from graindex.scan import list_collection
from tests.graindex.annotated_collection import SQUARE, labels


def test_names_decide_which_image_is_meant(annotated):
    annotated.mask("other/c.tif", labels(1))
    annotated.mask("a.tif", labels(1))
    annotated.mask("a.png.tif", labels(1))
    annotated.mask("x/a.tif", labels(1))
    annotated.register().refresh()
    assert annotated.rows().keys() == {"sub/c.png"}
    found = annotated.findings()
    assert (
        found["a.tif", NO_IMAGE] == "several annotations are of one image: a.tif, x/a.tif: keep one"
    )
    assert "name it like its image" in found["a.png.tif", NO_IMAGE]


@pytest.mark.parametrize("name", [".", "..", "/", "./", "sub", "\\\\"])
def test_odd_names_are_of_no_image(annotated, name):
    images = [{"id": 0, "file_name": "a.png"}, {"id": 1, "file_name": name}]
    both = [{"id": n, "image_id": n, "segmentation": SQUARE} for n in (0, 1)]
    outcome = annotated.register(annotated.coco(both, images)).refresh()
    assert annotated.rows().keys() == {"a.png"}
    assert outcome.refused.keys() == {name}
    assert "no catalogued image is called like this" in outcome.refused[name]


def test_a_name_of_windows_is_its_path(annotated):
    images = [{"id": 0, "file_name": "sub\\c.png"}]
    annotated.register(
        annotated.coco([{"id": 0, "image_id": 0, "segmentation": SQUARE}], images)
    ).refresh()
    assert annotated.rows().keys() == {"sub/c.png"}


def test_registering_counts_what_fits_and_refuses_what_is_no_annotation(annotated):
    images = str(annotated.place / "images")
    annotated.mask("a.tif", labels(1))
    annotated.mask("z.tif", labels(1))
    lines = survey({"uri": str(annotated.masks)}, images)
    assert lines[0] == "annotations of 1 of 3 images"
    assert lines[1].startswith("1 annotations are of no image, as 'z.tif'")
    assert survey({"uri": None}, images) == []
    (annotated.place / "none").mkdir()
    folder = annotated.place / "folder.json"
    folder.mkdir()
    bad = annotated.place / "bad.json"
    bad.write_text("{")
    for fields, error, says in (
        ({"uri": str(annotated.place / "none")}, CollectionError, "holds no label image"),
        ({"uri": str(annotated.place / "gone.json")}, CollectionError, "is not there"),
        ({"uri": str(bad)}, AnnotationError, "is not JSON"),
        ({"uri": str(folder)}, CollectionError, "folder.json is a folder: name the JSON file"),
        (
            {"uri": str(annotated.masks), "classes": ("a", "b")},
            CollectionError,
            "name no class: declare one by --class, not a, b",
        ),
        ({"classes": ("a", "a")}, CollectionError, "a class is named twice"),
        ({"max_overlap": 2}, CollectionError, "max_overlap"),
    ):
        with pytest.raises(error, match=says):
            survey(fields, images)


def test_annotations_do_not_make_the_catalogue_out_of_date(annotated):
    listing = list_collection(str(annotated.place / "images"))
    annotated.mask("a.tif", labels(1))
    plain = annotated.register().recipe
    other = annotated.register(classes=("grain",)).recipe
    assert dataset_input_hash(plain, listing) == dataset_input_hash(
        other.model_copy(update={"registered_at": plain.registered_at}), listing
    )
    before = annotation_signature(plain.annotations)
    assert before != annotation_signature(other.annotations)
    annotated.mask("b.tif", labels(1))
    assert before != annotation_signature(plain.annotations)
    assert annotation_signature(AnnotationSettings()) == ""


def test_volumes_have_no_annotations():
    with pytest.raises(CollectionError, match="annotations are of images"):
        make_recipe(dataset="v", location_uri="/v", kind="volumes", annotations={"uri": "/v/masks"})
