"""A new pixel size: columns in µm follow, all else stays, and no original is opened."""

import pytest

from graindex import image_particles
from graindex.derive import inputs_of_images, refresh_quality
from graindex.freshness import UNCALIBRATED, out_of_date
from graindex.statistics import refresh_statistics
from models.phantoms.sem import SemPhantom
from models.phantoms.sidecar import sidecar_text
from tests.graindex.discs import BRIGHT, SHAPE, SIZE_UM, collection_at, copied, table
from tests.graindex.recalibrated import TWICE, assert_follows, garble


@pytest.fixture(scope="module")
def measured_discs(empty_home, tmp_path_factory):
    made = collection_at(tmp_path_factory.mktemp("discs"), empty_home)
    made.masks(), made.particles()
    refresh_quality(made.store, "discs", author="test")
    return made


@pytest.fixture
def discs(measured_discs, tmp_path):
    return copied(measured_discs, tmp_path)


def everything(discs):
    names = ("micrographs", "image_quality", "particle_masks_2d")
    return {name: discs.store.read(name, "discs") for name in names}


def statistics_of(discs):
    refresh_statistics(discs.store, discs.recipe, author="test")
    rows = discs.store.read("electrode_statistics", "discs").to_pylist()
    return {row["statistic"]: row["value"] for row in rows if row["bin"] == 0}


class TestImages:
    @pytest.mark.parametrize("by", ["add", "table"])
    def test_columns_follow_and_no_original_is_opened(self, discs, by, tmp_path, monkeypatch):
        monkeypatch.setattr(image_particles, "segment_content", pytest.fail)
        monkeypatch.setattr(image_particles, "measure_particles_2d", pytest.fail)
        statistics = statistics_of(discs)
        sizes = discs.store.read("micrographs", "discs")["pixel_size_um"].to_pylist()
        assert set(sizes) == {SIZE_UM}
        before, pixels = everything(discs), inputs_of_images(discs.store, "discs")
        particles, snapshot = discs.store.read("particles_2d", "discs"), discs.store.snapshot()
        garble(discs.folder)
        if by == "add":
            discs.change(declared_pixel_size_um=0.5, segmentation=BRIGHT)
        else:
            table = tmp_path / "sizes.csv"
            lines = [f"{path},0.5" for path in discs.images()]
            table.write_text("\n".join(["path,pixel_size_um", *lines]))
            discs.change(samples_uri=str(table), segmentation=BRIGHT)
        assert discs.store.read("micrographs", "discs")["pixel_size_um"].to_pylist() == [0.5] * 4
        ids = set(particles["micrograph_id"].to_pylist())
        assert out_of_date(discs.store, "particles_2d", discs.recipe) == dict.fromkeys(
            sorted(ids), UNCALIBRATED
        )
        assert refresh_quality(discs.store, "discs", author="test").computed == 0
        assert discs.masks().computed == 0
        outcome = discs.particles()
        assert (outcome.computed, outcome.kept, outcome.refused) == (9, 0, {})
        assert str(outcome.recalibration) == "recalibrated 9 rows by factor 2"
        assert out_of_date(discs.store, "particles_2d", discs.recipe) == {}
        after = discs.store.read("particles_2d", "discs")
        assert_follows("particles_2d", particles, after, TWICE)
        assert inputs_of_images(discs.store, "discs") == pixels  # which vectors rest on
        now = everything(discs)
        for name in ("image_quality", "particle_masks_2d"):
            assert now[name].equals(before[name])
        changed = {
            name
            for name in before["micrographs"].column_names
            if not now["micrographs"][name].equals(before["micrographs"][name])
        }
        assert changed - {"sample_id"} <= {
            "pixel_size_um",
            "pixel_size_source",
            "pixel_size_uncertainty_um",
        }
        assert discs.store.read("particles_2d", "discs", as_of=snapshot).equals(particles)
        if by == "add":
            now, mean = statistics_of(discs), "section_diameter_mean"
            assert now[mean] == pytest.approx(2 * statistics[mean])
            for name in ("section_count", "section_area_fraction"):
                assert now[name] == statistics[name]

    def test_a_sidecar_is_read_and_no_particle_is_measured(self, discs, monkeypatch):
        discs.change(segmentation=BRIGHT)
        discs.particles()
        assert discs.images()["a.png"]["pixel_size_um"] is None
        sidecar = sidecar_text(
            SemPhantom(shape_px=SHAPE, pixel_size_um=0.5, databar=False), "a.png"
        )
        (discs.folder / "a.png.txt").write_bytes(sidecar.encode())
        assert discs.catalogue().computed == 1
        size = discs.images()["a.png"]["pixel_size_um"]
        assert discs.images()["a.png"]["pixel_size_source"] == "sidecar"
        monkeypatch.setattr(image_particles, "measure_particles_2d", pytest.fail)
        assert discs.masks().kept == 4
        rows = discs.rows("a.png")
        assert discs.particles().recalibration.rows == len(rows)
        for row in discs.rows("a.png"):
            assert row["feret_max_um"] == row["feret_max_px"] * size

    def test_there_and_back_is_where_it_was(self, discs):
        before = table(discs, "particles_2d")
        garble(discs.folder)
        for size in (0.123, 7.7, SIZE_UM):
            discs.change(declared_pixel_size_um=size, segmentation=BRIGHT)
            assert discs.particles().recalibration.rows == 9
        assert table(discs, "particles_2d") == before
        assert discs.particles().recalibration is None
