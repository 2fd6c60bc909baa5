"""Volumes into the store: every format, only what changed, and nothing lost that is refused."""

import errno
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import fsspec
import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from graindex.catalogue import refresh_dataset, refresh_micrographs, refresh_samples
from graindex.errors import HomeError
from graindex.progress import listening
from graindex.recipes import Recipe, make_recipe, save_recipe
from graindex.store import Store, open_store
from graindex.volume_memory import VOLUME_TABLES
from graindex.volumes import VOLUMES_CODE_VERSION, refresh_volumes
from schemas.tables import TABLES
from tests.graindex.rows import micrographs

SPAWN = multiprocessing.get_context("spawn")
SHAPE = (6, 10, 14)
GREY = np.random.default_rng(0).integers(100, 60000, SHAPE).astype(np.uint16)
PHASES = (GREY > 20000).astype(np.uint8) + (GREY > 40000)
LABELS = np.where(PHASES == 2, np.arange(GREY.size).reshape(SHAPE) % 7 + 1, 0).astype(np.uint32)
SIZE = (0.5, 0.07, 0.07)


def tiff(path, volume=GREY, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, volume, photometric="minisblack", **options)
    return path


def imagej(path, volume=GREY, size=SIZE):
    dz, dy, dx = size
    metadata = {"axes": "ZYX", "spacing": dz, "unit": "um"}
    return tiff(path, volume, imagej=True, resolution=(1 / dx, 1 / dy), metadata=metadata)


def slices(path, volume=GREY):
    for number, plane in enumerate(volume):
        tiff(path / f"rec_{number}.tif", plane)
    return path


