"""Bundles: what is in them, and that another store comes to the same images and features."""

import json
import shutil
import subprocess
import zipfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from graindex.errors import BundleError, CollectionError, InputError, OriginalError
from graindex.features.definition import FeatureSet
from graindex.features.registry import register_feature_set
from graindex.store import open_store
from graindex.training.bundle import write_bundle
from graindex.training.bundle_reading import opened_bundle
from graindex.training.importing import import_bundle
from graindex.training.request import make_request
from graindex.training.training_set import build_training_set
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.training.catalogued import make_collection, refresh_all, write_samples


@pytest.fixture(scope="module")
def life(empty_home, tmp_path_factory):
    """A catalogued collection; not to be changed."""
    folder = tmp_path_factory.mktemp("life")
    shutil.copytree(empty_home, folder / "home")
    return make_collection(open_store(folder / "home"), folder)


@pytest.fixture
def changing(life, tmp_path):
    """A copy of the collection and its home, to be changed at will."""
    shutil.copytree(life.folder.parent, tmp_path / "mine")
    collection = type(life)(open_store(tmp_path / "mine" / "home"), tmp_path / "mine" / "images")
    collection.register(force=True)
    collection.refresh()
    return collection


def training_set(store, **more):
    asked = {"feature_set": "texture", "label": "texture_class", "split": {"folds": 2}}
    return build_training_set(store, make_request(**(asked | more)))


@pytest.fixture(scope="module")
def sent(life):
    return training_set(life.store)


def content(store, table, dataset, columns):
    rows = store.read(table, dataset).select(columns)
    return rows.sort_by(columns[0]).to_pylist()


def test_another_store_builds_the_same_training_set(life, sent, store, tmp_path):
    written = write_bundle(life.store, sent, tmp_path / "bundle.zip")
    assert written.images == len(sent) == 8
    assert written.warnings == ()
    imported = import_bundle(store, tmp_path / "bundle.zip", author="test")
    refresh_all(store, "life")
    for table, columns in {
        "micrographs": ["micrograph_id", "sample_id", "path", "content_hash", "pixel_size_um"],
        "acquisition_readings": ["micrograph_id", "quantity", "value_number", "value_text"],
        "image_quality": ["micrograph_id", "noise_std", "input_hash"],
    }.items():
        got, had = (content(one, table, "life", columns) for one in (store, life.store))
        assert got == had
    labels = ["sample_id", "sample", "texture_class", "temperature_c"]
    had = [row for row in content(life.store, "samples", "life", labels) if row["sample"] != "S4"]
    assert content(store, "samples", "life", labels) == had
    built = build_training_set(store, imported.request)
    assert built.fingerprint == imported.fingerprint == sent.fingerprint
    assert built.row_hashes == sent.row_hashes


def test_under_another_name_stated_labels_and_included_features_come_along(
    changing, store, tmp_path
):
    wide = {"name": "wide", "entity": "micrograph", "include": ["texture"]}
    wide["derived"] = {"ratio": "noise_std / entropy_bits"}
    register_feature_set(changing.store, FeatureSet.model_validate(wide), author="test")
    ids = sorted(changing.store.read("micrographs")["micrograph_id"].to_pylist())
    samples = sorted(set(changing.store.read("micrographs")["sample_id"].to_pylist()))
    when = "2026-03-02T10:00:00+00:00"
    records = [
        {
            "dataset": "life",
            "label_id": f"{place:016x}",
            "entity_kind": kind,
            "entity_id": entity,
            "label_name": name,
            "label_text": f"class {place % 2}",
            "labeller": "ada",
            "recorded_at": pa.scalar(when).cast(pa.timestamp("us", "UTC")).as_py(),
        }
        for place, (kind, entity, name) in enumerate(
            (
                ("micrograph", ids[0], "look"),
                ("micrograph", ids[3], "look"),
                ("sample", samples[2], "look"),
                ("micrograph", ids[0], "other"),
            )
        )
    ]
    rows = from_records(TABLES["labels"], records)
    changing.store.lake.put({"labels": rows}, author="test", message="labels")
    sent = training_set(changing.store, feature_set="wide", label="look", split="none")
    assert sent.counts["without label"] > 0
    write_bundle(changing.store, sent, tmp_path / "b.zip")
    imported = import_bundle(store, tmp_path / "b.zip", "guest", author="test")
    assert (imported.datasets, imported.labels) == (("guest",), 3)
    refresh_all(store, "guest")
    built = build_training_set(store, imported.request)
    assert built.names == ("noise_std", "entropy_bits", "ratio")
    order = pc.index_in(sent.rows["path"].combine_chunks(), built.rows["path"].combine_chunks())
    assert built.features.take(order).equals(sent.features)
    assert built.rows["label_text"].take(order).equals(sent.rows["label_text"])
    assert not set(built.rows["entity_id"].to_pylist()) & set(sent.rows["entity_id"].to_pylist())


