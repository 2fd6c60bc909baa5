"""Particles of images in the store: discs of known size, in and out of calibration."""

import hashlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from graindex import per_image
from graindex.errors import HomeError, OriginalError
from graindex.image_particles import (
    inputs_of_masks,
    inputs_of_particles_2d,
    load_mask,
)
from graindex.network_files import network_folder
from graindex.progress import listening
from graindex.segmenters import segmenter_digest
from models.segment.mask_rcnn.card import ARTEFACT
from schemas.arrow import arrow_schema
from schemas.tables import TABLES
from tests.graindex.discs import (
    BRIGHT,
    DISCS,
    EDGES,
    IMAGES,
    SHAPE,
    SIZE_UM,
    WIDE,
    Collection,
    collection_at,
    copied,
    disc_image,
    table,
)
from tests.graindex.rows import micrographs


@pytest.fixture(scope="module")
def catalogued(empty_home, tmp_path_factory):
    """Images in the catalogue, nothing segmented; not to be changed."""
    return collection_at(tmp_path_factory.mktemp("catalogued"), empty_home)


@pytest.fixture(scope="module")
def measured(catalogued, tmp_path_factory):
    """Everything segmented and measured; not to be changed."""
    made = copied(catalogued, tmp_path_factory.mktemp("measured"))
    made.outcomes = (made.masks(), made.particles())
    return made


@pytest.fixture(scope="module")
def found(tmp_path_factory, empty_home):
    """The same by the network, since nothing is said of particles."""
    made = collection_at(tmp_path_factory.mktemp("network"), empty_home)
    made.change(declared_pixel_size_um=SIZE_UM)
    made.masks()
    made.particles()
    return made


@pytest.fixture
def fresh(catalogued, tmp_path):
    return copied(catalogued, tmp_path)


@pytest.fixture
def done(measured, tmp_path):
    return copied(measured, tmp_path)


class TestTruth:
    def test_discs_are_found_and_measured_in_micrometres(self, measured):
        for name, discs in DISCS.items():
            rows = measured.rows(name)
            whole = [row for row in rows if not row["touches_border"]]
            truth = discs if name == "a.png" else discs[:-1]
            assert len(rows) == len(discs)
            assert len(whole) == len(truth)
            for y, x, radius in truth:
                row = min(whole, key=lambda row: np.hypot(row["x_px"] - x, row["y_px"] - y))
                assert (row["x_px"], row["y_px"]) == pytest.approx((x, y), abs=0.3)
                diameter = 2 * radius * SIZE_UM
                assert row["equivalent_diameter_um"] == pytest.approx(diameter, rel=0.04)
                assert row["feret_max_um"] == pytest.approx(diameter, rel=0.06)
                assert row["area_um2"] == pytest.approx(np.pi * diameter**2 / 4, rel=0.08)
                assert row["circularity"] == pytest.approx(1, abs=0.06)
                assert row["brightness_mean"] == pytest.approx(190, abs=8)

    def test_outcomes_count_images_and_particles(self, measured):
        masks, particles = measured.outcomes
        assert (masks.rows, masks.computed, masks.kept, masks.refused) == (4, 4, 0, {})
        found = sum(row["particle_count"] for row in measured.mask_rows().values())
        assert (particles.rows, particles.computed, particles.refused) == (found, found, {})
        assert measured.store.read("particles_2d").num_rows == found

    def test_ids_are_unique_and_follow_from_image_labels_and_label(self, measured):
        rows = table(measured, "particles_2d")
        assert len({row["particle_id"] for row in rows}) == len(rows) > 6
        addresses = {row["micrograph_id"]: row["mask"] for row in measured.mask_rows().values()}
        for row in rows:
            parts = (row["micrograph_id"], addresses[row["micrograph_id"]], str(row["label"]))
            text = "".join(f"{len(part)}:{part}" for part in parts)
            assert row["particle_id"] == hashlib.sha256(text.encode()).hexdigest()[:16]

    def test_ids_are_the_same_in_another_home(self, measured, fresh):
        fresh.masks()
        fresh.particles()
        assert table(fresh, "particles_2d") == table(measured, "particles_2d")

    def test_masks_cover_the_frame_and_leave_the_databar_out(self, measured):
        images = measured.images()
        for path, row in measured.mask_rows().items():
            image = images[path]
            labels = load_mask(measured.store, row)
            y0, x0, y1, x1 = (image[f"content_{edge}_px"] for edge in EDGES)
            assert labels.shape == (image["height_px"], image["width_px"])
            assert labels.dtype == np.uint16
            inside = labels[y0:y1, x0:x1]
            assert (labels > 0).sum() == (inside > 0).sum()
            assert row["particle_count"] == len(np.unique(labels)) - 1
            assert row["particle_fraction"] == (inside > 0).mean()
        bar = images["bar.png"]
        assert bar["content_y1_px"] == pytest.approx(WIDE[0], abs=2)
        assert bar["height_px"] > WIDE[0] + 20

    def test_what_the_databar_cuts_touches_the_border(self, measured):
        first, second, cut = sorted(measured.rows("bar.png"), key=lambda row: row["x_px"])
        assert (cut["x_px"], cut["touches_border"]) == (pytest.approx(600, abs=0.5), True)
        assert not first["touches_border"] and not second["touches_border"]

    def test_pictures_are_small_jpegs(self, measured):
        for path, row in measured.mask_rows().items():
            with Image.open(io.BytesIO(measured.store.files.get(row["overlay"]))) as picture:
                assert (picture.format, picture.mode) == ("JPEG", "RGB")
                assert max(picture.size) == (640 if path == "bar.png" else SHAPE[1])

    def test_a_blank_image_has_a_mask_and_no_rows(self, measured):
        row = measured.mask_rows()["blank.png"]
        assert (row["particle_count"], row["particle_fraction"]) == (0, 0)
        assert not load_mask(measured.store, row).any()
        assert measured.rows("blank.png") == []


