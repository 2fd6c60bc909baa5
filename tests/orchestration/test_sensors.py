"""The sensor asks for a run exactly when a collection's files or registration changed."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import tifffile
from PIL import Image

from assets.resources import DATASETS, StoreResource
from graindex.registration import register_collection
from graindex.store import Store, open_store
from orchestration.sensors import new_files


class Watcher:
    """Evaluates the sensor again and again as the daemon does, cursor in hand."""

    def __init__(self, store: Store, instance: dg.DagsterInstance) -> None:
        self.store = store
        self.instance = instance
        self.cursor: str | None = None

    def look(self) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = new_files(context, store=StoreResource(home=self.store.location.home))
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(str(DATASETS.name), request.partition_keys)
        return result

    def requested(self) -> list[str]:
        """Collections that a look asks to run."""
        return [str(request.partition_key) for request in self.look().run_requests or []]


@pytest.fixture
def watcher(tmp_path: Path, empty_home: Path) -> Iterator[Watcher]:
    shutil.copytree(empty_home, tmp_path / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watcher(open_store(tmp_path / "home"), instance)


@pytest.fixture
def folder(tmp_path: Path, watcher: Watcher) -> Path:
    """Folder of a registered collection of two images."""
    made = tmp_path / "images"
    made.mkdir()
    write(made / "a.png", 1)
    write(made / "b.png", 2)
    register_collection(watcher.store, str(made), dataset="first")
    return made


def write(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 48), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_a_new_collection_gets_a_partition_and_a_run(watcher: Watcher, folder: Path) -> None:
    result = watcher.look()
    (added,) = result.dynamic_partitions_requests
    assert added.partition_keys == ["first"]
    (request,) = result.run_requests
    assert request.partition_key == "first"
    assert request.run_key is None


def test_a_known_partition_is_not_added_again(watcher: Watcher, folder: Path) -> None:
    watcher.look()
    write(folder / "c.png", 3)
    result = watcher.look()
    assert not result.dynamic_partitions_requests
    assert [request.partition_key for request in result.run_requests] == ["first"]


def test_nothing_changed_skips_with_the_reason(watcher: Watcher, folder: Path) -> None:
    watcher.look()
    result = watcher.look()
    assert not result.run_requests
    assert str(result.skip_reason.skip_message) == "no file changed"


@pytest.mark.parametrize("change", ["added", "removed", "rewritten", "touched", "sidecar"])
def test_a_changed_file_asks_for_a_run(watcher: Watcher, folder: Path, change: str) -> None:
    watcher.look()
    if change == "added":
        write(folder / "c.png", 3)
    elif change == "removed":
        (folder / "b.png").unlink()
    elif change == "rewritten":
        write(folder / "b.png", 3)
    elif change == "touched":
        os.utime(folder / "b.png", (1e9, 1e9))
    else:
        (folder / "b.png.txt").write_text("Magnification : 500\n", encoding="utf-8")
    assert watcher.requested() == ["first"]
    assert watcher.requested() == []


def test_a_changed_registration_asks_for_a_run(watcher: Watcher, folder: Path) -> None:
    watcher.look()
    register_collection(watcher.store, str(folder), dataset="first", declared_pixel_size_um=0.25)
    assert watcher.requested() == ["first"]


def test_a_changed_annotation_asks_for_a_run(watcher: Watcher, folder: Path) -> None:
    masks = folder.parent / "masks"
    masks.mkdir()
    write(masks / "a.png", 1)
    register_collection(
        watcher.store, str(folder), dataset="first", annotations={"uri": str(masks)}
    )
    assert watcher.requested() == ["first"]
    assert watcher.requested() == []
    write(masks / "b.png", 2)
    assert watcher.requested() == ["first"]
    shutil.rmtree(masks)
    skipped = watcher.look()
    assert not skipped.run_requests
    assert "masks is not there" in str(skipped.skip_reason.skip_message)


def test_going_back_to_an_earlier_state_asks_again(watcher: Watcher, folder: Path) -> None:
    os.utime(folder / "b.png", (1e9, 1e9))
    assert watcher.requested() == ["first"]
    for when in (2e9, 1e9, 2e9):
        os.utime(folder / "b.png", (when, when))
        assert watcher.requested() == ["first"]


def test_only_the_changed_collection_runs(watcher: Watcher, folder: Path, tmp_path: Path) -> None:
    second = tmp_path / "more"
    second.mkdir()
    write(second / "a.png", 4)
    register_collection(watcher.store, str(second), dataset="second")
    assert watcher.requested() == ["first", "second"]
    write(second / "b.png", 5)
    assert watcher.requested() == ["second"]


def test_each_kind_of_collection_runs_its_own_job(
    watcher: Watcher, folder: Path, tmp_path: Path
) -> None:
    volumes = tmp_path / "volumes"
    volumes.mkdir()
    tifffile.imwrite(volumes / "a.tif", np.zeros((4, 32, 32), np.uint8), photometric="minisblack")
    register_collection(watcher.store, str(volumes), dataset="second", kind="volumes")
    jobs = {r.partition_key: r.job_name for r in watcher.look().run_requests or []}
    assert jobs == {"first": "catalog_micrographs", "second": "catalog_volumes"}


def test_a_vanished_folder_does_not_hide_the_others(
    watcher: Watcher, folder: Path, tmp_path: Path
) -> None:
    second = tmp_path / "more"
    second.mkdir()
    write(second / "a.png", 4)
    register_collection(watcher.store, str(second), dataset="second")
    watcher.look()
    folder.rename(tmp_path / "elsewhere")
    result = watcher.look()
    assert not result.run_requests
    assert str(folder) in str(result.skip_reason.skip_message)
    write(second / "b.png", 5)
    assert watcher.requested() == ["second"]
    (tmp_path / "elsewhere").rename(folder)
    assert watcher.requested() == ["first"]


def test_a_broken_registration_does_not_hide_the_others(watcher: Watcher, folder: Path) -> None:
    broken = Path(watcher.store.location.under("datasets", "broken.yaml"))
    broken.write_text("dataset: [", encoding="utf-8")
    assert watcher.requested() == ["first"]
    assert "broken.yaml" in str(watcher.look().skip_reason.skip_message)


def test_an_empty_home_is_no_error(watcher: Watcher) -> None:
    result = watcher.look()
    assert not result.run_requests
    assert not result.dynamic_partitions_requests
