import hashlib
import re

import pytest

from graindex.errors import InputError, QueryError
from graindex.lineage.kinds import KINDS, Node
from graindex.lineage.names import node_of
from graindex.lineage.reading import LineageReading
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.lineage.conftest import SIZES, STATES, A, B, particle
from tests.graindex.rows import key, micrograph, micrographs

COUNTED = re.compile(r"… ([\d,]+) more")


def content(name):
    return hashlib.sha256(name.encode()).hexdigest()


def reached(found):
    return {(row["kind"], row["id"]) for row in found.nodes.to_pylist()}


@pytest.fixture(scope="module")
def reading(chain):
    with LineageReading(chain, data_at=None, registered_at=None) as opened:
        yield opened


@pytest.fixture(scope="module")
def all_edges(chain):
    return chain.table("SELECT * FROM lineage_edges").to_pylist()


def brute_force(edges, start, *, forward):
    """Everything that single-step rows of the view lead to, searched in plain Python."""
    near, far = ("upstream", "downstream") if forward else ("downstream", "upstream")
    seen, todo = set(), [start]
    while todo:
        here = todo.pop()
        for edge in edges:
            if (edge[f"{near}_kind"], edge[f"{near}_id"]) == here:
                there = (edge[f"{far}_kind"], edge[f"{far}_id"])
                if there not in seen:
                    seen.add(there)
                    todo.append(there)
    return seen - {start}


def test_prediction_reaches_the_contents_of_the_files_it_was_learned_from(chain):
    found = chain.lineage(f"sizes@1:{key('a1')}")
    assert found.ids("file") == sorted([content("a1"), content("b1")])
    assert found.ids("particle") == sorted(
        particle(image, number) for image in ("a1", "b1") for number in (1, 2)
    )
    assert found.ids("model") == ["sizes@1"]
    assert found.ids("training_set") == [SIZES[1]]
    assert "particles_2d.area_um2" in found.ids("column")
    assert "micrographs.pixel_size_um" in found.ids("column")
    assert not {"quality", "vector", "volume"} & set(found.counts)


def test_rows_lead_to_what_their_features_read_and_to_labels_known_then(chain):
    found = chain.lineage("states")
    assert found.ids("vector") == found.ids("quality") == sorted([key("a1"), key("a2")])
    assert found.ids("label") == sorted([key("early"), key("of s1")])
    assert "particle" not in found.counts
    # The label of the other model is a column of its specimens.
    assert "samples.grain_um" in chain.lineage("sizes").ids("column")


def test_forward_of_an_image_is_what_its_tables_name(chain):
    """The list is written down by hand from what the home was filled with."""
    image, sets = key("a1"), {SIZES[1]: "sizes", STATES[1]: "states"}
    expected = {("quality", image), ("vector", image), ("mask", image), ("annotation", image)}
    expected |= {("particle", particle("a1", number)) for number in (1, 2)}
    expected |= {("statistics", key("s1")), ("duplicate_pair", f"{image}~{key('b1')}")}
    expected |= {("label", key("early"))}
    for training_set, model in sets.items():
        expected |= {("training_row", f"{training_set}:{image}"), ("training_set", training_set)}
        expected |= {("model", f"{model}@1"), ("metric", f"{model}@1:train/all/r2")}
    expected |= {("prediction", f"sizes@1:{key(name)}") for name in ("a1", "b1")}
    expected |= {("prediction", f"states@1:{key(name)}") for name in ("a1", "a2")}
    # The label of the specimen is not of the image, and that of the pair's other end neither.
    assert reached(chain.lineage(image, forward=True)) == expected


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("micrograph", key("a2")),
        ("particle", particle("v", 1)),
        ("volume", key("v")),
        ("sample", key("s1")),
        ("file", "2" * 64),
        ("file", "4" * 64),
        ("column", "datasets.declared_pixel_size_um"),
        ("statistics", key("v")),
    ],
)
def test_walk_finds_what_a_plain_search_finds(chain, all_edges, kind, name, forward):
    asked = f"{kind}={name}" if kind == "statistics" else name
    found = chain.lineage(asked, forward=forward)
    assert (found.start.kind, found.start.id) == (kind, name)
    assert reached(found) == brute_force(all_edges, (kind, name), forward=forward)


def test_calibration_of_a_collection_breaks_the_models_that_saw_it(chain):
    column = "datasets.declared_pixel_size_um"
    found = chain.lineage(column, forward=True)
    assert found.ids("model") == ["sizes@1"]  # vectors and noise are of pixels, not of micrometres
    assert "grains@1:particles_2d_area_um2" in found.ids("feature")
    assert chain.lineage(column, forward=True, datasets=[B]).ids("model") == ["sizes@1"]
    assert chain.lineage(column, forward=True, datasets=["tomograms"]).ids("model") == []