class TestNetwork:
    """The default: nothing is said of particles when the collection is registered."""

    def test_discs_are_found_with_a_confidence(self, found):
        for name, discs in DISCS.items():
            rows = [row for row in found.rows(name) if not row["touches_border"]]
            truth = discs if name == "a.png" else discs[:-1]
            assert len(rows) == len(truth)
            for y, x, radius in truth:
                row = min(rows, key=lambda row: np.hypot(row["x_px"] - x, row["y_px"] - y))
                assert (row["x_px"], row["y_px"]) == pytest.approx((x, y), abs=1.5)
                diameter = 2 * radius * SIZE_UM
                # outlines as people draw them run outside of where the grey level is half way
                assert 0.95 * diameter < row["equivalent_diameter_um"] < 1.15 * diameter
                assert 0.5 < row["segmentation_confidence"] <= 1

    def test_a_blank_image_has_a_mask_and_no_rows(self, found):
        row = found.mask_rows()["blank.png"]
        assert (row["particle_count"], row["particle_fraction"]) == (0, 0)
        assert found.rows("blank.png") == []

    def test_rows_say_which_network_found_them(self, found):
        for row in found.mask_rows().values():
            said = json.loads(row["segmentation_settings"])
            assert row["segmentation_method"] == "mask-rcnn"
            assert said["model"] == "micrographs"
            assert said["model_sha256"] == segmenter_digest(network_folder("micrographs"), ARTEFACT)

    def test_another_time_the_labels_are_the_same(self, found, tmp_path, empty_home):
        again = collection_at(tmp_path, empty_home)
        again.change(declared_pixel_size_um=SIZE_UM)
        again.masks()
        assert again.mask_rows() == found.mask_rows()
        assert (again.masks().computed, again.masks().kept) == (0, 4)

    def test_a_known_diameter_is_another_input(self, found):
        before = inputs_of_masks(found.store, found.recipe)
        found.change(declared_pixel_size_um=SIZE_UM, segmentation={"diameter_px": 40.0})
        try:
            stale = inputs_of_masks(found.store, found.recipe)
            assert not set(before.values()) & set(stale.values())
        finally:
            found.change(declared_pixel_size_um=SIZE_UM)
        assert inputs_of_masks(found.store, found.recipe) == before


