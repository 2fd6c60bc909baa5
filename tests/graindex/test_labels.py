from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graindex.errors import CollectionError
from graindex.labels import check_label_names, label
from graindex.recipes import make_recipe
from graindex.sample_table import SampleTable, column_name, read_sample_table
from models.calibrate.readings import Quantity, Source


def recipe(pattern=None, dataset="d"):
    return make_recipe(dataset=dataset, location_uri="/x", label_pattern=pattern)


def csv(tmp_path, text, encoding="utf-8"):
    file = tmp_path / "samples.csv"
    file.write_bytes(text.encode(encoding))
    return read_sample_table(str(file))


def of(labelling, path):
    """The specimen of an image."""
    return next(s for s in labelling.samples if s["sample_id"] == labelling.sample_ids[path])


def kinds(labelling, path):
    return [finding.kind for finding in labelling.findings[path]]


def values(labelling, path):
    assert all(reading.source is Source.USER for reading in labelling.readings[path])
    return {reading.quantity: reading.value for reading in labelling.readings[path]}


class TestPattern:
    def test_a_group_named_sample_names_the_specimen(self):
        paths = ["LLZTO-1/a.tif", "LLZTO-1/b.tif", "LLZTO-2/a.tif"]
        found = label(recipe(r"(?P<sample>[^/]+)/(?P<spot>\w)"), paths, None)
        assert {s["sample"] for s in found.samples} == {"LLZTO-1", "LLZTO-2"}
        assert found.sample_ids[paths[0]] == found.sample_ids[paths[1]]
        # the spot differs within a specimen, so it is no property of it
        assert of(found, paths[0]).get("spot") is None
        assert of(found, paths[2])["spot"] == "a"

    def test_without_it_each_combination_of_labels_is_a_specimen(self):
        paths = ["NCM/100/a.tif", "NCM/100/b.tif", "NCM/0/a.tif", "NCA/0/a.tif"]
        found = label(recipe(r"^(?P<composition>\w+)/(?P<cycles>\d+)/"), paths, None)
        assert len(found.samples) == 3
        assert found.sample_ids[paths[0]] == found.sample_ids[paths[1]]
        assert of(found, paths[0]) == {
            "dataset": "d",
            "sample_id": found.sample_ids[paths[0]],
            "sample": "NCM / 100",
            "composition": "NCM",
            "cycles": 100.0,
        }

    def test_a_path_that_does_not_match_has_a_finding_and_no_specimen(self):
        found = label(recipe(r"^(?P<state>\w+)/"), ["cycled/a.tif", "b.tif"], None)
        assert "b.tif" not in found.sample_ids
        assert kinds(found, "b.tif") == ["label_pattern_unmatched"]
        assert kinds(found, "cycled/a.tif") == []

    def test_an_optional_group_that_is_absent_is_no_label(self):
        found = label(recipe(r"^(?P<state>[a-z]+)(-(?P<run>\d))?"), ["a-1.tif", "a.tif"], None)
        assert of(found, "a.tif")["sample"] == "a"
        assert of(found, "a-1.tif")["run"] == 1.0
        assert found.sample_ids["a.tif"] != found.sample_ids["a-1.tif"]

    def test_without_pattern_and_table_the_collection_is_one_specimen(self):
        found = label(recipe(), ["a.tif", "b/c.tif"], None)
        assert [s["sample"] for s in found.samples] == ["d"]
        assert len(set(found.sample_ids.values())) == 1

    def test_the_same_label_in_two_collections_is_two_specimens(self):
        pattern = r"^(?P<sample>\w+)"
        ids = [label(recipe(pattern, d), ["x.tif"], None).sample_ids["x.tif"] for d in ("a", "b")]
        assert ids[0] != ids[1]

    def test_group_names_are_folded_like_headers(self):
        found = label(recipe(r"^(?P<Sample>\w+)-(?P<Temp_C>\d+)"), ["x-970.tif"], None)
        assert of(found, "x-970.tif")["sample"] == "x"
        assert of(found, "x-970.tif")["temp_c"] == 970.0


