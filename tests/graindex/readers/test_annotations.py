"""COCO and VIA files: known shapes cover known pixels, and what is wrong is said of its image."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graindex.errors import AnnotationError
from graindex.readers.annotations import read_annotations
from graindex.readers.annotations_coco import unpacked_counts
from graindex.readers.annotations_drawing import draw_regions
from graindex.readers.annotations_shapes import Ellipse, Polygons, Region, RunLengths, draw

FRAME = (40, 60)
SQUARE = [[10.0, 5, 20, 5, 20, 15, 10, 15]]


def coco(annotations, images=None, categories=None):
    document = {
        "images": images or [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "annotations": [{"image_id": 1, "category_id": 1, **one} for one in annotations],
        "categories": categories or [{"id": 1, "name": "particle"}, {"id": 2, "name": "crack"}],
    }
    return json.dumps(document).encode()


def via(regions, project=False):
    entries = {"a.png123": {"filename": "a.png", "size": 123, "regions": regions}}
    return json.dumps({"_via_img_metadata": entries} if project else entries).encode()


def shape(name, **numbers):
    return {"shape_attributes": {"name": name, **numbers}, "region_attributes": {}}


def pixels(region, frame=FRAME):
    mask = np.zeros(frame, bool)
    drawn = draw(region, frame)
    rows, columns = drawn.inside.shape
    mask[drawn.y0 : drawn.y0 + rows, drawn.x0 : drawn.x0 + columns] = drawn.inside
    return mask


def only(data):
    _, (image,) = read_annotations(data, "file.json")
    return image


def runs_of(mask):
    """Lengths of runs down the columns, background first."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat.astype(int))) + 1
    lengths = np.diff([0, *edges, flat.size]).tolist()
    return [0, *lengths] if flat[0] else lengths


def packed(lengths):
    """Lengths as COCO's compressed text, written after its description."""
    text = ""
    for place, length in enumerate(lengths):
        value = length - lengths[place - 2] if place > 2 else length
        while True:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr(48 + (bits | 0x20 if more else bits))
            if not more:
                break
    return text


def test_a_square_covers_the_pixels_whose_centres_it_holds():
    image = only(coco([{"id": 7, "segmentation": SQUARE}]))
    (region,) = image.regions
    assert (image.name, image.size, region.class_name) == ("a.png", FRAME, "particle")
    wanted = np.zeros(FRAME, bool)
    wanted[5:15, 10:20] = True
    assert np.array_equal(pixels(region), wanted)


def test_outlines_of_one_annotation_are_one_particle():
    parts = [*SQUARE, [30, 5, 40, 5, 40, 15, 30, 15]]
    (region,) = only(coco([{"id": 7, "segmentation": parts}])).regions
    assert pixels(region).sum() == 200


@pytest.mark.parametrize("project", [False, True])
def test_every_shape_of_via_has_its_area(project):
    square = {"all_points_x": [10, 20, 20, 10], "all_points_y": [5, 5, 15, 15]}
    regions = [
        shape("polygon", **square),
        shape("polyline", **square),
        shape("rect", x=10, y=5, width=10, height=10),
        shape("circle", cx=30, cy=20, r=12),
        shape("ellipse", cx=30, cy=20, rx=15, ry=8, theta=0.7),
    ]
    image = only(via(regions, project))
    areas = [int(pixels(region).sum()) for region in image.regions]
    assert areas[:3] == [100, 100, 100]
    assert areas[3] == pytest.approx(math.pi * 12**2, rel=0.02)
    assert areas[4] == pytest.approx(math.pi * 15 * 8, rel=0.02)
    assert only(via({str(n): one for n, one in enumerate(regions)}, project)).regions[0].shape == (
        image.regions[0].shape
    )


def test_an_ellipse_is_turned_from_x_towards_y():
    upright = pixels(Region("a", Ellipse(30, 20, 15, 5, math.pi / 2)))
    assert upright[8, 30] and not upright[20, 42]


@given(
    mask=st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed).random((7, 9)) < 0.4),
    compressed=st.booleans(),
)
def test_run_lengths_come_back_as_the_mask_they_were_made_of(mask, compressed):
    mask[3, 4] = True
    runs = runs_of(mask)
    counts = packed(runs) if compressed else runs
    image = only(
        coco(
            [{"id": 1, "segmentation": {"counts": counts, "size": [7, 9]}}],
            [{"id": 1, "file_name": "a.png"}],
        )
    )
    assert np.array_equal(pixels(image.regions[0], (7, 9)), mask)