def test_a_bundle_says_what_it_is_and_what_may_be_done_with_it(changing, tmp_path):
    changing.register(licence=None, source="https://example.org", citation="Nobody, 2026")
    sent = training_set(changing.store)
    written = write_bundle(changing.store, sent, tmp_path / "b.zip")
    assert "'life' states no licence" in written.warnings[0]
    with zipfile.ZipFile(tmp_path / "b.zip") as file:
        told = json.loads(file.read("bundle.json"))
        micrographs = pq.read_table(pa.BufferReader(file.read("tables/micrographs.parquet")))
        rows = pq.read_table(pa.BufferReader(file.read("tables/training_set.parquet")))
    assert told["fingerprint"] == sent.fingerprint
    assert told["request"] == json.loads(sent.request.text())
    (collection,) = told["collections"]
    assert (collection["licence"], collection["source"]) == (None, "https://example.org")
    assert told["warnings"] == list(written.warnings)
    assert rows.equals(sent.table)
    assert str(tmp_path) not in json.dumps(told)
    assert not {"uri", "sidecar_uri"} & set(micrographs.column_names)


def test_the_same_set_makes_the_same_bytes_and_sha256sum_agrees(life, sent, tmp_path):
    for name in ("b.zip", "b.tar", "b.tar.gz"):
        bundles = [tmp_path / part / name for part in "ab"]
        for path in bundles:
            write_bundle(life.store, sent, path)
        assert bundles[0].read_bytes() == bundles[1].read_bytes()
        with opened_bundle(bundles[0]) as bundle:
            assert bundle.manifest.fingerprint == sent.fingerprint
            assert len(bundle.names("images")) == 9
    write_bundle(life.store, sent, tmp_path / "folder")
    command = ["sha256sum", "--check", "--strict", "--quiet", "checksums.sha256"]
    assert subprocess.run(command, cwd=tmp_path / "folder", check=False).returncode == 0


def test_only_the_images_of_the_rows_and_their_specimens_go_along(life, tmp_path):
    some = training_set(life.store, where="sample IN ('S1', 'S3')", split="none")
    write_bundle(life.store, some, tmp_path / "b")
    with opened_bundle(tmp_path / "b") as bundle:
        assert {name.split("/")[1] for name in bundle.names("images")} == {"S1", "S3"}
        assert b"S2" not in (bundle.folder / "samples" / "life.csv").read_bytes()


@pytest.mark.slow
def test_a_changed_samples_table_is_written_from_the_catalog(changing, store, tmp_path):
    sent = training_set(changing.store)
    write_samples(changing.folder.parent / "samples.csv", 2)
    written = write_bundle(changing.store, sent, tmp_path / "b")
    assert "no more what it was" in written.warnings[0]
    imported = import_bundle(store, tmp_path / "b", author="test")
    refresh_all(store, "life")
    built = build_training_set(store, imported.request)
    assert built.row_hashes == sent.row_hashes
    assert len(set(built.rows["sample_id"].to_pylist())) == 4


def test_an_original_that_changed_or_is_gone_stops_the_bundle(changing, tmp_path):
    sent = training_set(changing.store)
    image = next(changing.folder.rglob("*.png"))
    image.write_bytes(image.read_bytes() + b"\0")
    with pytest.raises(OriginalError, match="not the file that the training set is of"):
        write_bundle(changing.store, sent, tmp_path / "b.zip")
    image.unlink()
    with pytest.raises(OriginalError, match="cannot be read"):
        write_bundle(changing.store, sent, tmp_path / "b.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    written = write_bundle(changing.store, sent, tmp_path / "b.zip", images=False)
    assert written.images == 0


def test_what_cannot_be_imported_leaves_no_collection(life, sent, store, tmp_path):
    write_bundle(life.store, sent, tmp_path / "tables.zip", images=False)
    with pytest.raises(BundleError, match="no images"):
        import_bundle(store, tmp_path / "tables.zip", author="test")
    write_bundle(life.store, sent, tmp_path / "whole")
    (tmp_path / "whole" / "images" / "life" / "S0" / "field 0.png").write_bytes(b"another")
    with pytest.raises(BundleError, match="checksum"):
        import_bundle(store, tmp_path / "whole", author="test")
    assert store.datasets() == []
    assert store.read("labels").num_rows == 0


def test_a_name_that_is_taken_and_files_in_the_way_are_refused(life, sent, store, tmp_path):
    write_bundle(life.store, sent, tmp_path / "b.zip")
    lying = tmp_path / "home" / "originals" / "life" / "old.png"
    lying.parent.mkdir(parents=True)
    lying.write_bytes(b"")
    with pytest.raises(CollectionError, match=r"old\.png lies where"):
        import_bundle(store, tmp_path / "b.zip", author="test")
    import_bundle(store, tmp_path / "b.zip", "guest", author="test")
    with pytest.raises(CollectionError, match="registered already"):
        import_bundle(store, tmp_path / "b.zip", "guest", author="test")
    with pytest.raises(CollectionError, match="no name for a collection"):
        import_bundle(store, tmp_path / "b.zip", "../guest", author="test")


def test_a_bundle_does_not_overwrite_a_folder(life, sent, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="there already"):
        write_bundle(life.store, sent, tmp_path / "b")
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
