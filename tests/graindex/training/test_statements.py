"""Statements of labels: what files say, what the store makes of it, and what is refused."""

import re
import shutil
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from graindex.errors import CollectionError
from graindex.recipes import make_recipe, save_recipe
from graindex.store import open_store
from graindex.training.label_files import COLLECTION, LabelError, read_label_file
from graindex.training.statements import import_labels, list_labels, statements_of
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.particle_rows import measured_image, volume, write
from tests.graindex.rows import key, micrograph, samples

SPECIMENS = ("s1", "s2", "s3")
IMAGES = ("s1/one", "s1/two", "s2/one")


@pytest.fixture(scope="module")
def stocked_home(empty_home, tmp_path_factory):
    """A home with specimens, images and particles of a collection `a`, and a volume of `v`."""
    home = tmp_path_factory.mktemp("stocked") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    rows = [micrograph("a", name, sample_id=key(name.split("/")[0])) for name in IMAGES]
    rows.append(micrograph("a", "page two", path="s1/two.tif", page=1))
    store.lake.replace(
        {
            "samples": samples("a", SPECIMENS, {"grade": "good"}),
            "micrographs": from_records(TABLES["micrographs"], rows),
        },
        "a",
        author="test",
        message="test",
    )
    volumes = from_records(TABLES["volumes"], [volume("v", "tomogram", (4, 4, 4), (1, 1, 1))])
    store.lake.replace({"volumes": volumes}, "v", author="test", message="test")
    return home


@pytest.fixture
def stocked(stocked_home, tmp_path):
    shutil.copytree(stocked_home, tmp_path / "stocked")
    return open_store(tmp_path / "stocked")


@pytest.fixture
def put(stocked, tmp_path):
    """Writes a table of labels and imports it."""

    def put(text: str, dataset: str = "a", *, skip_unknown: bool = False, **options):
        file = tmp_path / "labels.csv"
        file.write_text(text, encoding="utf-8")
        read = read_label_file(str(file), **options)
        return import_labels(stocked, dataset, read, author="test", skip_unknown=skip_unknown)

    return put


def stated(store, *labels: str) -> dict[tuple, object]:
    return {
        (row["entity_id"], row["label_name"], row["labeller"], row["measured_at"]): (
            row["label_text"] if row["label_number"] is None else row["label_number"]
        )
        for row in statements_of(store, labels).to_pylist()
    }


def test_wide_and_long_tables_say_the_same(stocked, put):
    put("sample,Porosity (%),grade\ns1,12.5,good\ns2,7,\n")
    wide = stated(stocked, "porosity", "grade")
    assert wide == {
        (key("s1"), "porosity", COLLECTION, None): 12.5,
        (key("s2"), "porosity", COLLECTION, None): 7.0,
        (key("s1"), "grade", COLLECTION, None): "good",
    }
    done = put("sample,label,value\ns1,Porosity (%),12.5\ns2,Porosity (%),7\ns1,grade,good\n")
    assert (done.new, done.changed, done.unchanged) == (0, 0, 3)
    assert stated(stocked, "porosity", "grade") == wide


def test_equal_statements_make_no_snapshot_and_another_value_takes_the_place_of_the_former(
    stocked, put
):
    text = "path,grain_um,labeller,measured_at\ns1/one.tif,{},ann,2026-03-01\n"
    first = put(text.format(3.5))
    before = stocked.snapshot()
    assert put(text.format("3.50")).unchanged == 1
    assert stocked.snapshot() == before
    second = put(text.format(4.5))
    assert (first.new, second.new, second.changed) == (1, 0, 1)
    assert list(stated(stocked, "grain_um").values()) == [4.5]
    was = statements_of(stocked, ("grain_um",), as_of=first.snapshot)
    assert was["label_number"].to_pylist() == [3.5]
    # another labeller and another time are statements of their own
    more = (
        "path,grain_um,labeller,measured_at\none.tif,1,bob,2026-03-01\none.tif,2,ann,2026-03-02\n"
    )
    with pytest.raises(LabelError, match=r"no micrograph of a: 'one.tif'"):
        put(more)  # two images are called so
    assert put(more.replace("one.tif", "s1/one.tif")).new == 2
    assert len(stated(stocked, "grain_um")) == 3