class TestIncremental:
    def test_a_second_run_computes_nothing(self, done):
        done.forget_originals()  # so that whatever is read again is refused
        before = done.store.snapshot()
        masks, particles = done.masks(), done.particles()
        assert (masks.kept, masks.computed, masks.dropped, masks.refused) == (4, 0, 0, {})
        assert particles.rows == particles.kept > 0
        assert (particles.computed, particles.dropped, particles.refused) == (0, 0, {})
        assert done.store.snapshot() == masks.snapshot == particles.snapshot == before

    def test_a_calibration_touches_no_pixel(self, done):
        before = {row["particle_id"]: row for row in table(done, "particles_2d")}
        done.change(declared_pixel_size_um=2 * SIZE_UM, segmentation=BRIGHT)
        done.forget_originals()
        masks, particles = done.masks(), done.particles()
        assert (masks.kept, masks.computed, masks.refused) == (4, 0, {})
        assert (particles.kept, particles.computed, particles.refused) == (0, len(before), {})
        assert str(particles.recalibration) == f"recalibrated {len(before)} rows by factor 2"
        for row in table(done, "particles_2d"):
            old = before[row["particle_id"]]
            for name, value in row.items():
                factor = 4 if name == "area_um2" else 2
                if name.endswith(("_um", "_um2")) and value is not None:
                    assert value == factor * old[name]
                else:
                    assert value == old[name]

    def test_without_a_pixel_size_micrometres_are_null(self, done):
        (done.folder / "bar.png").unlink()  # its databar states a size
        done.change(declared_pixel_size_um=None, segmentation=BRIGHT)
        outcome = done.particles()
        rows = table(done, "particles_2d")
        assert outcome.computed == len(rows) == 6
        assert str(outcome.recalibration) == "recalibrated 6 rows"
        for row in rows:
            assert row["area_px2"] > 0
            assert not [n for n, v in row.items() if n.endswith(("_um", "_um2")) and v is not None]

    def test_other_settings_segment_anew(self, done):
        settings = {**BRIGHT, "min_diameter_px": 34.0}
        stale = inputs_of_masks(done.store, done.recipe)
        assert stale == {
            row["micrograph_id"]: row["input_hash"] for row in done.mask_rows().values()
        }
        done.change(declared_pixel_size_um=SIZE_UM, segmentation=settings)
        assert not set(stale.values()) & set(inputs_of_masks(done.store, done.recipe).values())
        assert done.masks().computed == 4
        done.particles()
        assert [row["equivalent_diameter_px"] > 34 for row in done.rows("a.png")] == [True, True]

    def test_equal_masks_keep_their_particles(self, done):
        before = table(done, "particles_2d")
        assert inputs_of_particles_2d(done.store, "discs") == {
            row["micrograph_id"]: row["input_hash"] for row in before
        }
        # Settings differ, labels do not: only an adaptive threshold has a window.
        done.change(declared_pixel_size_um=SIZE_UM, segmentation={**BRIGHT, "window_px": 99.0})
        assert done.masks().computed == 4
        outcome = done.particles()
        assert (outcome.kept, outcome.computed) == (len(before), 0)
        assert table(done, "particles_2d") == before

    def test_values_of_phases_mean_nothing_to_images(self, done):
        settings = {**BRIGHT, "phase_values": [1]}
        done.change(declared_pixel_size_um=SIZE_UM, segmentation=settings)
        assert done.masks().kept == 4

    def test_a_removed_image_takes_its_rows_along(self, done):
        (done.folder / "a.png").unlink()
        done.catalogue()
        assert (done.masks().dropped, done.masks().rows) == (1, 3)
        outcome = done.particles()
        assert (outcome.dropped, outcome.computed) == (len(DISCS["a.png"]), 0)
        assert outcome.rows == outcome.kept == done.store.read("particles_2d").num_rows

    def test_an_image_that_vanished_before_its_mask_did(self, done):
        (done.folder / "a.png").unlink()
        done.catalogue()
        assert done.particles().dropped == len(DISCS["a.png"])

    def test_one_more_image_costs_one_image(self, done):
        Image.fromarray(disc_image([(70, 90, 30)])).save(done.folder / "c.png")
        done.catalogue()
        for name in IMAGES:
            (done.folder / name).unlink()
        masks, particles = done.masks(), done.particles()
        assert (masks.computed, masks.kept, masks.refused) == (1, 4, {})
        assert (particles.computed, particles.refused) == (1, {})

    def test_a_run_cut_short_goes_on_where_it_was(self, fresh, monkeypatch):
        monkeypatch.setattr(per_image, "SAVE_EVERY", 1)

        def cut_after_two(what, count, total):
            if count == 2:
                raise KeyboardInterrupt

        for refresh in (fresh.masks, fresh.particles):
            with listening(cut_after_two), pytest.raises(KeyboardInterrupt):
                refresh()
            hidden = [path.rename(path.with_suffix(".off")) for path in fresh.folder.glob("*.png")]
            total = 4 if refresh == fresh.masks else 3
            seen = []
            with listening(lambda what, count, total, seen=seen: seen.append(total)):
                outcome = refresh()
            assert seen[0] == len(outcome.refused) == total - 2
            assert outcome.kept == 0
            for path in hidden:
                path.rename(path.with_suffix(".png"))
            outcome = refresh()
            assert outcome.refused == {}
        assert fresh.store.read("particles_2d").num_rows == outcome.rows
        ids = [row["particle_id"] for row in table(fresh, "particles_2d")]
        assert len(set(ids)) == len(ids)

    def test_two_runs_cut_short_save_a_particle_once(self, done):
        from graindex.checkpoint import Checkpoint

        rows = done.store.read("particles_2d", "discs")
        done.store.lake.replace({"particles_2d": rows[:0]}, "discs", author="test", message="none")
        for _ in range(2):
            Checkpoint(done.store.location, "particles_2d", "discs").save_tables(
                {"particles_2d": rows}
            )
        done.forget_originals()
        outcome = done.particles()
        assert (outcome.rows, outcome.computed, outcome.refused) == (rows.num_rows,) * 2 + ({},)
        assert table(done, "particles_2d") == rows.to_pylist()


