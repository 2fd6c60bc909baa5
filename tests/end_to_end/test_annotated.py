"""Annotated images from the command line: registered, drawn, checked, and wrong ones named."""

import json

import numpy as np
import pytest
from PIL import Image

from graindex.store import open_store
from tests.end_to_end.commands import phantom
from tests.end_to_end.commands import run_here as graindex

SELECTED = ("--select", "+key:particle_annotations")


@pytest.fixture
def annotated(tmp_path):
    """Two images, of which one is annotated; and a mask of an image that is not there."""
    for seed, name in enumerate(("a", "b")):
        phantom(tmp_path / "images" / f"{name}.png", seed, databar=False)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((192, 192), np.uint16)
    mask[20:60, 20:60], mask[80:90, 80:90] = 1, 2
    for name in ("a", "c"):
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    return tmp_path


def test_from_masks_to_rows_and_back_to_the_file(annotated, new_home):
    home = new_home()
    where = (annotated / "images", "--dataset", "d", "--masks", annotated / "masks")
    added = graindex("add", *where, "--class", "grain", home=home)
    assert "annotations of 1 of 2 images" in added.err and "'c.png'" in added.err
    done = graindex("materialize", "--dataset", "d", *SELECTED, "--format", "json", home=home)
    (summary,) = (row for row in done.rows if row["asset"] == "particle_annotations")
    assert (done.code, summary["rows"], summary["refused"]) == (0, 1, 1)
    (row,) = open_store(home).read("particle_annotations").to_pylist()
    assert (row["annotation"], row["annotation_classes"]) == ("a.png", '{"grain": [1, 2]}')
    check = graindex("check", "--dataset", "d", "--format", "json", home=home)
    assert "annotations_of_images" in check.out and "images_annotated" in check.out
    found = graindex("lineage", f"annotation={row['micrograph_id']}", "--format", "json", home=home)
    assert row["annotation_hash"] in found.out


def test_wrong_annotations_are_one_line(annotated, new_home):
    home = new_home()
    empty = annotated / "empty.json"
    empty.write_text(json.dumps({"images": [], "annotations": []}))
    where = ("add", annotated / "images", "--dataset", "d")
    for masks, says in (
        (empty, "holds no annotation"),
        (annotated / "gone", "is not there"),
        (annotated / "images", "lie in one another"),
    ):
        assert says in graindex(*where, "--masks", masks, home=home).error
    assert "name them by --masks" in graindex(*where, "--class", "grain", home=home).error


def test_a_file_that_was_damaged_later_is_named_and_its_rows_stay(annotated, new_home):
    home = new_home()
    corners = [20, 20, 60, 20, 60, 60, 20, 60]
    text = json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [{"id": 1, "image_id": 1, "segmentation": [corners]}],
        }
    )
    file = annotated / "coco.json"
    file.write_text(text)
    graindex("add", annotated / "images", "--dataset", "d", "--masks", file, home=home)
    assert graindex("materialize", "--dataset", "d", *SELECTED, home=home).code == 0
    file.write_text(text[:-20])
    again = graindex("materialize", "--select", "key:particle_annotations", home=home)
    assert again.code == 1
    assert f"failed: d: particle_annotations: {file} is not JSON" in again.err
    assert open_store(home).read("particle_annotations").num_rows == 1