class TestTable:
    @pytest.mark.parametrize("header", ["path", "file", "image", "File", " IMAGE "])
    def test_images_join_by_path(self, tmp_path, header):
        table = csv(tmp_path, f"{header},state\nsub/a.tif,cycled\nb.tif,pristine\n")
        found = label(recipe(), ["sub/a.tif", "b.tif"], table)
        assert of(found, "sub/a.tif")["state"] == "cycled"
        assert of(found, "b.tif")["state"] == "pristine"

    def test_a_bare_name_joins_where_it_is_unique(self, tmp_path):
        table = csv(tmp_path, "path,state\na.tif,cycled\nb.tif,pristine\n")
        found = label(recipe(), ["x/a.tif", "x/b.tif", "y/b.tif"], table)
        assert of(found, "x/a.tif")["state"] == "cycled"
        assert kinds(found, "x/b.tif") == kinds(found, "y/b.tif") == ["samples_row_missing"]

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_whole_path_beats_a_bare_name(self, tmp_path, order):
        lines = ["x/a.tif,whole", "a.tif,bare"][::order]
        found = label(recipe(), ["x/a.tif"], csv(tmp_path, "\n".join(["path,state", *lines])))
        assert of(found, "x/a.tif")["state"] == "whole"

    def test_windows_paths_and_leading_dots(self, tmp_path):
        table = csv(tmp_path, "path,state\r\nx\\a.tif,cycled\r\n./b.tif,pristine\r\n")
        found = label(recipe(), ["x/a.tif", "b.tif"], table)
        assert [of(found, p)["state"] for p in ("x/a.tif", "b.tif")] == ["cycled", "pristine"]

    def test_rows_with_a_sample_group_their_images(self, tmp_path):
        table = csv(tmp_path, "path,sample,state\na.tif,S1,cycled\nb.tif,S1,cycled\nc.tif,S2,x\n")
        found = label(recipe(), ["a.tif", "b.tif", "c.tif"], table)
        assert found.sample_ids["a.tif"] == found.sample_ids["b.tif"] != found.sample_ids["c.tif"]
        assert of(found, "a.tif")["state"] == "cycled"

    def test_specimens_join_by_sample_and_come_without_images_too(self, tmp_path):
        table = csv(tmp_path, "sample,conductivity_s_cm\nS1,1e-4\nS2,4.5E-4\n")
        found = label(recipe(r"^(?P<sample>\w+)"), ["S1.tif", "S3.tif"], table)
        rows = {s["sample"]: s.get("conductivity_s_cm") for s in found.samples}
        assert rows == {"S1": 1e-4, "S2": 4.5e-4, "S3": None}
        assert kinds(found, "S1.tif") == []
        assert kinds(found, "S3.tif") == ["samples_row_missing"]

    def test_acquisition_columns_of_specimens_belong_to_their_images(self, tmp_path):
        table = csv(tmp_path, "sample,magnification,state\nS1,250,cycled\nS2,500,x\n")
        found = label(recipe(r"^(?P<sample>\w+)"), ["S1.tif"], table)
        assert values(found, "S1.tif") == {Quantity.MAGNIFICATION: 250.0}
        assert all("magnification" not in s for s in found.samples)

    def test_the_pattern_beats_the_table(self, tmp_path):
        table = csv(tmp_path, "path,state,run\ncycled/a.tif,pristine,7\n")
        found = label(recipe(r"^(?P<state>\w+)/"), ["cycled/a.tif"], table)
        assert of(found, "cycled/a.tif")["state"] == "cycled"
        assert of(found, "cycled/a.tif")["run"] == 7.0

    def test_a_table_as_spreadsheets_write_it(self, tmp_path):
        text = (
            'Image,Sinter Temp. (°C),"Note, long",한글,\r\n'
            'a.tif,970,"he said ""so"", twice",시료,\r\n'
            '"b,1.tif",1100,"two\nlines",,\r\n'
            ",,,,\r\n"
        )
        table = csv(tmp_path, text, "utf-8-sig")
        found = label(recipe(), ["a.tif", "b,1.tif"], table)
        one, two = of(found, "a.tif"), of(found, "b,1.tif")
        assert one["sinter_temp_c"] == 970.0
        assert one["note_long"] == 'he said "so", twice'
        assert one["한글"] == "시료"
        assert (two["note_long"], two["한글"]) == ("two\nlines", None)

    def test_equal_rows_may_repeat_and_others_may_not(self, tmp_path):
        assert len(csv(tmp_path, "path,state\na.tif,x\na.tif,x\n").rows) == 1
        with pytest.raises(CollectionError, match=r"line 3: path 'a.tif' stands there already"):
            csv(tmp_path, "path,state\na.tif,x\na.tif,y\n")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "no column path, file or image"),
            ("name,state\na,b\n", "no column path, file or image"),
            ("path;state\na.tif;x\n", "no column path, file or image"),
            ("path,state,state\na,b,c\n", "column 'state' twice"),
            ("path,State,state\na,b,c\n", "column 'state' twice"),
            ("path,state\n,x\n", "line 2: no path"),
            ('path,state\n"a.tif,x\n', "unexpected end of data"),
            ("path,state\na.tif," + "x" * 200_000, "field larger than field limit"),
        ],
    )
    def test_wrong_tables_are_told_in_one_line(self, tmp_path, text, says):
        with pytest.raises(CollectionError, match=says) as caught:
            csv(tmp_path, text)
        assert "\n" not in str(caught.value)
        assert "samples.csv" in str(caught.value)

    def test_tables_that_cannot_be_read(self, tmp_path):
        with pytest.raises(CollectionError, match="is not there"):
            read_sample_table(str(tmp_path / "none.csv"))
        with pytest.raises(CollectionError, match="cannot be read as UTF-8"):
            csv(tmp_path, "path,상태\na,사이클\n", "cp949")
        with pytest.raises(CollectionError, match="cannot be read"):
            read_sample_table(str(tmp_path))
        with pytest.raises(CollectionError, match="nowhere"):
            read_sample_table("nowhere://x.csv")


