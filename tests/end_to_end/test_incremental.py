"""Only what changed is computed: a collection's life, one change after the other.

Out of scope: killed and concurrent runs (`test_processes`); particles, of which a second run
computes none (`test_bad_input`, `test_electrodes`).
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import graindex
from graindex.store import Store
from models.calibrate.databar import find_content_box
from models.phantoms.sem import SemPhantom
from orchestration.cli.main import main
from tests.end_to_end.commands import SELECTED, by_asset, one_vector_each, phantom, write_sidecar

PER_IMAGE = ("micrographs", "image_quality", "micrograph_vectors")
Summary = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Collection:
    """A registered folder and how to bring it up to date; every test leaves it so."""

    folder: Path
    home: Path
    capture: pytest.CaptureFixture[str]
    name: str = "life"

    @property
    def store(self) -> Store:
        return graindex.open(self.home)

    def add(self, *options: object) -> None:
        words = ["add", self.folder, "--dataset", self.name, "--home", self.home, *options]
        assert main([str(word) for word in words]) == 0

    def materialize(self) -> Summary:
        self.capture.readouterr()
        words = ["materialize", "--strict", "--format", "json", "--home", str(self.home)]
        code = main([*words, *SELECTED])
        out, err = self.capture.readouterr()
        assert code == 0, err
        one_vector_each(self.store)
        return by_asset(json.loads(out), self.name)

    def rows(self, table: str, as_of: int | None = None) -> dict[str, dict[str, Any]]:
        rows = self.store.read(table, self.name, as_of=as_of).to_pylist()
        return {row["micrograph_id"]: row for row in rows}

    def images(self, as_of: int | None = None) -> dict[str, dict[str, Any]]:
        """Rows of `micrographs` by path."""
        return {row["path"]: row for row in self.rows("micrographs", as_of).values()}

    def vectors(self) -> dict[str, np.ndarray]:
        found = self.store.sql("SELECT micrograph_id, vector FROM vectors.main.micrographs")
        return {key: np.asarray(vector) for key, vector in found.fetchall()}


@pytest.fixture(scope="module")
def places(
    tmp_path_factory: pytest.TempPathFactory, new_home: Callable[[], Path]
) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("life")
    for seed in range(4):
        phantom(folder / f"bar {seed}.png", seed, sidecar=True)
    return folder, new_home()


@pytest.fixture
def life(places: tuple[Path, Path], capfd: pytest.CaptureFixture[str]) -> Collection:
    """The collection, up to date."""
    collection = Collection(*places, capfd)
    if not collection.store.datasets():
        collection.add()
        collection.materialize()
    return collection


def counts(summary: Summary) -> dict[str, tuple[int, int, int, int]]:
    """Rows, computed, kept and dropped, by asset of images."""
    names = ("rows", "computed", "kept", "dropped")
    return {asset: tuple(summary[asset][name] for name in names) for asset in PER_IMAGE}


def test_a_second_run_computes_nothing_and_writes_nothing(life: Collection) -> None:
    snapshot, vectors = life.store.snapshot(), life.store.vectors.version("micrographs")
    summary = life.materialize()
    assert all(row["computed"] == row["dropped"] == 0 for row in summary.values()), summary
    assert life.store.snapshot() == snapshot
    assert life.store.vectors.version("micrographs") == vectors
    assert summary["image_quality"]["snapshot"] == snapshot
    assert summary["micrograph_vectors"]["snapshot"] == vectors


def test_one_new_image_computes_one(life: Collection) -> None:
    before, vectors = life.rows("micrographs"), life.vectors()
    phantom(life.folder / "sub" / "new.png", 100, databar=False)
    summary = life.materialize()
    n = len(before)
    assert counts(summary) == dict.fromkeys(PER_IMAGE, (n + 1, 1, n, 0))
    after = life.rows("micrographs")
    assert {key: after[key] for key in before} == before
    assert life.images()["sub/new.png"]["micrograph_id"] not in before
    assert all(np.array_equal(life.vectors()[key], vector) for key, vector in vectors.items())


@pytest.mark.slow  # tests/graindex/test_image_particles.py removes one as well
def test_a_removed_image_drops_one(life: Collection) -> None:
    phantom(life.folder / "short-lived.png", 101, databar=False)
    life.materialize()
    before = life.rows("micrographs")
    (life.folder / "short-lived.png").unlink()
    n = len(before) - 1
    assert counts(life.materialize()) == dict.fromkeys(PER_IMAGE, (n, 0, n, 1))
    assert "short-lived.png" not in life.images()


def test_a_renamed_image_computes_none(life: Collection) -> None:
    before, vectors = life.images(), life.vectors()
    for suffix in ("", ".txt"):
        (life.folder / f"bar 3.png{suffix}").rename(life.folder / f"renamed 3.png{suffix}")
    sidecar = life.folder / "renamed 3.png.txt"
    sidecar.write_text(sidecar.read_text().replace("bar 3.png", "renamed 3.png"))
    summary = life.materialize()
    n = len(before)
    # The sidecar names its image, so it changed with the name and the image is read anew.
    assert counts(summary)["micrographs"] == (n, 1, n - 1, 0)
    assert counts(summary)["image_quality"] == counts(summary)["micrograph_vectors"] == (n, 0, n, 0)
    (life.folder / "renamed 3.png").rename(life.folder / "again 3.png")
    sidecar.rename(life.folder / "again 3.png.txt")
    assert counts(life.materialize()) == dict.fromkeys(PER_IMAGE, (n, 0, n, 0))
    after = life.images()
    assert after["again 3.png"]["micrograph_id"] == before["bar 3.png"]["micrograph_id"]
    assert after["again 3.png"]["uri"] == str(life.folder / "again 3.png")
    assert "bar 3.png" not in after
    assert all(np.array_equal(life.vectors()[key], vector) for key, vector in vectors.items())


def test_a_changed_sidecar_reads_that_image_anew(life: Collection) -> None:
    before = life.images()
    image = life.folder / "bar 0.png"
    assert before[image.name]["accelerating_voltage_kv"] == 15
    write_sidecar(image, SemPhantom(seed=0, shape_px=(192, 768), kv=25))
    summary = life.materialize()
    n = len(before)
    assert counts(summary)["micrographs"] == (n, 1, n - 1, 0)
    # Pixels are what they were, so nothing that follows from pixels is computed.
    assert counts(summary)["image_quality"] == counts(summary)["micrograph_vectors"] == (n, 0, n, 0)
    assert life.images()[image.name]["accelerating_voltage_kv"] == 25
    findings = life.store.sql("SELECT micrograph_id, finding FROM findings").fetchall()
    key = before[image.name]["micrograph_id"]
    assert (key, "accelerating_voltage_kv_disagreement") in findings


@pytest.mark.slow
def test_a_declared_pixel_size_reads_no_pixel(life: Collection) -> None:
    before, snapshot = life.images(), life.store.snapshot()
    life.add("--pixel-size-um", 0.25)
    summary = life.materialize()
    n = len(before)
    assert counts(summary) == dict.fromkeys(PER_IMAGE, (n, 0, n, 0))
    assert life.store.snapshot() > snapshot
    now = life.images()
    assert {row["pixel_size_um"] for row in now.values()} == {0.25}
    assert {row["pixel_size_source"] for row in now.values()} == {"user"}
    assert life.images(as_of=snapshot) == before
    at = f"SELECT path, pixel_size_um FROM micrographs AT (VERSION => {snapshot})"
    was = {path: row["pixel_size_um"] for path, row in before.items()}
    assert dict(life.store.sql(at).fetchall()) == was
    # What was read is kept beside what was declared, and comes back with the declaration gone.
    life.add()
    assert counts(life.materialize()) == dict.fromkeys(PER_IMAGE, (n, 0, n, 0))
    assert {p: row["pixel_size_um"] for p, row in life.images().items()} == was


def test_a_changed_image_replaces_its_rows(life: Collection) -> None:
    before = life.images()
    phantom(life.folder / "bar 1.png", 201, sidecar=True)
    n = len(before)
    assert counts(life.materialize()) == dict.fromkeys(PER_IMAGE, (n, 1, n - 1, 1))
    gone = before["bar 1.png"]["micrograph_id"]
    assert gone not in life.rows("micrographs") | life.rows("image_quality") | life.vectors()


def test_a_moved_home_goes_on_where_it_was(life: Collection, tmp_path: Path) -> None:
    before, n = life.images(), len(life.images())
    moved = tmp_path / "it's moved"
    shutil.copytree(life.home, moved)
    elsewhere = Collection(life.folder, moved, life.capture)
    assert elsewhere.images() == before
    phantom(life.folder / "after the move.png", 300, databar=False)
    assert counts(elsewhere.materialize()) == dict.fromkeys(PER_IMAGE, (n + 1, 1, n, 0))
    assert life.images() == before
    (life.folder / "after the move.png").unlink()


@pytest.mark.real_data
def test_blanking_the_databar_changes_no_vector(
    real_data: Path, new_home: Callable[[], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chosen = [
        *sorted((real_data / "ncm622_cycled_sem").glob("*.jpg"))[:1],
        *sorted((real_data / "llzto_llto_sem").rglob("*.tif"))[::40],
    ]
    assert len(chosen) == 3
    twins = Collection(tmp_path / "twins", new_home(), capfd, "twins")
    for number, source in enumerate(chosen):
        pixels = np.asarray(Image.open(source).convert("L"))
        bar = find_content_box(pixels).databar
        assert bar is not None, source
        for level in (None, 0, 255):
            twin = pixels.copy()
            if level is not None:
                twin[bar.y0 : bar.y1, bar.x0 : bar.x1] = level
            target = twins.folder / f"{number} {level}.png"
            target.parent.mkdir(exist_ok=True)
            assert cv2.imwrite(str(target), twin)
    twins.add()
    twins.materialize()
    vectors, images = twins.vectors(), twins.images()
    assert len(vectors) == 3 * len(chosen)
    for number in range(len(chosen)):
        whole, *blanked = (
            vectors[images[f"{number} {level}.png"]["micrograph_id"]] for level in (None, 0, 255)
        )
        assert all(np.array_equal(whole, vector) for vector in blanked), chosen[number]