def test_compressed_lengths_as_coco_itself_writes_them():
    # of the COCO format's own tools: runs 6, 1, 40, 4, 5, 4, 5, 4, 21
    assert unpacked_counts("61X13mN000`0", "x") == [6, 1, 40, 4, 5, 4, 5, 4, 21]


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        ([], "annotation 7 has no outline"),
        ([[1, 2, 3, 4]], "at least three x, y"),
        ([[1, 2, 3, 4, 5, 6, 7]], "an outline of 7 numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "annotation 7 is not COCO"),
        ([["x"] * 6], "annotation 7 is not COCO"),
        ({"counts": "~~", "size": [40, 60]}, "damaged run lengths"),
        ({"counts": "P", "size": [40, 60]}, "ends too early"),
        ({"counts": [-1, 2], "size": [40, 60]}, "annotation 7 is not COCO"),
    ],
)
def test_a_wrong_outline_is_the_fault_of_its_image_alone(segmentation, says):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    good = {"id": 8, "image_id": 2, "segmentation": SQUARE}
    data = coco([{"id": 7, "segmentation": segmentation}, good], images)
    _, (bad, other) = read_annotations(data, "file.json")
    assert says in bad.fault and "\n" not in bad.fault
    assert (other.fault, len(other.regions)) == ("", 1)


@pytest.mark.parametrize(
    ("region", "says"),
    [
        (Region("annotation 7", Polygons((((1, 1), (5, 5), (9, 9)),))), "has no area"),
        (Region("annotation 7", Polygons((((1, 1), (1.1, 1), (1, 1.1)),))), "has no area"),
        (Region("annotation 7", Ellipse(5, 5, 0, 3)), "has no area"),
        (Region("annotation 7", Polygons((((1, 1), (90, 1), (9, 9)),))), "another size"),
        (
            Region("annotation 7", RunLengths((20,), (4, 5))),
            "mask of 5 x 4 pixels, the image of 60",
        ),
        (Region("annotation 7", RunLengths((20,), FRAME)), "runs of 20 pixels, the image has 2400"),
        (Region("annotation 7", RunLengths((2400,), FRAME)), "has no area"),
    ],
)
def test_what_cannot_be_drawn_is_said(region, says):
    with pytest.raises(AnnotationError, match=says) as caught:
        draw(region, FRAME)
    assert str(caught.value).startswith("annotation 7 ")


def test_a_hand_that_slips_over_the_edge_is_cut_there():
    region = Region("a", Polygons((((-1.5, -1.5), (10, -1.5), (10, 10), (-1.5, 10)),)))
    assert pixels(region).sum() == 100


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1, 2]", "neither COCO"),
        (b'{"shapes": []}', "neither COCO"),
        (coco([]), "holds no annotation: 1 images are named"),
        (via([]), "holds no annotation"),
        (b"{}", "holds no annotation"),
        (b'{"images": 3, "annotations": []}', "is not COCO"),
        (b'{"images": [], "annotations": [{"id": 1}]}', "states no image_id"),
        (coco([], categories=[{"id": 1, "name": n} for n in "ab"]), "an id is listed twice in"),
        (b'{"x": {"filename": "a\\ud800", "regions": []}}', "no file name that can be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(data, says):
    with pytest.raises(AnnotationError, match=says) as caught:
        read_annotations(data, "file.json")
    assert "file.json" in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_images_categories_and_repeated_names_are_faults():
    _, found = read_annotations(coco([{"id": 3, "image_id": 9, "segmentation": SQUARE}]), "f")
    assert "image_id 9, which `images` does not list" in found[1].fault
    image = only(coco([{"id": 3, "category_id": 5, "segmentation": SQUARE}]))
    assert "category 5, which `categories` does not list" in image.fault
    twice = [{"id": n, "file_name": "a.png"} for n in (1, 2)]
    _, found = read_annotations(coco([{"id": 3, "segmentation": SQUARE}], twice), "f")
    assert {image.fault for image in found} == {"'a.png' is listed 2 times in `images`"}
    same = [{"id": 1, "file_name": name} for name in ("a.png", "b.png")]
    _, found = read_annotations(coco([{"id": 3, "segmentation": SQUARE}], same), "f")
    assert {image.fault for image in found} == {"2 entries of `images` have the id 1"}


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({}, ""),
        ({"what": "crack"}, "crack"),
        ({"quality": "good", "class": "crack"}, "crack"),
        ({"what": {"crack": True, "pore": False}}, "crack"),
    ],
)
def test_the_class_of_a_region_of_via(attributes, wanted):
    circle = {**shape("circle", cx=9, cy=9, r=4), "region_attributes": attributes}
    assert only(via([circle])).regions[0].class_name == wanted