class TestTrouble:
    def test_what_cannot_be_read_is_refused_and_the_rest_goes_on(self, fresh):
        ids = fresh.ids()
        (fresh.folder / "a.png").write_bytes(b"other")
        (fresh.folder / "b.png").unlink()
        outcome = fresh.masks()
        assert (outcome.rows, outcome.computed) == (2, 2)
        assert set(outcome.refused) == {ids["a.png"], ids["b.png"]}
        assert "changed since it was catalogued" in outcome.refused[ids["a.png"]]
        assert "cannot be read" in outcome.refused[ids["b.png"]]
        assert set(fresh.mask_rows()) == {"bar.png", "blank.png"}

    def test_an_original_that_changed_after_its_mask_was_made(self, fresh):
        fresh.masks()
        (fresh.folder / "a.png").write_bytes(b"other")
        outcome = fresh.particles()
        assert list(outcome.refused) == [fresh.ids()["a.png"]]
        assert len(fresh.rows("b.png")) == 2
        assert fresh.rows("a.png") == []

    def test_a_mask_that_is_gone_is_made_again(self, done):
        rows, particles = done.mask_rows(), table(done, "particles_2d")
        (done.home / "files" / rows["a.png"]["mask"][:2] / rows["a.png"]["mask"]).unlink()
        key = rows["a.png"]["micrograph_id"]
        with pytest.raises(OriginalError, match=f"mask of {key} is gone; materialise"):
            load_mask(done.store, rows["a.png"])
        done.store.lake.replace(
            {"particles_2d": done.store.read("particles_2d")[:0]}, "discs", author="", message=""
        )
        outcome = done.particles()
        assert list(outcome.refused) == [key]
        assert outcome.rows == len(particles) - len(DISCS["a.png"])
        masks = done.masks()
        assert (masks.computed, masks.kept) == (1, 3)
        assert done.mask_rows() == rows
        outcome = done.particles()
        assert (outcome.computed, outcome.refused) == (len(DISCS["a.png"]), {})
        assert table(done, "particles_2d") == particles

    def test_a_damaged_mask_is_never_measured(self, done):
        row = done.mask_rows()["a.png"]
        place = done.home / "files" / row["mask"][:2] / row["mask"]
        place.write_bytes(place.read_bytes()[:-9])
        with pytest.raises(OriginalError, match=r"is damaged; delete .* and materialise"):
            load_mask(done.store, row)

    def test_a_home_that_cannot_be_written_stops_the_run(self, fresh):
        shutil.rmtree(fresh.home / "files")
        (fresh.home / "files").write_text("no folder")
        before = fresh.store.snapshot()
        with pytest.raises(HomeError, match=r"cannot be written: .*; make room") as caught:
            fresh.masks()
        assert "\n" not in str(caught.value)
        assert fresh.store.snapshot() == before
        assert fresh.mask_rows() == {}

    def test_an_image_too_small_for_the_settings_of_today_is_refused(self, fresh):
        fresh.store.settings.readers.__dict__["min_side_px"] = SHAPE[0] + 1
        outcome = fresh.masks()
        assert len(outcome.refused) == 3
        assert all(str(fresh.folder) in reason for reason in outcome.refused.values())


class TestNothing:
    @pytest.fixture
    def bare(self, store, tmp_path):
        (tmp_path / "bare").mkdir()
        Image.fromarray(disc_image([])).save(tmp_path / "bare" / "blank.png")
        made = Collection(store.location.folder, tmp_path / "bare")
        return made

    def test_only_blank_images_give_an_empty_table_of_the_right_types(self, bare):
        bare.change(segmentation=BRIGHT)
        assert bare.masks().rows == 1
        assert bare.particles().rows == 0
        rows = bare.store.read("particles_2d", "discs")
        want = arrow_schema(TABLES["particles_2d"])
        assert rows.schema.names == want.names
        assert rows.schema.types == want.types
        assert inputs_of_particles_2d(bare.store, "discs") == {}
        bare.forget_originals()
        assert bare.particles().refused == {}

    def test_a_collection_without_images(self, bare):
        bare.change(segmentation=BRIGHT)
        none = micrographs("discs", [])
        bare.store.lake.replace({"micrographs": none}, "discs", author="test", message="none")
        for outcome in (bare.masks(), bare.particles()):
            assert (outcome.rows, outcome.computed, outcome.refused) == (0, 0, {})