def ome_zarr(path, volume=GREY, version=3):
    group = zarr.create_group(path, zarr_format=version)
    scale = {"type": "scale", "scale": list(SIZE)}
    image = {
        "axes": [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"],
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }
    if version == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    else:
        group.attrs["multiscales"] = [{**image, "version": "0.4"}]
    group.create_array("0", data=volume, chunks=(4, 8, 8))
    return path


def hdf5(path, volume=GREY, name="data", **attributes):
    with h5py.File(path, "a") as h5:
        h5.create_dataset(name, data=volume).attrs.update(attributes)
    return path


def mrc(path, volume=GREY, size=SIZE):
    with mrcfile.new(path) as file:
        file.set_data(volume)
        file.voxel_size = tuple(1e4 * step for step in size[::-1])
    return path


def later(path):
    """Make a file look modified without changing it."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


class Collection:
    """A folder of volumes and the store that they go to."""

    def __init__(self, store: Store, folder: Path, name: str = "a", **fields: object) -> None:
        self.store, self.folder, self.name = store, folder, name
        self.fields = {"declared_voxel_size_um": SIZE, **fields}
        folder.mkdir(exist_ok=True)

    @property
    def recipe(self) -> Recipe:
        return make_recipe(
            dataset=self.name, kind="volumes", location_uri=str(self.folder), **self.fields
        )

    def refresh(self):
        return refresh_volumes(self.store, self.recipe, author="test")

    def rows(self, table="volumes"):
        return self.store.read(table, self.name).to_pylist()

    def row(self, path=None):
        (row,) = (row for row in self.rows() if path in {None, row["path"]})
        return row

    def refused(self):
        """Reasons by path."""
        return {row["path"]: row["reason"] for row in self.rows("quarantine")}

    def findings(self):
        return {(row["finding"], row["detail"]) for row in self.rows("volume_findings")}

    def voxels(self, kind="grey", path=None):
        return self.store.volume_store.open(kind, self.row(path)[f"{kind}_hash"])[:]


@pytest.fixture
def collection(store, tmp_path):
    return Collection(store, tmp_path / "c")


FORMATS = {
    "tiff.tif": (imagej, "tiff", "metadata"),
    "hdf5.h5": (lambda path, volume: hdf5(path, volume, element_size_um=SIZE), "hdf5", "metadata"),
    "mrc.rec": (mrc, "mrc", "metadata"),
    "three.zarr": (ome_zarr, "ome-zarr", "metadata"),
    "two.ome.zarr": (lambda *given: ome_zarr(*given, version=2), "ome-zarr", "metadata"),
    "slices": (slices, "slices", "user"),
    "raw.raw": (lambda path, volume: volume.tofile(path), "raw", "user"),
}


@pytest.fixture(scope="module")
def formats(empty_home, tmp_path_factory):
    """A volume of every format, by what states the voxel size: the files, or the user."""
    folder = tmp_path_factory.mktemp("formats")
    shutil.copytree(empty_home, folder / "home")
    store = open_store(folder / "home")
    found = {}
    for source, declared in (("metadata", None), ("user", SIZE)):
        settings = {"shape": SHAPE, "dtype": "uint16"}
        found[source] = Collection(
            store, folder / source, source, declared_voxel_size_um=declared, volumes=settings
        )
        for number, (name, (make, _, stated)) in enumerate(FORMATS.items()):
            if stated == source:
                make(found[source].folder / name, GREY + number)
        assert found[source].refresh().refused == {}
    return found


class TestFormats:
    @pytest.mark.parametrize("name", FORMATS)
    def test_what_goes_in_comes_out(self, formats, name):
        _, file_format, source = FORMATS[name]
        collection, volume = formats[source], GREY + list(FORMATS).index(name)
        row = collection.row(name)
        assert row["uri"] == row["grey_uri"] == str(collection.folder / name)
        assert (row["file_format"], row["voxel_type"]) == (file_format, "uint16")
        assert tuple(row[f"size_{axis}_voxels"] for axis in "zyx") == SHAPE
        size = tuple(row[f"voxel_size_{axis}_um"] for axis in "zyx")
        assert size == pytest.approx(SIZE, rel=1e-6)
        assert row["voxel_size_source"] == source
        assert (row["grey_min"], row["grey_max"]) == (volume.min(), volume.max())
        path = collection.folder / name
        files = [path, *path.rglob("*")]
        size_bytes = sum(file.stat().st_size for file in files if file.is_file())
        assert row["file_size_bytes"] == size_bytes
        np.testing.assert_array_equal(collection.voxels("grey", name), volume)
        assert collection.findings() == set()

    def test_a_second_run_reads_and_writes_nothing(self, formats, monkeypatch):
        monkeypatch.setattr("graindex.volumes.opened", None)
        for source, count in (("metadata", 5), ("user", 2)):
            snapshot = formats[source].store.snapshot()
            outcome = formats[source].refresh()
            assert (outcome.rows, outcome.computed, outcome.kept) == (count, 0, count)
            assert outcome.snapshot == snapshot

    def test_a_thumbnail_of_three_sections(self, collection):
        tiff(collection.folder / "a.tif", np.repeat(GREY, 90, axis=2))
        tiff(collection.folder / "b_labels.tif", LABELS)
        collection.refresh()
        first, second = (
            Image.open(io.BytesIO(collection.store.files.get(row["thumbnail"])))
            for row in collection.rows()
        )
        assert max(first.size) == 768
        colours = np.asarray(second, int)
        assert np.ptp(colours, axis=2).max() > 60  # labels are in colour

    def test_behind_a_url(self, store, tmp_path):
        fs = fsspec.filesystem("memory")
        try:
            fs.put(str(ome_zarr(tmp_path / "cell.zarr")), "/volumes/cell.zarr", recursive=True)
            fs.put(str(tiff(tmp_path / "cell_labels.tif", LABELS)), "/volumes/cell_labels.tif")
            collection = Collection(store, tmp_path / "c")
            recipe = collection.recipe.model_copy(update={"location_uri": "memory://volumes"})
            assert refresh_volumes(store, recipe, author="test").refused == {}
            np.testing.assert_array_equal(collection.voxels("grey"), GREY)
            np.testing.assert_array_equal(collection.voxels("labels"), LABELS)
            assert refresh_volumes(store, recipe, author="test").kept == 1
        finally:
            fs.rm("/volumes", recursive=True)


class TestGroups:
    def test_three_on_one_grid(self, collection):
        imagej(collection.folder / "cell_grey.tif")
        hdf5(collection.folder / "cell_phases.h5", PHASES)
        slices(collection.folder / "cell_labels", LABELS)
        collection.refresh()
        row = collection.row()
        assert row["path"] == "cell_grey.tif"
        assert row["labels_uri"] == str(collection.folder / "cell_labels")
        for kind, voxels in (("grey", GREY), ("phases", PHASES), ("labels", LABELS)):
            np.testing.assert_array_equal(collection.voxels(kind), voxels)
        phases = {row["phase"]: row for row in collection.rows("volume_phases")}
        for phase in range(3):
            count = np.count_nonzero(phase == PHASES)
            assert phases[phase]["phase_voxels"] == count
            assert phases[phase]["phase_fraction"] == pytest.approx(count / PHASES.size)
        assert collection.refused() == {}

    def test_phases_alone_many_values_and_nan(self, collection):
        tiff(collection.folder / "alone_phases.tif", np.array([0, 70000, 2], np.int32)[PHASES])
        tiff(collection.folder / "many_phases.tif", GREY)
        volume = GREY.astype(np.float32)
        volume[2, 3, 4], volume[5, 0, :2] = np.nan, (np.inf, -np.inf)
        tiff(collection.folder / "nan.tif", volume)
        collection.refresh()
        row = collection.row("alone_phases.tif")
        assert (row["grey_hash"], row["grey_min"], row["grey_max"]) == (None, None, None)
        assert (row["nonfinite_voxels"], row["voxel_type"]) == (0, "int32")
        assert {row["phase"] for row in collection.rows("volume_phases")} == {0, 2, 70000}
        assert "more than 256 values" in collection.refused()["many_phases.tif"]
        row, finite = collection.row("nan.tif"), volume[np.isfinite(volume)]
        assert row["nonfinite_voxels"] == 3
        assert (row["grey_min"], row["grey_max"]) == (finite.min(), finite.max())
        np.testing.assert_array_equal(collection.voxels("grey", "nan.tif"), volume)

    def test_labels_by_path_and_table(self, collection, tmp_path):
        for number, name in enumerate(("fresh/cell1.tif", "aged/cell1.tif", "aged/cell2.tif")):
            tiff(collection.folder / name, GREY + number)
        tiff(collection.folder / "fresh/cell1_labels.tif", LABELS)
        table = tmp_path / "samples.csv"
        table.write_text("path,cycles,magnification\naged/cell1.tif,100,5\naged/cell2.tif,100,5\n")
        collection.fields |= {"label_pattern": r"^(?P<state>\w+)/", "samples_uri": str(table)}
        collection.refresh()
        refresh_samples(collection.store, collection.recipe, author="test")
        samples = {row["sample_id"]: row for row in collection.rows("samples")}
        states = {
            row["path"]: (samples[row["sample_id"]]["state"], samples[row["sample_id"]]["cycles"])
            for row in collection.rows()
        }
        assert states == {
            "fresh/cell1.tif": ("fresh", None),
            "aged/cell1.tif": ("aged", 100),
            "aged/cell2.tif": ("aged", 100),
        }
        kinds = [kind for kind, _ in collection.findings()]
        assert sorted(kinds) == ["label_unused", "samples_row_missing"]

    def test_the_row_of_the_collection_counts_volumes(self, collection):
        slices(collection.folder / "scan")
        tiff(collection.folder / "cell.tif", GREY + 1)
        tiff(collection.folder / "cell_labels.tif", LABELS)
        refresh_dataset(collection.store, collection.recipe, author="test")
        (row,) = collection.rows("datasets")
        assert (row["kind"], row["file_count"]) == ("volumes", 2)


class TestVoxelSize:
    def test_files_that_disagree_are_told_and_grey_is_taken(self, collection):
        imagej(collection.folder / "cell.tif")
        mrc(collection.folder / "cell_phases.mrc", PHASES.astype(np.int8), size=(0.5, 0.07, 0.0702))
        collection.fields["declared_voxel_size_um"] = None
        collection.refresh()
        assert collection.row()["voxel_size_x_um"] == pytest.approx(0.07)
        ((kind, detail),) = collection.findings()
        assert kind == "voxel_size_disagreement"
        assert "cell.tif states 0.5 x 0.07 x 0.07 µm" in detail
        assert "0.0702" in detail

    def test_the_user_wins_and_more_than_five_percent_is_told(self, collection):
        for number, (name, factor) in enumerate({"near": 1.04, "more": 1.06, "less": 0.94}.items()):
            size = (0.5, 0.07, 0.07 * factor)
            imagej(collection.folder / f"{name}.tif", GREY + number, size)
        collection.refresh()
        for row in collection.rows():
            assert (row["voxel_size_x_um"], row["voxel_size_source"]) == (0.07, "user")
        findings = sorted(collection.findings())
        assert [kind for kind, _ in findings] == ["voxel_size_disagreement"] * 2
        told = {
            name for name in ("near", "more", "less") for _, d in findings if f"{name}.tif" in d
        }
        assert told == {"more", "less"}

    def test_none_is_refused_with_what_to_do(self, collection):
        tiff(collection.folder / "cell.tif")
        imagej(collection.folder / "odd.tif", size=(5000, 1, 1))  # metres are no voxels
        collection.fields["declared_voxel_size_um"] = None
        collection.refresh()
        refused = collection.refused()
        assert all("--voxel-size-um Z Y X" in reason for reason in refused.values())
        assert "larger than any voxel" in refused["odd.tif"]
        collection.fields["declared_voxel_size_um"] = SIZE
        assert collection.refresh().computed == 2
        assert collection.refused() == {}


class TestOnlyWhatChanged:
    def test_a_touched_or_renamed_file_is_hashed_and_kept(self, collection):
        path = tiff(collection.folder / "cell.tif")
        collection.refresh()
        before = collection.row()
        later(path)
        path.rename(collection.folder / "other.tif")
        outcome = collection.refresh()
        assert (outcome.computed, outcome.kept, outcome.dropped) == (0, 1, 0)
        after = collection.row()
        assert after["path"] == "other.tif"
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"path", "uri", "grey_uri", "listing_hash"}

    def test_a_companion_makes_it_another_volume(self, collection):
        tiff(collection.folder / "cell.tif")
        collection.refresh()
        before = collection.row()
        tiff(collection.folder / "cell_phases.tif", PHASES)
        chunk = next(Path(collection.store.location.data).rglob("grey/*.zarr/0/c/0/0/0"))
        written = chunk.stat().st_mtime_ns
        outcome = collection.refresh()
        assert (outcome.rows, outcome.computed, outcome.dropped) == (1, 1, 1)
        after = collection.row()
        assert after["volume_id"] != before["volume_id"]
        assert (after["grey_min"], after["grey_max"]) == (GREY.min(), GREY.max())
        assert chunk.stat().st_mtime_ns == written
        (collection.folder / "cell_phases.tif").unlink()
        collection.refresh()
        assert collection.row() == before
        assert collection.rows("volume_phases") == []

    def test_another_voxel_size_computes_the_row_and_reads_no_voxel(self, collection):
        tiff(collection.folder / "cell.tif")
        tiff(collection.folder / "cell_phases.tif", PHASES)
        collection.refresh()
        before, phases = collection.row(), collection.rows("volume_phases")
        collection.fields["declared_voxel_size_um"] = (1, 1, 1)
        seen = []
        with listening(lambda what, done, total: seen.append(what)):
            outcome = collection.refresh()
        assert set(seen) == {"volumes"}
        assert (outcome.computed, outcome.kept, outcome.dropped) == (1, 0, 0)
        after = collection.row()
        assert after["volume_id"] == before["volume_id"]
        assert after["voxel_size_x_um"] == 1
        assert after["input_hash"] != before["input_hash"]
        assert (after["grey_min"], after["grey_max"]) == (GREY.min(), GREY.max())
        assert collection.rows("volume_phases") == phases

    def test_raw_voxels_read_otherwise_are_other_voxels(self, collection):
        GREY.tofile(collection.folder / "cell.raw")
        turned = (SHAPE[0], SHAPE[2], SHAPE[1])
        for shape in (SHAPE, turned):
            collection.fields["volumes"] = {"shape": shape, "dtype": "uint16"}
            assert collection.refresh().computed == 1
            np.testing.assert_array_equal(collection.voxels(), GREY.reshape(shape))

    def test_another_dataset_of_the_same_file(self, collection):
        hdf5(collection.folder / "cell.h5", name="one")
        hdf5(collection.folder / "cell.h5", GREY + 1, name="two")
        for name, voxels in (("one", GREY), ("two", GREY + 1)):
            collection.fields["volumes"] = {"dataset_path": name}
            collection.refresh()
            np.testing.assert_array_equal(collection.voxels(), voxels)
        collection.fields["volumes"] = {}
        collection.refresh()
        assert "one, two: name the dataset" in collection.refused()["cell.h5"]

    def test_voxels_that_are_gone_or_damaged_are_written_anew(self, collection):
        tiff(collection.folder / "cell.tif")
        tiff(collection.folder / "cell_phases.tif", PHASES)
        collection.refresh()
        before = collection.row()
        volumes = collection.store.volume_store
        volumes.remove("grey", before["grey_hash"])
        assert collection.refresh().computed == 1
        np.testing.assert_array_equal(collection.voxels(), GREY)
        chunk = Path(volumes.address("grey", before["grey_hash"]), "0/c/0/0/0")
        chunk.write_bytes(chunk.read_bytes()[:50])
        other = Collection(collection.store, collection.folder, "b")
        assert other.refresh().computed == 1
        np.testing.assert_array_equal(collection.voxels(), GREY)
        # What is there is counted from the store.
        for name in ("grey_min", "grey_max", "thumbnail"):
            assert other.row()[name] == before[name]
        counted = (
            [row["phase_voxels"] for row in each.rows("volume_phases")]
            for each in (collection, other)
        )
        assert next(counted) == next(counted) != []

    def test_older_code_is_computed_anew(self, collection, monkeypatch):
        tiff(collection.folder / "a.tif")
        tiff(collection.folder / "b_labels.tif", LABELS.astype(np.float32))
        for module in ("volumes", "volume_memory"):
            monkeypatch.setattr(f"graindex.{module}.VOLUMES_CODE_VERSION", "0")
        collection.refresh()
        monkeypatch.undo()
        outcome = collection.refresh()
        assert (outcome.computed, outcome.kept) == (1, 0)
        versions = {
            row["code_version"] for row in (collection.row(), *collection.rows("quarantine"))
        }
        assert versions == {VOLUMES_CODE_VERSION}


class TestTwice:
    def test_the_same_bytes_are_catalogued_once(self, collection, monkeypatch):
        for name in ("a", "b"):
            tiff(collection.folder / f"{name}.tif")
            tiff(collection.folder / f"{name}_labels.tif", LABELS)
        for _ in range(2):
            outcome = collection.refresh()
            assert outcome.rows == 1
            assert collection.refused() == {
                "b.tif": "same voxels as 'a.tif', which is catalogued",
                "b_labels.tif": "belongs to 'b.tif', which was refused",
            }
            monkeypatch.setattr("graindex.volumes.opened", None)  # not looked at again
        for name in ("a.tif", "a_labels.tif"):
            (collection.folder / name).unlink()
        outcome = collection.refresh()
        assert (outcome.rows, outcome.kept, outcome.dropped) == (1, 1, 0)
        assert collection.row()["path"] == "b.tif"
        assert collection.refused() == {}

    def test_one_tomogram_with_two_segmentations_is_two_volumes(self, collection):
        for name, shift in (("a", 0), ("b", 1)):
            tiff(collection.folder / f"{name}.tif")
            tiff(collection.folder / f"{name}_labels.tif", LABELS + shift)
        assert collection.refresh().rows == 2


def damaged_zarr(path):
    chunk = ome_zarr(path) / "0/c/1/0/1"
    chunk.write_bytes(chunk.read_bytes()[:20])


def without_a_slice(path):
    (slices(path) / "rec_3.tif").unlink()


def with_a_slice_of_another_size(path):
    tiff(slices(path) / "rec_3.tif", GREY[3, :5])


def negative(path):
    volume = LABELS.astype(np.int32)
    volume[4, 5, 6] = -3
    tiff(path, volume)


BAD = {
    "empty.tif": (lambda path: path.write_bytes(b""), "0 bytes"),
    "text.mrc": (lambda path: path.write_text("no volume"), "looks like text: 'no volume'"),
    "chunk.zarr": (damaged_zarr, "chunk 0/c/1/0/1 is damaged"),
    "missing": (without_a_slice, "slice 3 is missing between rec_2.tif and rec_4.tif"),
    "other size": (with_a_slice_of_another_size, "other size/rec_3.tif: 5 x 14 pixels"),
    "float_labels.tif": (
        lambda path: tiff(path, LABELS.astype(np.float32)),
        "labels are float32, not integers: cast them",
    ),
    "negative_labels.tif": (negative, "the value -3 of labels at (4, 5, 6) (z, y, x) is below 0"),
    "huge_labels.tif": (
        lambda path: tiff(path, LABELS.astype(np.uint64) + 2**63),
        "is above 2⁶³ − 1",
    ),
    "packed.mrc.gz": (lambda path: path.write_bytes(b"\x1f\x8b"), "gzip: unpack it first"),
    "twice.h5": (lambda path: (hdf5(path), tiff(path.with_suffix(".tif"))), "are both grey"),
    "raw.raw": (lambda path: path.write_bytes(bytes(99)), "take 1680 bytes, the file has 99"),
}


@pytest.fixture(scope="module")
def bad(empty_home, tmp_path_factory):
    """Every kind of bad volume beside a good one."""
    folder = tmp_path_factory.mktemp("bad")
    shutil.copytree(empty_home, folder / "home")
    volumes = {"shape": SHAPE, "dtype": "uint16"}
    bad = Collection(open_store(folder / "home"), folder / "c", volumes=volumes)
    for name, (make, _) in BAD.items():
        make(bad.folder / name)
    imagej(bad.folder / "good.tif", size=(0.6, 0.07, 0.07))
    tiff(bad.folder / "good_phases.tif", PHASES)
    tiff(bad.folder / "other.tif", GREY + 1)
    tiff(bad.folder / "other_labels.tif", LABELS[:, :9])
    tiff(bad.folder / "other_phases.tif", PHASES)
    save_recipe(bad.store.location, bad.recipe)
    bad.outcome = bad.refresh()
    return bad


class TestBadInput:
    @pytest.mark.parametrize("name", BAD)
    def test_is_refused_in_one_line(self, bad, name):
        reason = bad.refused()[name]
        assert BAD[name][1] in reason
        assert "\n" not in reason

    def test_members_that_do_not_fit_are_refused_together(self, bad):
        refused = bad.refused()
        assert (
            "labels are 6 x 9 x 14 voxels (Z, Y, X), but other.tif has 6 x 10 x 14"
            in (refused["other_labels.tif"])
        )
        for name in ("other.tif", "other_phases.tif"):
            assert refused[name] == "belongs to 'other_labels.tif', which was refused"

    def test_the_good_one_goes_on(self, bad):
        assert bad.row()["path"] == "good.tif"
        assert (bad.outcome.rows, bad.outcome.computed) == (1, 1)
        assert bad.outcome.refused == bad.refused()

    def test_no_file_is_lost_and_no_half_volume_found(self, bad):
        from graindex.checks import unaccounted_files

        assert unaccounted_files(bad.store, "a") == []
        stored = {path.name for path in (Path(bad.store.location.data) / "volumes").glob("*/*")}
        assert {name for name in stored if not name.endswith(".lock")} == {
            f"{bad.row()[kind]}.ome.zarr" for kind in ("grey_hash", "phases_hash")
        }

    @pytest.mark.parametrize("table", VOLUME_TABLES)
    def test_rows_keep_the_rules_of_the_dictionary(self, bad, table):
        from graindex.validation import validate

        rows = bad.store.read(table, "a")
        assert rows.num_rows
        assert validate(TABLES[table], rows) == []

    def test_a_volume_that_is_not_looked_at_yet_is_told(self, bad):
        from graindex.checks import unaccounted_files

        other = bad.recipe.model_copy(update={"dataset": "b"})
        save_recipe(bad.store.location, other)
        (problem,) = unaccounted_files(bad.store, "b")
        assert {path for path, _ in problem.rows} == {
            *(BAD.keys() - {"packed.mrc.gz", "twice.h5"}),  # which the listing refuses
            "good.tif",
            "other.tif",
        }

    def test_repaired_files_are_read(self, collection):
        path = tiff(collection.folder / "cell_labels.tif", LABELS.astype(np.float32))
        collection.refresh()
        tiff(path, LABELS)
        later(path)
        outcome = collection.refresh()
        assert (outcome.computed, outcome.refused) == (1, {})
        assert collection.refused() == {}

    def test_what_the_system_refuses_is_tried_again(self, collection):
        folder = slices(collection.folder / "scan")
        loop = folder / "rec_3.tif"
        kept = loop.read_bytes()
        loop.unlink()
        loop.symlink_to(loop)
        collection.refresh()
        (row,) = [row for row in collection.rows("quarantine") if row["path"] == "scan"]
        assert os.strerror(errno.ELOOP) in row["reason"]
        assert row["input_hash"] is None
        loop.unlink()
        loop.write_bytes(kept)
        assert collection.refresh().refused == {}

    def test_a_file_that_changes_while_it_is_read(self, collection):
        path = tiff(collection.folder / "cell.tif")

        def meddle(what, done, total):
            if what == "read cell.tif":
                later(path)

        with listening(meddle):
            outcome = collection.refresh()
        assert "changed while it was read" in outcome.refused["cell.tif"]
        assert collection.refresh().refused == {}


class TestKinds:
    def test_neither_kind_touches_the_refusals_of_the_other(self, collection, tmp_path):
        (collection.folder / "empty.tif").write_bytes(b"")
        (collection.folder / "empty.mrc").write_bytes(b"")
        store, volumes = collection.store, collection.recipe
        images = volumes.model_copy(update={"kind": "micrographs"})
        refresh_micrographs(store, images, author="test")
        refused = collection.rows("quarantine")
        assert [row["path"] for row in refused] == ["empty.tif"]
        refresh_volumes(store, images, author="test")
        assert collection.rows("quarantine") == refused
        refresh_volumes(store, volumes, author="test")
        refused = collection.rows("quarantine")
        assert {row["path"] for row in refused} == {"empty.tif", "empty.mrc"}
        outcome = refresh_micrographs(store, volumes, author="test")
        assert (outcome.rows, outcome.computed, outcome.refused) == (0, 0, {})
        assert collection.rows("quarantine") == refused

    def test_rows_of_the_former_kind_go(self, collection):
        store, volumes = collection.store, collection.recipe
        store.lake.replace({"micrographs": micrographs("a", [1])}, "a", author="x", message="y")
        tiff(collection.folder / "one.tif")
        collection.refresh()
        assert refresh_micrographs(store, volumes, author="test").dropped == 1
        assert collection.rows("micrographs") == []
        assert len(collection.rows()) == 1
        images = volumes.model_copy(update={"kind": "micrographs"})
        assert refresh_volumes(store, images, author="test").dropped == 1
        assert collection.rows() == []


TALL = (1280, 16, 16)  # 20 slabs


def tall(folder):
    volume = np.repeat(np.arange(20, dtype=np.uint8), 64 * 256).reshape(TALL)
    tiff(folder / "a.tif")
    tiff(folder / "b_phases.tif", volume)
    return volume


def ingest_slowly(home, folder):
    with listening(lambda what, done, total: time.sleep(0.02)):
        Collection(open_store(home), folder).refresh()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_process_goes_on(collection, monkeypatch):
    volume = tall(collection.folder)
    home = Path(collection.store.location.data)
    writer = SPAWN.Process(target=ingest_slowly, args=(home, collection.folder))
    writer.start()
    while True:
        assert writer.is_alive()
        try:
            (note,) = home.glob("volumes/phases/*.part.json")
            written = json.loads(note.read_text())["slices"]
            if written >= 256:
                break
        except (OSError, ValueError):
            time.sleep(0.002)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert collection.rows() == []
    written = json.loads(note.read_text())["slices"]

    seen = []
    with listening(lambda what, done, total: seen.append((what, done))):
        outcome = collection.refresh()
    assert (outcome.rows, outcome.computed, outcome.kept) == (2, 1, 1)  # a.tif was finished
    assert "read a.tif" not in {what for what, _ in seen}
    assert min(done for what, done in seen if what == "read b_phases.tif") == written + 64
    phases = {row["phase"]: row["phase_voxels"] for row in collection.rows("volume_phases")}
    assert phases == dict.fromkeys(range(20), 64 * 256)
    (row,) = [row for row in collection.rows() if row["path"] == "b_phases.tif"]
    stored = collection.store.volume_store.open("phases", row["phases_hash"])
    np.testing.assert_array_equal(stored[:], volume)
    assert not (home / "work" / "volumes" / "a").exists()
    assert collection.refresh().kept == 2


def test_a_full_disk_is_one_line_and_leaves_nothing(empty_home, tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mount)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        shutil.copytree(empty_home, mount / "home")
        collection = Collection(open_store(mount / "home"), tmp_path / "c")
        tiff(collection.folder / "a.tif")
        noise = np.random.default_rng(0).integers(0, 255, (1024, 100, 128), dtype=np.uint8)
        tiff(collection.folder / "b.tif", noise)
        with pytest.raises(HomeError, match=os.strerror(errno.ENOSPC)) as caught:
            collection.refresh()
        assert "\n" not in str(caught.value)
        assert collection.rows() == collection.rows("quarantine") == []
        assert [path.suffix for path in mount.glob("home/volumes/grey/*[!k]")] == [".zarr"]
        (collection.folder / "b.tif").unlink()
        assert collection.refresh().rows == 1
    finally:
        subprocess.run(["umount", str(mount)], check=True)
