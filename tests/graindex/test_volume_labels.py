"""Label volumes: what they are found in, what is found, and what is found again."""

import io
import json
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from graindex import volume_labels
from graindex.errors import HomeError
from graindex.files import sha256
from graindex.measuring import measure_file
from graindex.network_files import network_folder
from graindex.recipes import make_recipe
from graindex.segmenters import load_segmenter, segmenter_digest
from graindex.segmenting import segment_file
from graindex.store import open_store
from graindex.volume_labels import LABELS_CODE_VERSION, inputs_of_labels, refresh_labels_3d
from graindex.volume_particles import refresh_particles_3d
from graindex.volume_segmentation import FiniteVolume, segment_any
from models.measure.matching import evaluate
from models.phantoms.solids import touching_pair
from models.segment.watershed_options import WatershedOptions
from tests.graindex.volume_rows import SPACING_UM, put_volume, write_volumes

SHAPE = (36, 44, 40)
SEGMENTATION = {"phase_values": (1,), "min_diameter_px": 8.0, "polarity": "bright"}
TABLE = "particle_labels_3d"


@pytest.fixture(scope="module")
def pair():
    """Two balls that touch, and their truth."""
    return touching_pair(
        SHAPE,
        spacing_um=SPACING_UM,
        radii_um=(4.5, 4.0),
        distance_um=7.9,
        direction=(0.3, 0.6, 0.8),
    )


def recipe(**segmentation):
    return make_recipe(
        dataset="a",
        location_uri="/volumes",
        kind="volumes",
        segmentation=SEGMENTATION | segmentation,
    )


def grey_of(labels, low=60.0, high=150.0):
    noise = np.random.default_rng(3).normal(0, 4, labels.shape)
    return (np.where(labels > 0, high, low) + noise).astype(np.float32)


def refresh(store, **segmentation):
    return refresh_labels_3d(store, recipe(**segmentation), author="test")


def rows_of(store):
    return {row["volume_id"]: row for row in store.read(TABLE, "a").to_pylist()}


def labels_of(store, row):
    return store.volume_store.open("labels", row["label_volume"])[...]


def only_row(store, record):
    write_volumes(store, "a", [record])
    outcome = refresh(store)
    assert outcome.refused == {}
    return rows_of(store)[record["volume_id"]]


def assert_same_particles(found, truth, share=0.97):
    """Each true particle is one label, but for a few voxels at its edge."""
    for label in np.unique(truth[truth > 0]):
        values, counts = np.unique(found[truth == label], return_counts=True)
        best = counts.argmax()
        assert values[best] > 0
        assert counts[best] > share * counts.sum()


@pytest.fixture(scope="module")
def home_of_three(empty_home, pair, tmp_path_factory):
    """A home with a volume of labels, one of phases and one of grey values, all labelled."""
    home = tmp_path_factory.mktemp("three") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    labels, _ = pair
    records = [
        put_volume(
            store,
            "a",
            "given",
            labels=(labels * 7).astype(np.uint16),
            phases=(labels > 0).astype(np.uint8),
            grey=grey_of(labels),
        ),
        put_volume(
            store, "a", "phases", phases=(labels > 0).astype(np.uint8), grey=grey_of(labels) + 1
        ),
        put_volume(store, "a", "grey", grey=grey_of(labels) + 2),
    ]
    write_volumes(store, "a", records)
    outcome = refresh(store)
    assert (outcome.rows, outcome.computed, outcome.kept, outcome.refused) == (3, 3, 0, {})
    return home, records


@pytest.fixture
def three(home_of_three, tmp_path):
    home, records = home_of_three
    shutil.copytree(home, tmp_path / "three")
    return open_store(tmp_path / "three"), records


