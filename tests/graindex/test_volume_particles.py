"""Particles and contacts of volumes: against truth, incrementally, and through kills and damage."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from graindex import volume_particles
from graindex.checkpoint import Checkpoint
from graindex.ducklake import attach
from graindex.files import sha256
from graindex.progress import listening
from graindex.recipes import make_recipe
from graindex.statistics import refresh_statistics
from graindex.store import open_store
from graindex.volume_labels import refresh_labels_3d
from graindex.volume_particles import (
    PARTICLES_3D_CODE_VERSION,
    inputs_of_particles_3d,
    refresh_particles_3d,
)
from models.measure import particles_3d
from models.phantoms.electrode import plan, render
from models.phantoms.electrode_config import ElectrodePhantom
from models.phantoms.solids import (
    ball_with_binder,
    penny_cracked_ball,
    random_rotation,
    touching_pair,
)
from schemas.tables import TABLES
from tests.graindex.volume_rows import SPACING_UM, put_volume, write_volumes

SPAWN = multiprocessing.get_context("spawn")
SHAPE = (36, 44, 40)
SEGMENTATION = {
    "phase_values": (1,),
    "min_diameter_px": 8.0,
    "polarity": "bright",
    "closing_px": 2.0,
}
NAMES = ("particles_3d", "contacts")


def recipe(segmentation=None, **measurement):
    return make_recipe(
        dataset="a",
        location_uri="/volumes",
        kind="volumes",
        segmentation=SEGMENTATION | (segmentation or {}),
        measurement=measurement,
    )


def label(store, how=None):
    return refresh_labels_3d(store, how or recipe(), author="test")


def measure(store, how=None):
    outcomes = refresh_particles_3d(store, how or recipe(), author="test")
    assert list(outcomes) == list(NAMES)
    assert outcomes["particles_3d"].snapshot == outcomes["contacts"].snapshot
    return outcomes["particles_3d"], outcomes["contacts"]


def particles_of(store, record=None):
    rows = store.read("particles_3d", "a").to_pylist()
    return [row for row in rows if record is None or row["volume_id"] == record["volume_id"]]


def contacts_of(store):
    return store.read("contacts", "a").to_pylist()


def both(store):
    return {name: store.read(name, "a") for name in NAMES}


@pytest.fixture(scope="module")
def truths():
    """Phantoms with their truth: a cracked ball, two that touch, one in its binder."""
    common = {"spacing_um": SPACING_UM}
    cracked = penny_cracked_ball(
        (40, 40, 40),
        radius_um=8,
        crack_radius_um=5,
        opening_um=1.0,
        rotation=random_rotation(1),
        **common,
    )
    pair = touching_pair(
        SHAPE, radii_um=(4.5, 4.0), distance_um=6.8, direction=(0.3, 0.6, 0.8), **common
    )
    coated = ball_with_binder(SHAPE, radius_um=6, covered=0.4, thickness_um=1.5, **common)
    return {"cracked": cracked, "pair": pair, "coated": coated}


@pytest.fixture(scope="module")
def home_of_four(empty_home, truths, tmp_path_factory):
    """A home with the phantoms and an empty volume, labelled and measured."""
    home = tmp_path_factory.mktemp("four") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    (cracked, _), (pair, _), (coated, phases, _) = truths.values()
    records = {
        "cracked": put_volume(store, "a", "cracked", phases=cracked.astype(np.uint8)),
        "pair": put_volume(
            store,
            "a",
            "pair",
            labels=(pair * 5).astype(np.uint16),
            grey=np.where(pair > 0, pair + 0.5, np.nan).astype(np.float32),
        ),
        "coated": put_volume(store, "a", "coated", labels=coated, phases=phases),
        "empty": put_volume(store, "a", "empty", grey=np.zeros((12, 12, 12), np.uint8)),
    }
    write_volumes(store, "a", list(records.values()))
    assert label(store).refused == {}
    outcome, contacts = measure(store)
    assert (outcome.rows, outcome.computed, outcome.kept, outcome.refused) == (4, 4, 0, {})
    assert (contacts.rows, contacts.computed) == (1, 1)
    return home, records


@pytest.fixture
def four(home_of_four, tmp_path):
    home, records = home_of_four
    shutil.copytree(home, tmp_path / "four")
    return open_store(tmp_path / "four"), records


class TestTruth:
    def test_a_cracked_ball(self, four, truths):
        store, records = four
        (row,) = particles_of(store, records["cracked"])
        truth = truths["cracked"][1]
        assert row["volume_um3"] == pytest.approx(truth.volume_um3, rel=0.01)
        assert row["damage"] == pytest.approx(truth.damage, rel=0.03)
        assert row["surface_outer_um2"] == pytest.approx(truth.surface_outer_um2, rel=0.02)
        assert (row["z_um"], row["y_um"], row["x_um"]) == pytest.approx(truth.centre_um, abs=0.1)
        assert not row["touches_border"]
        assert row["detachment"] == 1  # phases say that nothing around it is binder
        assert row["electron_density_mean"] is None

    def test_two_that_touch(self, four, truths):
        store, records = four
        rows = sorted(particles_of(store, records["pair"]), key=lambda row: row["label"])
        truth = truths["pair"][1]
        assert [row["label"] for row in rows] == [5, 10]
        for row, volume, mean in zip(rows, truth.volumes_um3, (1.5, 2.5), strict=True):
            assert row["volume_um3"] == pytest.approx(volume, rel=0.02)
            assert row["electron_density_mean"] == mean
            assert row["detachment"] is None
        (contact,) = contacts_of(store)
        assert (contact["label_a"], contact["label_b"]) == (5, 10)
        assert contact["contact_area_um2"] == pytest.approx(truth.contact_area_um2, rel=0.15)

    def test_binder(self, four, truths):
        store, records = four
        (row,) = particles_of(store, records["coated"])
        assert row["detachment"] == pytest.approx(0.6, abs=0.03)
        assert row["conduction_path_max_um"] > 6

    def test_grey_values_that_are_segmented(self, store, truths):
        labels, truth = truths["pair"]
        noise = np.random.default_rng(2).normal(0, 4, SHAPE)
        grey = (np.where(labels > 0, 150, 60) + noise).astype(np.float32)
        write_volumes(store, "a", [put_volume(store, "a", "grey", grey=grey)])
        how = recipe({"closing_px": 0.0, "neck": 0.85})
        label(store, how)
        assert measure(store, how)[0].rows == 2
        found = sorted(row["volume_um3"] for row in particles_of(store))
        assert found == pytest.approx(sorted(truth.volumes_um3), rel=0.05)

    def test_a_small_electrode(self, store):
        electrode = plan(
            ElectrodePhantom(
                shape_voxels=(44, 52, 52),
                diameter_um=5,
                voxel_size_um=(0.5, 0.5, 0.5),
                collector_um=1.5,
                separator_um=1.0,
            )
        )
        block, truth = render(electrode), electrode.truth
        record = put_volume(store, "a", "cell", labels=block.labels, phases=block.phases)
        write_volumes(store, "a", [record])
        label(store)
        measure(store)
        rows = {row["label"]: row for row in particles_of(store)}
        assert sorted(rows) == np.unique(block.labels[block.labels > 0]).tolist()
        whole = [
            n for n, cut in zip(truth["label"], truth["touches_border"], strict=True) if not cut
        ]
        assert len(whole) > 10
        measured = np.array([rows[n]["volume_um3"] for n in whole])
        assert measured == pytest.approx(truth["volume_um3"][np.array(whole) - 1], rel=0.06)
        for row in rows.values():
            assert all(row[name] is not None for name in TABLES["particles_3d"].never_null)
        assert len(contacts_of(store)) > 3


class TestKeys:
    def test_ids_are_unique_and_follow_from_the_labels(self, four):
        store, _ = four
        labels = {
            row["volume_id"]: row["label_volume"]
            for row in store.read("particle_labels_3d", "a").to_pylist()
        }
        rows = particles_of(store)
        assert len({row["particle_id"] for row in rows}) == len(rows)
        for row in rows:
            parts = (row["volume_id"], labels[row["volume_id"]], str(row["label"]))
            assert row["particle_id"] == sha256(*parts)[:16]
            assert row["code_version"] == PARTICLES_3D_CODE_VERSION

    def test_contacts_name_particles(self, four):
        store, _ = four
        ids = {(row["volume_id"], row["label"]): row["particle_id"] for row in particles_of(store)}
        for row in contacts_of(store):
            for end in "ab":
                assert row[f"particle_{end}_id"] == ids[row["volume_id"], row[f"label_{end}"]]

    def test_inputs_are_those_of_the_rows(self, four):
        store, records = four
        found = {row["volume_id"]: row["input_hash"] for row in particles_of(store)}
        assert inputs_of_particles_3d(store, recipe()) == found
        assert records["empty"]["volume_id"] not in found
        other = inputs_of_particles_3d(store, recipe(conduction=False))
        assert other.keys() == found.keys()
        assert not set(other.values()) & set(found.values())


class TestAgain:
    def test_nothing_is_computed(self, four, monkeypatch):
        store, _ = four
        before, snapshot = both(store), store.snapshot()
        monkeypatch.setattr(volume_particles, "measure_particles_3d", pytest.fail)
        outcome, contacts = measure(store)
        assert (outcome.rows, outcome.computed, outcome.kept, outcome.dropped) == (4, 0, 4, 0)
        assert (contacts.rows, contacts.computed, contacts.kept) == (1, 0, 1)
        assert outcome.snapshot == snapshot
        assert both(store) == before

    def test_rows_from_before_confidences_stay_and_have_none(self, four, monkeypatch):
        store, _ = four
        old = attach(store.location, read_only=False)
        old.execute("ALTER TABLE lake.particles_3d DROP COLUMN segmentation_confidence")
        old.close()
        monkeypatch.setattr(volume_particles, "measure_particles_3d", pytest.fail)
        store = open_store(store.location.home)
        assert measure(store)[0].kept == 4
        rows = store.lake.read("particles_3d", "a", columns=("label", "segmentation_confidence"))
        assert rows["segmentation_confidence"].to_pylist() == [None] * 4
        assert refresh_statistics(store, recipe(), author="test").rows > 0

    def test_other_measurement_spares_the_labels(self, four):
        store, _ = four
        how = recipe(contact_ring_um=1.0)
        assert label(store, how).computed == 0
        outcome, contacts = measure(store, how)
        assert (outcome.computed, outcome.kept, outcome.dropped) == (4, 0, 0)
        assert contacts.computed == 1
        assert all(row["contact_fraction_ring"] is not None for row in particles_of(store))

    def test_other_segmentation_measures_what_it_changes(self, four):
        store, records = four
        how = recipe({"closing_px": 3.0})
        assert label(store, how).computed == 2
        outcome, _ = measure(store, how)
        assert (outcome.rows, outcome.computed, outcome.kept) == (4, 1, 3)
        assert len(particles_of(store, records["cracked"])) == 1

    def test_another_volume_costs_one(self, four, truths):
        store, records = four
        before = both(store)
        more = put_volume(store, "a", "more", labels=truths["pair"][0].astype(np.uint8))
        write_volumes(store, "a", [*records.values(), more])
        label(store)
        outcome, contacts = measure(store)
        assert (outcome.rows, outcome.computed, outcome.kept, outcome.dropped) == (6, 2, 4, 0)
        assert (contacts.rows, contacts.computed, contacts.kept) == (2, 1, 1)
        write_volumes(store, "a", list(records.values()))
        label(store)
        outcome, contacts = measure(store)
        assert (outcome.rows, outcome.computed, outcome.kept, outcome.dropped) == (4, 0, 4, 2)
        assert contacts.dropped == 1
        assert both(store) == before

    def test_another_spacing(self, four):
        store, records = four
        before = {row["particle_id"]: row for row in particles_of(store, records["pair"])}
        doubled = {f"voxel_size_{axis}_um": 1.0 for axis in "zyx"}
        write_volumes(store, "a", [record | doubled for record in records.values()])
        label(store)
        assert measure(store)[0].computed == 4
        for row in particles_of(store, records["pair"]):
            small = before[row["particle_id"]]
            assert row["volume_um3"] == pytest.approx(8 * small["volume_um3"])
            assert row["surface_outer_um2"] == pytest.approx(4 * small["surface_outer_um2"])

    def test_from_chunks_of_a_large_volume_alike(self, four, monkeypatch):
        store, records = four
        before = both(store)
        write_volumes(store, "a", [])
        label(store)
        assert measure(store)[0].rows == 0
        write_volumes(store, "a", list(records.values()))
        label(store)
        monkeypatch.setattr(volume_particles, "IN_MEMORY_BYTES", 0)
        assert measure(store)[0].computed == 4
        assert_alike(both(store), before)


def assert_alike(found, expected):
    """Equal tables, but for the last digits of sums that threads added up in another order."""
    for name in NAMES:
        assert found[name].schema == expected[name].schema
        for column in found[name].column_names:
            mine, theirs = found[name][column], expected[name][column]
            if column.startswith(("electron", "homogeneity")):
                numbers = (mine.to_numpy(), theirs.to_numpy())
                np.testing.assert_allclose(*numbers, rtol=1e-9, err_msg=column)
            else:
                assert mine.to_pylist() == theirs.to_pylist(), column


class TestNothing:
    def test_no_volumes_and_no_particles(self, store, monkeypatch):
        outcome, contacts = measure(store)
        assert (outcome.rows, contacts.rows, outcome.refused) == (0, 0, {})
        record = put_volume(store, "a", "empty", grey=np.zeros((9, 9, 9), np.uint8))
        write_volumes(store, "a", [record])
        label(store)
        monkeypatch.setattr(volume_particles, "measure_particles_3d", pytest.fail)
        assert measure(store)[0].rows == 0
        assert inputs_of_particles_3d(store, recipe()) == {}


class TestDamage:
    def test_a_damaged_chunk_is_refused_and_the_rest_goes_on(self, four):
        store, records = four
        before = both(store)
        key = label_volume(store, records["cracked"])
        address = spoil(store, "labels", key)
        how = recipe(packing_cube_um=50)
        outcome, contacts = measure(store, how)
        assert (outcome.rows, outcome.computed, outcome.dropped) == (3, 3, 1)
        assert contacts.rows == 1
        (line,) = outcome.refused.values()
        assert list(outcome.refused) == list(contacts.refused) == ["cracked.tif"]
        assert "chunk" in line
        assert line.endswith(f"remove {address} and materialise particle_labels_3d again")
        assert "\n" not in line
        shutil.rmtree(address)
        (line,) = measure(store, how)[0].refused.values()
        assert line == "its labels are not in the store: materialise particle_labels_3d again"
        assert label(store, how).computed == 1
        outcome, _ = measure(store, how)
        assert (outcome.rows, outcome.computed, outcome.kept, outcome.refused) == (4, 1, 3, {})
        assert measure(store)[0].computed == 4
        assert_alike(both(store), before)

    def test_damaged_grey_belongs_to_another_asset(self, four, monkeypatch):
        store, records = four
        address = spoil(store, "grey", records["pair"]["grey_hash"])
        for in_memory in (1 << 30, 0):
            monkeypatch.setattr(volume_particles, "IN_MEMORY_BYTES", in_memory)
            (line,) = measure(store, recipe(packing_cube_um=50))[0].refused.values()
            assert line.endswith(f"remove {address} and materialise volumes again")

    def test_volumes_that_do_not_fit(self, four):
        store, records = four
        other = put_volume(store, "a", "x", grey=np.ones((5, 5, 5), np.uint8))
        records["pair"]["grey_hash"] = other["grey_hash"]
        write_volumes(store, "a", list(records.values()))
        outcome, _ = measure(store)
        assert (outcome.rows, outcome.kept) == (2, 2)
        assert "grey has shape (5, 5, 5)" in outcome.refused["pair.tif"]


def label_volume(store, record):
    rows = store.read("particle_labels_3d", "a").to_pylist()
    return next(r["label_volume"] for r in rows if r["volume_id"] == record["volume_id"])


def spoil(store, kind, key):
    """Flip a bit in a chunk; returns the folder of the volume."""
    address = store.volume_store.address(kind, key)
    chunk = next(path for path in sorted(Path(address).rglob("c/*/*/*")) if path.is_file())
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 0x10
    chunk.write_bytes(data)
    return address


def many_balls():
    """Twelve balls, some of them with a hole."""
    labels = np.zeros((40, 48, 40), np.uint16)
    at = np.indices(labels.shape).transpose(1, 2, 3, 0)
    centres = [(z, y, x) for z in (10, 29) for y in (8, 24, 40) for x in (10, 30)]
    for number, centre in enumerate(centres, start=1):
        distance = np.linalg.norm(at - centre, axis=-1)
        labels[(distance <= 7) & (distance > number % 3)] = number
    return labels


def measure_until_killed(home, how, batches):
    """Measure one particle at a time, and die when so many are kept."""
    particles_3d.BATCH = 1
    save = Checkpoint.save_array
    kept = []

    def save_and_die(self, name, array):
        save(self, name, array)
        kept.append(name)
        if len(kept) == batches:
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.save_array = save_and_die
    refresh_particles_3d(open_store(home), how, author="killed")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
class TestKill:
    def test_close_ups_are_gone_on_with(self, store, tmp_path, monkeypatch):
        record = put_volume(store, "a", "many", labels=many_balls())
        write_volumes(store, "a", [record])
        label(store)
        shutil.copytree(store.location.folder, tmp_path / "other")
        other = open_store(tmp_path / "other")
        assert measure(other)[0].computed == 12
        arguments = (store.location.folder, recipe(), 5)
        child = SPAWN.Process(target=measure_until_killed, args=arguments)
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        folder = store.location.folder / "work" / "particles_3d" / "a"
        assert len(list(folder.glob("*.npy"))) == 5
        assert store.read("particles_3d", "a").num_rows == 0
        looked_at = []
        close_up = particles_3d.close_up

        def counted(label, *arguments):
            looked_at.append(label)
            return close_up(label, *arguments)

        monkeypatch.setattr(particles_3d, "close_up", counted)
        outcome, _ = measure(store)
        assert (outcome.rows, outcome.computed) == (12, 12)
        assert len(looked_at) == 12 - 5
        assert both(store) == both(other)
        assert not folder.exists()


class TestInterrupted:
    def test_close_ups_of_other_options_are_not_used(self, store, monkeypatch):
        write_volumes(store, "a", [put_volume(store, "a", "many", labels=many_balls())])
        label(store)
        narrow = recipe(contact_ring_um=0.6)
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "save_tables", interrupted)
            with pytest.raises(KeyboardInterrupt):
                measure(store, narrow)
        wide = recipe(contact_ring_um=2.0)
        measure(store, wide)
        found = both(store)
        measure(store, narrow)
        fraction = "contact_fraction_ring"
        assert found["particles_3d"][fraction] != both(store)["particles_3d"][fraction]
        measure(store, wide)
        assert_alike(both(store), found)

    def test_finished_volumes_are_kept_with_their_contacts(self, four, truths, monkeypatch):
        store, _ = four
        how = recipe(contact_ring_um=1.0)
        total = 4

        def interrupt(what, done, of):
            if what == "particles_3d" and done == of - 1:
                raise KeyboardInterrupt

        with listening(interrupt), pytest.raises(KeyboardInterrupt):
            measure(store, how)
        before = both(store)
        assert before["particles_3d"].num_rows == total
        # a second run beside it has kept the same rows
        work = Checkpoint(store.location, "particles_3d", "a")
        saved = {name: work.load(name) for name in NAMES}
        assert 0 < saved["particles_3d"].num_rows < total
        work.save_tables(saved)
        measured = []
        real = volume_particles.measure_particles_3d

        def counted(*arguments, **options):
            measured.append(options)
            return real(*arguments, **options)

        monkeypatch.setattr(volume_particles, "measure_particles_3d", counted)
        outcome, contacts = measure(store, how)
        assert (outcome.rows, outcome.computed, outcome.kept) == (total, total, 0)
        assert (contacts.rows, contacts.computed) == (1, 1)
        assert len(measured) == 1
        assert len({row["particle_id"] for row in particles_of(store)}) == total


def interrupted(*_):
    raise KeyboardInterrupt