@pytest.mark.parametrize(
    ("column", "name", "kind", "ids"),
    [
        ("file", "s1\\one.tif", "micrograph", [key("s1/one")]),
        ("image", "two.tif", "micrograph", [key("s1/two"), key("page two")]),
        ("micrograph_id", key("s2/one"), "micrograph", [key("s2/one")]),
        ("sample_id", key("s3"), "sample", [key("s3")]),
        ("sample", "s3", "sample", [key("s3")]),
    ],
)
def test_rows_are_named_as_people_name_them(stocked, put, column, name, kind, ids):
    assert put(f"{column},x\n{name},1\n").kind == kind
    assert sorted(entity for entity, *_ in stated(stocked, "x")) == sorted(ids)


def test_volumes_and_particles_can_be_labelled(stocked, put):
    assert put("path,cracked\ntomogram.tif,yes\n", "v").kind == "volume"
    assert list(stated(stocked, "cracked")) == [(key("tomogram"), "cracked", COLLECTION, None)]
    image = np.zeros((20, 20), np.int32)
    image[2:8, 2:8], image[11:18, 11:18] = 1, 2
    write(stocked, "p", measured_image("p", "discs", image, 0.1))
    particles = stocked.read("particles_2d", "p")["particle_id"].to_pylist()
    done = put("particle_id,cracked\n" + "".join(f"{p},no\n" for p in particles), "p")
    assert (done.kind, done.new) == ("particle", 2)


def test_times_are_instants_and_a_date_is_its_first_moment(stocked, put):
    put(
        "sample,x,measured_at\ns1,1,2026-07-01\ns2,1,2026-07-01T10:00\ns3,1,2026-07-01T10:00+09:00\n",
        zone="Europe/Berlin",
    )
    times = {entity: when for entity, _, _, when in stated(stocked, "x")}
    assert times == {
        key("s1"): datetime(2026, 6, 30, 22, tzinfo=UTC),
        key("s2"): datetime(2026, 7, 1, 8, tzinfo=UTC),
        key("s3"): datetime(2026, 7, 1, 1, tzinfo=UTC),
    }


def test_one_label_can_be_taken_or_named(stocked, put):
    assert put("sample,x,y\ns1,1,2\n", label="y").labels == ("y",)
    assert put("sample,label\ns1,rough\n", label="surface").labels == ("surface",)
    assert put("sample,value\ns1,3\n", label="Roughness").labels == ("roughness",)
    assert put("sample,label,value\ns1,x,1\ns1,z,2\n", label="z").labels == ("z",)
    assert stated(stocked, "x") == {}


def test_a_label_holds_numbers_only_while_all_its_values_are(stocked, put):
    put("sample,x\ns1,1e-3\ns2,unknown\n")
    assert set(stated(stocked, "x").values()) == {"1e-3", "unknown"}
    put("sample,x\ns1,2e-3\n")
    assert set(stated(stocked, "x").values()) == {"2e-3", "unknown"}
    put("sample,x\ns1,2e-3\ns2,5\n")
    assert set(stated(stocked, "x").values()) == {2e-3, 5.0}
    with pytest.raises(LabelError, match="line 2: x is 'none' here and a number elsewhere"):
        put("sample,x\ns3,none\n")


def test_what_is_not_there_refuses_the_file_or_is_left_out(stocked, put):
    text = "sample,x\ns1,1\nQ1,2\nQ2,2\nQ3,2\nQ4,2\n"
    before = stocked.snapshot()
    with pytest.raises(LabelError) as refused:
        put(text)
    assert "4 of 5 names are no sample of a: 'Q1' (line 3), 'Q2' (line 4), 'Q3'" in str(
        refused.value
    )
    assert "--skip-unknown" in str(refused.value)
    assert stocked.snapshot() == before
    done = put(text, skip_unknown=True)
    assert (done.new, done.unknown) == (1, ("Q1", "Q2", "Q3", "Q4"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x,y\n1,2\n", "says not what it labels"),
        ("sample,path,x\ns1,p,1\n", "says twice what it labels, path and sample"),
        ("sample,x,X\ns1,1,2\n", "has column 'x' twice"),
        ("sample\ns1\n", "no label beside sample"),
        ("sample,label\ns1,good\n", "label without value: give --label"),
        ("sample,value\ns1,1\n", "without a column label: give --label"),
        ("sample,label,value\ns1,,1\n", "line 2: no label"),
        ("sample,x\n,1\n", "line 2: no sample"),
        ("sample,x\ns1,\n", "states nothing"),
        ("sample,x,measured_at\ns1,1,March\n", "line 2: measured_at 'March' is no time"),
        ('sample,x\ns1,"1\n', "unexpected end of data"),
    ],
)
def test_wrong_tables_are_told_with_their_line(tmp_path, text, why):
    file = tmp_path / "labels.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(LabelError, match=re.escape(why)) as refused:
        read_label_file(str(file))
    assert "\n" not in str(refused.value)