class TestNumbers:
    @pytest.mark.parametrize(
        ("texts", "want"),
        [
            (["970", "1100"], [970.0, 1100.0]),
            (["1e-4", "-2.5E+3"], [1e-4, -2500.0]),
            ([".5", "5."], [0.5, 5.0]),
            (["970", ""], [970.0, None]),
            (["970", "n/a"], ["970", "n/a"]),
            (["nan", "1"], ["nan", "1"]),
            (["inf", "1"], ["inf", "1"]),
            (["1,5", "2"], ["1,5", "2"]),
            (["0x10", "1_000"], ["0x10", "1_000"]),
            (["", ""], [None, None]),
        ],
    )
    def test_a_column_is_of_numbers_where_every_text_is_one(self, texts, want):
        rows = {f"{n}.tif": {"x": text, "n": str(n)} for n, text in enumerate(texts)}
        found = label(recipe(), list(rows), SampleTable("path", rows))
        assert [of(found, path).get("x") for path in rows] == want

    def test_declared_columns_stay_texts(self):
        rows = {"a.tif": {"state": "1", "material": "2", "composition": "3", "sample": "4"}}
        found = label(recipe(), ["a.tif"], SampleTable("path", rows))
        specimen = of(found, "a.tif")
        assert [specimen[n] for n in ("state", "material", "composition", "sample")] == list("1234")


class TestAcquisition:
    @pytest.mark.parametrize(
        ("name", "text", "want"),
        [
            ("magnification", "1964X", 1964.0),
            ("magnification", "x500", 500.0),
            ("magnification", "1,000 x", 1000.0),
            ("magnification", "10 kX", 10_000.0),
            ("pixel_size_um", "0.267", 0.267),
            ("pixel_size_um", "0.267 µm", 0.267),
            ("pixel_size_um", "270 nm", 0.27),
            ("accelerating_voltage_kv", "20", 20.0),
            ("accelerating_voltage_kv", "20 kV", 20.0),
            ("accelerating_voltage_kv", "500 V", 0.5),
            ("working_distance_mm", "10.0mm", 10.0),
            ("working_distance_mm", "8400 um", 8.4),
            ("instrument", "JEOL 6610", "JEOL 6610"),
            ("detector", "SE", "SE"),
            ("acquired_at", "2021-03-04T05:06:07", datetime(2021, 3, 4, 5, 6, 7)),
            ("acquired_at", "2021-03-04", datetime(2021, 3, 4)),
        ],
    )
    def test_values_of_the_image(self, name, text, want):
        found = label(recipe(), ["a.tif"], SampleTable("path", {"a.tif": {name: text}}))
        value = values(found, "a.tif")[Quantity(name)]
        assert value == (pytest.approx(want, rel=1e-12) if isinstance(want, float) else want)
        assert name not in of(found, "a.tif")
        assert text in found.readings["a.tif"][0].detail

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("magnification", "low"),
            ("magnification", "0"),
            ("magnification", "-500"),
            ("magnification", "nan"),
            ("magnification", "500 V"),
            ("pixel_size_um", "0,267"),
            ("pixel_size_um", "0.2 kV"),
            ("accelerating_voltage_kv", "20 mm"),
            ("acquired_at", "yesterday"),
            ("acquired_at", "04/05/2021"),
        ],
    )
    def test_what_is_no_value_is_a_finding_and_never_a_guess(self, name, text):
        found = label(recipe(), ["a.tif"], SampleTable("path", {"a.tif": {name: text}}))
        assert found.readings["a.tif"] == ()
        assert kinds(found, "a.tif") == ["label_unreadable"]
        assert repr(text) in found.findings["a.tif"][0].detail

    def test_no_value_is_no_finding(self):
        rows = {"a.tif": {"magnification": "", "state": "x"}}
        found = label(recipe(), ["a.tif"], SampleTable("path", rows))
        assert (found.readings["a.tif"], found.findings["a.tif"]) == ((), ())

    def test_they_do_not_split_a_specimen(self):
        paths = ["cycled_500x.tif", "cycled_1000x.tif"]
        found = label(recipe(r"(?P<state>[a-z]+)_(?P<magnification>\d+x)"), paths, None)
        assert len(found.samples) == 1
        assert [values(found, p)[Quantity.MAGNIFICATION] for p in paths] == [500.0, 1000.0]