def test_what_a_region_of_via_cannot_be():
    circle = shape("circle", cx=9, cy=9, r=4)
    for region, says in (
        (shape("point", cx=1, cy=2), "region 0 has no area, it is a point"),
        (shape("blob"), "region 0 is no shape of VIA"),
        (shape("polygon", all_points_x=[1, 2, 3], all_points_y=[1]), "3 x and 1 y"),
        ({}, "no outline"),
        ({**circle, "region_attributes": {"a": "x", "b": "y"}}, "call the one"),
        ({**circle, "region_attributes": {"a": {"x": True, "y": True}}}, "several classes: x, y"),
    ):
        assert says in only(via([region])).fault


def test_the_digest_changes_with_the_image_it_is_of_and_no_other():
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    one, two = ({"id": n, "image_id": n, "segmentation": SQUARE} for n in (1, 2))
    moved = {**two, "segmentation": [[v + 1 for v in SQUARE[0]]]}
    _, before = read_annotations(coco([one, two], images), "f")
    _, after = read_annotations(coco([one, moved], images), "f")
    same = [a.digest == b.digest for a, b in zip(before, after, strict=True)]
    assert same == [True, False]


def square(name, x, y, side=10):
    corners = ((x, y), (x + side, y), (x + side, y + side), (x, y + side))
    return Region(name, Polygons((corners,)))


def test_small_overlaps_go_to_the_smaller_particle_and_are_counted():
    regions = [square("large", 5, 5, 20), square("small", 24, 5)]
    found = draw_regions(regions, ["p", "c"], FRAME, max_overlap=0.1)
    assert (found.labels[5:15, 24] == 2).all()
    assert [(found.labels == n).sum() for n in (1, 2)] == [390, 100]
    assert (found.overlap_px, found.largest_overlap) == (10, 0.1)
    assert found.classes == {"p": (1,), "c": (2,)}


@given(st.lists(st.tuples(st.integers(0, 49), st.integers(0, 29)), min_size=1, max_size=8))
def test_the_worst_overlap_is_that_of_the_worst_pair(corners):
    regions = [square(f"annotation {n}", *corner) for n, corner in enumerate(corners)]
    pairs = [
        max(10 - abs(a[0] - b[0]), 0) * max(10 - abs(a[1] - b[1]), 0) / 100
        for n, a in enumerate(corners)
        for b in corners[:n]
    ]
    worst = max(pairs, default=0)
    classes = ["p"] * len(regions)
    if worst > 0.3:
        with pytest.raises(AnnotationError, match="overlap by"):
            draw_regions(regions, classes, FRAME, max_overlap=0.3)
    else:
        found = draw_regions(regions, classes, FRAME, max_overlap=0.3)
        assert found.largest_overlap == worst
        assert set(np.unique(found.labels)) - {0} == set(range(1, len(regions) + 1))


def test_a_particle_that_others_cover_is_refused():
    with pytest.raises(AnnotationError, match="a and b overlap by 100"):
        draw_regions([square("a", 5, 5), square("b", 5, 5)], ["p", "p"], FRAME, max_overlap=0.5)
    with pytest.raises(AnnotationError, match="a is covered whole by others"):
        draw_regions([square("a", 5, 5), square("b", 5, 5)], ["p", "p"], FRAME, max_overlap=1)


def test_no_regions_are_an_empty_label_image():
    found = draw_regions([], [], FRAME, max_overlap=0.1)
    assert (found.labels.shape, found.labels.dtype, found.classes) == (FRAME, np.int32, {})