class TestViewFusion:
    @pytest.fixture
    def balls(self, empty_home, tmp_path):
        """A home with a grey volume of three balls, and their labels."""
        shutil.copytree(empty_home, tmp_path / "home")
        store = open_store(tmp_path / "home")
        shape = (64, 72, 80)
        labels = np.zeros(shape, np.uint16)
        at = np.indices(shape)
        middles = ((20, 22, 22), (24, 46, 56), (44, 22, 50))
        for label, (middle, radius) in enumerate(zip(middles, (12, 13, 11), strict=True), start=1):
            away = sum((x - x0) ** 2 for x, x0 in zip(at, middle, strict=True))
            labels[away <= radius**2] = label
        record = put_volume(store, "a", "grey", grey=grey_of(labels))
        write_volumes(store, "a", [record])
        return store, labels

    def fused(self, store, **options):
        settings = {"method": "view-fusion", **options}
        told = make_recipe(
            dataset="a", location_uri="/volumes", kind="volumes", segmentation=settings
        )
        return refresh_labels_3d(store, told, author="test")

    def test_balls_are_found_and_the_row_says_how(self, balls):
        store, labels = balls
        assert self.fused(store).refused == {}
        (row,) = rows_of(store).values()
        assert row["segmentation_method"] == "view-fusion"
        assert row["particle_count"] == 3
        assert evaluate(labels, labels_of(store, row)).at(0.75).f1 == 1
        said = json.loads(row["segmentation_settings"])
        assert said["model"] == "sections"
        assert said["model_sha256"] == segmenter_digest(network_folder("sections"))
        again = self.fused(store)
        assert (again.computed, again.kept) == (0, 1)
        self.confidences_reach_the_particles(store, row)
        assert self.fused(store, diameter_px=24.0).computed == 1

    def confidences_reach_the_particles(self, store, row):
        worth = store.volume_store.open("labels", row["label_volume"]).beside("confidence")
        assert worth.shape == (3,)
        assert ((worth > 0.9) & (worth <= 1)).all()
        refresh_particles_3d(store, recipe(), author="test")
        rows = sorted(store.read("particles_3d", "a").to_pylist(), key=lambda r: r["label"])
        np.testing.assert_array_equal([r["segmentation_confidence"] for r in rows], worth)
        calibration = load_segmenter("sections").volumes["view-fusion"]
        assert json.loads(row["segmentation_settings"])["calibration"] == [
            calibration.slope,
            calibration.intercept,
        ]

    def test_files_carry_them_as_well(self, balls, tmp_path):
        _, labels = balls
        grey, found = tmp_path / "grey.tif", tmp_path / "labels.tif"
        tifffile.imwrite(grey, grey_of(labels))
        settings = {"method": "slice-linking", "diameter_px": 24.0}
        count = segment_file(str(grey), found, spacing_um=None, settings=settings)
        rows = measure_file(str(found), spacing_um=(0.5,)).particles.to_pylist()
        assert len(rows) == count == 3
        assert all(0.9 < row["segmentation_confidence"] <= 1 for row in rows)
        plain = tmp_path / "plain.tif"
        tifffile.imwrite(plain, labels)
        rows = measure_file(str(plain), spacing_um=(0.5,)).particles.to_pylist()
        assert [row["segmentation_confidence"] for row in rows] == [None] * 3

    def test_slices_are_linked_in_place_of_views(self, balls):
        store, labels = balls
        assert self.fused(store, method="slice-linking").computed == 1
        (row,) = rows_of(store).values()
        assert row["segmentation_method"] == "slice-linking"
        assert evaluate(labels, labels_of(store, row)).at(0.75).f1 == 1
        said = json.loads(row["segmentation_settings"])
        assert said["model_sha256"] == segmenter_digest(network_folder("sections"))
        assert "links" in said["code_version"]
        worth = store.volume_store.open("labels", row["label_volume"]).beside("confidence")
        assert ((worth > 0.9) & (worth <= 1)).all()
        assert worth.shape == (3,)
        again = self.fused(store, method="slice-linking")
        assert (again.computed, again.kept) == (0, 1)

    def test_the_watershed_is_another_method(self, balls):
        store, _ = balls
        self.fused(store)
        (row,) = rows_of(store).values()
        assert refresh(store, min_diameter_px=10.0).computed == 1
        (other,) = rows_of(store).values()
        assert other["segmentation_method"] == "watershed"
        assert other["label_volume"] != row["label_volume"]
        stored = store.volume_store.open("labels", other["label_volume"])
        assert stored.beside("confidence") is None