def test_every_name_is_understood(reading):
    told = {
        "sizes": ("model", "sizes@1"),
        "looks@1": ("feature_set", "looks@1"),
        SIZES[1]: ("training_set", SIZES[1]),
        f"{SIZES[1]}:{key('b1')}": ("training_row", f"{SIZES[1]}:{key('b1')}"),
        "grains@1:particles_2d_area_um2": ("feature", "grains@1:particles_2d_area_um2"),
        "samples.grain_um": ("column", "samples.grain_um"),
        "/images/a1.tif": ("file", content("a1")),
        "b1.tif": ("file", content("b1")),
        content("a2"): ("file", content("a2")),
        "/v/grey.tif": ("file", "1" * 64),
        f"/drawn/{A}.json": ("file", "4" * 64),
        key("early"): ("label", key("early")),
        f"vector={key('a1')}": ("vector", key("a1")),
    }
    for name, node in told.items():
        assert node_of(reading, name) == Node(*node)


@pytest.mark.parametrize(
    "name", ["nobody", "sizes@7", "0" * 16, "micrographs.colour", "x'; DROP TABLE y", "", "a.b.c"]
)
def test_unknown_names_are_refused_in_one_line(reading, name):
    with pytest.raises(QueryError, match="see graindex models") as told:
        node_of(reading, name)
    assert "\n" not in str(told.value)


def test_unknown_snapshot_is_refused(chain):
    with pytest.raises(QueryError, match="newest is"):
        chain.lineage("sizes", as_of=9999)


def test_model_is_traced_in_the_state_that_it_was_trained_on(own_chain):
    before = reached(own_chain.lineage("sizes"))
    changed = from_records(TABLES["micrographs"], [micrograph(A, "a1", content_hash="f" * 64)])
    own_chain.lake.replace({"micrographs": changed}, A, author="t", message="other bytes")
    found = own_chain.lineage("sizes")
    assert reached(found) == before
    assert content("a1") in found.ids("file")
    assert "f" * 64 in own_chain.lineage("sizes", as_of=own_chain.snapshot()).ids("file")


def test_before_anything_was_registered_nothing_rests_on_an_image(own_chain):
    first = own_chain.lineage(key("a1"), forward=True, as_of=2)
    assert set(first.counts) == {
        "quality", "vector", "mask", "annotation", "particle", "statistics",
    }  # fmt: skip


def test_empty_home_answers(store):
    assert store.lineage("micrographs.pixel_size_um").ids("column") == [
        "datasets.declared_pixel_size_um"
    ]
    edges = store.table("SELECT * FROM lineage_edges WHERE downstream_kind <> 'column'")
    assert edges.num_rows == 0


def test_tree_shows_the_first_of_many_and_counts_the_rest(own_chain):
    names = [f"many {number}" for number in range(1500)]
    images = {"micrographs": micrographs("many", names)}
    own_chain.lake.replace(images, "many", author="t", message="m")
    lines = own_chain.lineage("dataset=many", forward=True).tree().splitlines()
    assert lines[0] == "dataset many"
    assert sum("micrograph " in line for line in lines) == 3
    assert COUNTED.search(lines[-1]).group(1) == "1,497"


def test_tree_counts_every_thing_once_at_each_place(chain):
    tree = chain.lineage("states").tree()
    assert tree.splitlines()[0].startswith("model states@1")
    assert f"file {content('a1')}  /images/a1.tif" in tree
    assert "(see above)" in tree


def test_kinds_stand_after_those_they_come_from(all_edges):
    order = list(KINDS)
    for down, up in {(edge["downstream_kind"], edge["upstream_kind"]) for edge in all_edges}:
        assert down == up or order.index(up) < order.index(down)


def test_picture_is_the_same_for_the_same_lineage(chain, tmp_path):
    found = chain.lineage("sizes")
    for suffix, start in ((".svg", b"<?xml"), (".png", b"\x89PNG")):
        for number in (1, 2):
            found.draw(tmp_path / f"{number}{suffix}")
        first = (tmp_path / f"1{suffix}").read_bytes()
        assert first.startswith(start)
        assert first == (tmp_path / f"2{suffix}").read_bytes()
    with pytest.raises(InputError, match=r"\.svg or \.png"):
        found.draw(tmp_path / "x.gif")