class TestNames:
    @pytest.mark.parametrize(
        ("header", "name"),
        [
            ("State", "state"),
            ("  Sinter Temp. (°C) ", "sinter_temp_c"),
            ("a--b  c", "a_b_c"),
            ("조성 비율", "조성_비율"),
            ("2nd", "2nd"),
            ("%", ""),
        ],
    )
    def test_headers_become_column_names(self, header, name):
        assert column_name(header) == name
        assert column_name(name) == name

    @pytest.mark.parametrize(
        "name", ["dataset", "Dataset", "sample_id", "width px", "input-hash", "entropy_bits", "%"]
    )
    def test_names_of_ours_are_refused(self, name):
        with pytest.raises(CollectionError, match="rename it"):
            check_label_names([name])

    def test_names_of_others_are_taken(self):
        check_label_names(["state", "sample", "material", "magnification", "cycles", "file"])

    def test_a_pattern_or_a_table_cannot_replace_a_column_of_ours(self):
        with pytest.raises(CollectionError, match="'dataset' is a column"):
            label(recipe(r"^(?P<dataset>\w+)"), ["x.tif"], None)
        with pytest.raises(CollectionError, match="'sample_id' is a column"):
            label(recipe(), ["x.tif"], SampleTable("path", {"x.tif": {"sample_id": "1"}}))


texts = st.text(st.sampled_from("ab1 /:'한"), max_size=3)
collections = st.dictionaries(
    st.integers(0, 50).map(lambda n: f"{n}.tif"),
    st.fixed_dictionaries({"state": texts, "cycles": texts, "x": texts}),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(rows=collections, random=st.randoms(use_true_random=False))
def test_images_share_a_specimen_exactly_when_they_share_their_labels(rows, random):
    found = label(recipe(), list(rows), SampleTable("path", rows))
    assert set(found.sample_ids) == set(rows)
    for one in rows:
        for two in rows:
            same = found.sample_ids[one] == found.sample_ids[two]
            assert same == (rows[one] == rows[two])
    assert {s["sample_id"] for s in found.samples} == set(found.sample_ids.values())
    shuffled = list(rows)
    random.shuffle(shuffled)
    table = SampleTable("path", {path: rows[path] for path in shuffled})
    again = label(recipe(), shuffled, table)
    assert again.sample_ids == found.sample_ids
    assert again.samples == found.samples


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.text(st.sampled_from("ab한'/ "), min_size=1, max_size=3), max_size=10),
    random=st.randoms(use_true_random=False),
)
def test_images_share_a_specimen_exactly_when_they_share_its_name(names, random):
    rows = {f"{n}.tif": {"sample": name, "spot": str(n)} for n, name in enumerate(names)}
    order = list(rows)
    random.shuffle(order)
    found = label(recipe(), order, SampleTable("path", rows))
    groups = {
        name: {found.sample_ids[p] for p in rows if rows[p]["sample"] == name} for name in names
    }
    assert all(len(group) == 1 for group in groups.values())
    assert len({next(iter(group)) for group in groups.values()}) == len(set(names))
    assert sorted(s["sample"] for s in found.samples) == sorted(set(names))


def test_rows_that_fit_no_image_are_told():
    table = SampleTable("path", {"a.png": {"x": "1"}, "gone.png": {"x": "2"}})
    labelling = label(make_recipe(dataset="d", location_uri="/x"), ["a.png"], table)
    assert labelling.unjoined == ("gone.png",)