class TestSources:
    def test_given_labels_come_before_phases_before_grey(self, three, pair):
        store, records = three
        labels, _ = pair
        rows = rows_of(store)
        for record, source in zip(records, ("labels", "phases", "grey"), strict=True):
            row = rows[record["volume_id"]]
            assert row["segmentation_source"] == source
            assert row["segmentation_method"] == ("given" if source == "labels" else "watershed")
            assert row["particle_count"] == 2
            assert row["particle_fraction"] == pytest.approx((labels > 0).mean(), rel=0.02)
            assert row["code_version"] == LABELS_CODE_VERSION
            assert_same_particles(labels_of(store, row), labels)
        given, phases, grey = (rows[record["volume_id"]] for record in records)
        assert given["label_volume"] == records[0]["labels_hash"]
        assert given["segmentation_settings"] == "{}"
        assert given["particle_fraction"] == (labels > 0).mean()
        np.testing.assert_array_equal(labels_of(store, phases) > 0, labels > 0)
        assert '"phase_values": [1]' in phases["segmentation_settings"]
        assert '"phase_values": null' in grey["segmentation_settings"]

    def test_the_label_volume_says_what_made_it(self, three):
        store, records = three
        row = rows_of(store)[records[1]["volume_id"]]
        stored = store.volume_store.open("labels", row["label_volume"])
        assert stored.dtype == np.uint16
        assert stored.shape == SHAPE
        assert stored.voxel_size_um == SPACING_UM
        made = (stored.attributes["input_hash"], stored.attributes["code_version"])
        assert row["label_volume"] == sha256(*made)
        assert stored.attributes["source_hash"] == records[1]["phases_hash"]
        assert stored.attributes["segmentation_settings"] == row["segmentation_settings"]

    def test_phases_of_unknown_meaning(self, three):
        store, records = three
        outcome = refresh(store, phase_values=None)
        assert outcome.refused == {}
        assert rows_of(store)[records[1]["volume_id"]]["segmentation_source"] == "grey"
        alone = put_volume(store, "a", "alone", phases=np.ones((9, 9, 9), np.uint8))
        write_volumes(store, "a", [*records, alone])
        outcome = refresh(store, phase_values=None)
        assert outcome.rows == 3
        assert list(outcome.refused) == ["alone.tif"]
        assert "--phase" in outcome.refused["alone.tif"]
        wanted = inputs_of_labels(store, recipe(phase_values=None))
        assert wanted == {key: row["input_hash"] for key, row in rows_of(store).items()}

    @pytest.mark.parametrize("high", [255, 2**40])
    def test_given_labels_of_any_size(self, store, pair, high):
        labels = pair[0].astype(np.min_scalar_type(high))
        labels[labels == 2] = high
        row = only_row(store, put_volume(store, "a", "v", labels=labels))
        assert row["particle_count"] == 2
        assert row["particle_fraction"] == (labels > 0).mean()

    def test_negative_labels_are_refused(self, store):
        record = put_volume(store, "a", "v", labels=np.full((5, 5, 5), -1, np.int16))
        write_volumes(store, "a", [record])
        assert "below 0" in refresh(store).refused["v.tif"]

    def test_images_alone(self, store):
        outcome = refresh(store)
        assert (outcome.rows, outcome.computed, outcome.refused) == (0, 0, {})

    def test_one_grey_level_holds_nothing(self, store):
        row = only_row(store, put_volume(store, "a", "v", grey=np.full((9, 8, 7), 77, np.uint8)))
        assert (row["particle_count"], row["particle_fraction"]) == (0, 0)