def test_two_values_of_one_statement_are_refused_and_equal_ones_are_not(stocked, put):
    with pytest.raises(LabelError, match="lines 2 and 3: two values of x by the same labeller"):
        put("sample,x\ns1,1\ns1,2\n")
    assert put("sample,x\ns1,1\ns1,1.0\n").new == 1


def test_wrong_names_options_and_collections_are_told(stocked, put, tmp_path):
    with pytest.raises(CollectionError, match="'page' is a column of the catalog"):
        put("sample,page\ns1,1\n")
    with pytest.raises(LabelError, match=r"no label 'z'; it has x, y"):
        put("sample,x,y\ns1,1,2\n", label="z")
    with pytest.raises(LabelError, match="'Mars' is no time zone"):
        put("sample,x,measured_at\ns1,1,2026-01-01\n", zone="Mars")
    with pytest.raises(CollectionError, match="'nobody' is not registered"):
        put("sample,x\ns1,1\n", "nobody")
    save_recipe(stocked.location, make_recipe(dataset="new", location_uri="/nowhere"))
    with pytest.raises(LabelError, match=r"holds no sample yet .* graindex materialize"):
        put("sample,x\ns1,1\n", "new")
    with pytest.raises(LabelError, match="is not there"):
        read_label_file(str(tmp_path / "absent.csv"))
    (tmp_path / "latin.csv").write_bytes("sample,x\ns1,\xb5".encode("latin-1"))
    with pytest.raises(LabelError, match="cannot be read as UTF-8"):
        read_label_file(str(tmp_path / "latin.csv"))


def test_one_name_of_two_specimens_is_refused(stocked, put):
    twice = [
        {"dataset": "b", "sample_id": key(n), "sample": "same", "code_version": "1"} for n in "xy"
    ]
    rows = {"samples": from_records(TABLES["samples"], twice)}
    stocked.lake.replace(rows, "b", author="test", message="test")
    with pytest.raises(LabelError, match="'same' is the name of several specimens of b"):
        put("sample,x\nsame,1\n", "b")


def test_a_statement_that_two_processes_wrote_at_once_counts_once(stocked, put):
    put("sample,x\ns1,1\n")
    rows = stocked.read("labels")
    late = rows.set_column(
        rows.schema.get_field_index("recorded_at"),
        "recorded_at",
        pa.array([datetime(2100, 1, 1, tzinfo=UTC)], rows["recorded_at"].type),
    )
    late = late.set_column(
        rows.schema.get_field_index("label_number"), "label_number", pa.array([2.0])
    )
    twice = pa.concat_tables([rows, late])
    stocked.lake.replace({"labels": twice}, "a", author="test", message="test")
    assert list(stated(stocked, "x").values()) == [2.0]
    assert [
        r["statements"] for r in list_labels(stocked).to_pylist() if r["label_name"] == "x"
    ] == [1]


def test_the_list_counts_statements_and_columns_of_specimens(stocked, put):
    put("sample,x,measured_at\ns1,1,2026-01-01\ns1,2,2026-02-01\ns2,1,\n", labeller="ann")
    put("micrograph_id,kind\n" + f"{key('s1/one')},grain\n")
    rows = {row["label_name"]: row for row in list_labels(stocked, ["a"]).to_pylist()}
    assert set(rows) == {"grade", "x", "kind"}
    x = rows["x"]
    assert (x["entity_kind"], x["labeller"], x["holds"]) == ("sample", "ann", "number")
    assert (x["statements"], x["entities"], x["distinct_values"]) == (3, 2, 2)
    assert x["measured_from"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert x["measured_to"] == datetime(2026, 2, 1, tzinfo=UTC)
    grade = rows["grade"]
    assert (grade["labeller"], grade["holds"], grade["entities"]) == (COLLECTION, "class", 3)
    assert rows["kind"]["holds"] == "class"
    assert list_labels(stocked, ["v"]).num_rows == 0