class TestNotFinite:
    @pytest.mark.parametrize("polarity", ["bright", "dark"])
    def test_is_never_particle(self, store, pair, polarity):
        labels, truth = pair
        bright = polarity == "bright"
        grey = grey_of(labels, *((60.0, 150.0) if bright else (150.0, 60.0)))
        at = np.indices(SHAPE).transpose(1, 2, 3, 0) * SPACING_UM
        hole = np.linalg.norm(at - truth.centres_um[0], axis=-1) < 1.6
        outside = np.zeros(SHAPE, bool)
        outside[:3] = True
        grey[hole], grey[outside] = np.nan, np.inf if bright else -np.inf
        write_volumes(store, "a", [put_volume(store, "a", "v", grey=grey)])
        assert refresh(store, polarity=polarity).refused == {}
        (row,) = rows_of(store).values()
        found = labels_of(store, row)
        assert row["particle_count"] == 2
        assert not found[hole | outside].any()
        assert row["particle_fraction"] == (found > 0).mean()
        assert_same_particles(found, np.where(hole, 0, labels))

    def test_nothing_finite(self, store, pair):
        good = put_volume(store, "a", "good", grey=grey_of(pair[0]))
        bad = put_volume(store, "a", "bad", grey=np.full((9, 9, 9), np.nan, np.float32))
        write_volumes(store, "a", [bad, good])
        outcome = refresh(store)
        assert list(rows_of(store)) == [good["volume_id"]]
        assert outcome.refused == {"bad.tif": "no grey value is finite: nothing can be told apart"}

    def test_regions_read_alike(self):
        grey = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
        grey[0, 0, 0], grey[1, 2, 3] = np.nan, np.inf
        filled = FiniteVolume(grey, 5)
        assert (filled.shape, filled.dtype) == (grey.shape, grey.dtype)
        assert filled[...][0, 0, 0] == filled[1:, 2, 3][0] == 5
        np.testing.assert_array_equal(filled[:, 1], grey[:, 1])


class TestLarge:
    def test_block_by_block_alike(self, three, monkeypatch):
        store, records = three
        keys = [rows_of(store)[record["volume_id"]]["label_volume"] for record in records[1:]]
        whole = [store.volume_store.open("labels", key)[...] for key in keys]
        for key in keys:
            store.volume_store.remove("labels", key)
        monkeypatch.setattr("graindex.volume_segmentation.WHOLE_VOXELS", 0)
        assert refresh(store).computed == 2
        for key, expected in zip(keys, whole, strict=True):
            np.testing.assert_array_equal(store.volume_store.open("labels", key)[...], expected)

    def test_no_room_for_scratch(self, tmp_path, monkeypatch):
        monkeypatch.setattr("graindex.volume_segmentation.WHOLE_VOXELS", 0)
        with small_disk(tmp_path / "small"), pytest.raises(HomeError, match="TMPDIR"):
            segment_any(
                np.zeros((60, 60, 60), np.uint8),
                spacing_um=SPACING_UM,
                options=WatershedOptions(),
                scratch=tmp_path / "small",
            )

    def test_a_full_disk_stops_the_run(self, store, pair):
        noise = np.random.default_rng(0).integers(0, 2, (60, 60, 60)).astype(np.uint8)
        records = [
            put_volume(store, "a", "v", phases=(pair[0] > 0).astype(np.uint8)),
            put_volume(store, "a", "noise", phases=noise),
        ]
        write_volumes(store, "a", records)
        disk = Path(store.volume_store.address("labels", "k")).parent
        with small_disk(disk), pytest.raises(HomeError, match="cannot be written"):
            refresh(store, min_diameter_px=1.0)
        assert rows_of(store) == {}
        outcome = refresh(store, min_diameter_px=1.0)
        assert (outcome.rows, outcome.computed, outcome.refused) == (2, 2, {})


@contextmanager
def small_disk(folder):
    """A file system of 64 kB."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class TestAgain:
    def test_nothing_is_computed(self, three, monkeypatch):
        store, _ = three
        before, snapshot = rows_of(store), store.snapshot()
        monkeypatch.setattr(volume_labels, "_label", pytest.fail)
        outcome = refresh(store)
        assert (outcome.rows, outcome.computed, outcome.kept, outcome.dropped) == (3, 0, 3, 0)
        assert outcome.snapshot == snapshot
        assert rows_of(store) == before
        assert inputs_of_labels(store, recipe()) == {
            key: row["input_hash"] for key, row in before.items()
        }

    def test_other_settings_spare_given_labels(self, three):
        store, records = three
        before = rows_of(store)
        outcome = refresh(store, neck=0.5)
        assert (outcome.computed, outcome.kept) == (2, 1)
        after = rows_of(store)
        given, *made = (record["volume_id"] for record in records)
        assert after[given] == before[given]
        for key in made:
            assert after[key]["label_volume"] != before[key]["label_volume"]
            assert store.volume_store.has("labels", before[key]["label_volume"])

    def test_another_volume_costs_one(self, three, pair):
        store, records = three
        more = put_volume(store, "a", "more", phases=(pair[0] == 1).astype(np.uint8))
        write_volumes(store, "a", [more, *records])
        outcome = refresh(store)
        assert (outcome.rows, outcome.computed, outcome.kept, outcome.dropped) == (4, 1, 3, 0)
        assert rows_of(store)[more["volume_id"]]["particle_count"] == 1
        write_volumes(store, "a", [more])
        outcome = refresh(store)
        assert (outcome.rows, outcome.computed, outcome.kept, outcome.dropped) == (1, 0, 1, 3)

    def test_a_lost_label_volume_is_made_again(self, three):
        store, records = three
        before = rows_of(store)
        for record in records[1:]:
            row = before[record["volume_id"]]
            expected = labels_of(store, row)
            store.volume_store.remove("labels", row["label_volume"])
            assert refresh(store).computed == 1
            np.testing.assert_array_equal(labels_of(store, row), expected)
        assert rows_of(store) == before

    def test_lost_and_damaged_voxels_are_refused_by_name(self, three):
        store, records = three
        store.volume_store.remove("labels", records[0]["labels_hash"])
        address = store.volume_store.address("grey", records[2]["grey_hash"])
        spoil(address)
        outcome = refresh(store, neck=0.6)
        assert (outcome.rows, outcome.computed) == (1, 1)
        assert outcome.dropped == 2
        assert outcome.refused["given.tif"] == (
            "its labels are not in the store: materialise volumes again"
        )
        damage = outcome.refused["grey.tif"]
        assert "chunk" in damage
        assert damage.endswith(f"remove {address} and materialise volumes again")
        assert "\n" not in damage

    def test_damage_of_what_was_made_before_a_kill(self, three):
        store, records = three
        key = rows_of(store)[records[1]["volume_id"]]["label_volume"]
        write_volumes(store, "a", [])
        refresh(store)
        address = store.volume_store.address("labels", key)
        spoil(address)
        write_volumes(store, "a", records)
        outcome = refresh(store)
        assert (outcome.rows, list(outcome.refused)) == (2, ["phases.tif"])
        line = outcome.refused["phases.tif"]
        assert line.endswith(f"remove {address} and materialise particle_labels_3d again")

    def test_an_interrupted_run_is_gone_on_with(self, three, monkeypatch):
        store, _ = three
        with monkeypatch.context() as patch:
            patch.setattr(store.lake, "replace", interrupted)
            with pytest.raises(KeyboardInterrupt):
                refresh(store, neck=0.5)
        with monkeypatch.context() as patch:
            patch.setattr(volume_labels, "_label", pytest.fail)
            outcome = refresh(store, neck=0.5)
        assert (outcome.rows, outcome.computed, outcome.kept) == (3, 2, 1)


def spoil(address):
    chunk = next(path for path in sorted(Path(address).rglob("c/*/*/*")) if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-5])


def interrupted(*_, **__):
    raise KeyboardInterrupt


class TestOverlay:
    def test_sections_meet_where_particles_are(self, store):
        labels = np.zeros((30, 40, 50), np.uint16)
        labels[2:8, 3:9, 40:47] = 3
        row = only_row(store, put_volume(store, "a", "v", labels=labels))
        picture = Image.open(io.BytesIO(store.files.get(row["overlay"])))
        assert picture.format == "JPEG"
        colours = np.asarray(picture.convert("HSV"))[..., 1]
        zoom = 900 // (50 + 50 + 40)
        sections = np.split(colours, [zoom * 50 + 3, zoom * 2 * 50 + 6 + 3], axis=1)
        assert all((section > 100).sum() > 10 for section in sections)

    def test_large_ones_are_brought_down(self, store):
        labels = np.zeros((3, 700, 800), np.uint16)
        labels[:, 100:300, 100:300] = 1
        grey = np.random.default_rng(0).integers(0, 90, labels.shape).astype(np.uint8)
        row = only_row(store, put_volume(store, "a", "v", labels=labels, grey=grey))
        picture = Image.open(io.BytesIO(store.files.get(row["overlay"])))
        assert 700 < max(picture.size) <= 900
