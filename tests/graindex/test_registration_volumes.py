"""Registering collections of volumes, and single files: what is told, copied and refused."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from graindex.errors import CollectionError, HomeError
from graindex.readers.volumes import open_volume
from graindex.registration import register_collection
from graindex.scan import list_collection
from graindex.volume_scan import list_volumes
from graindex.volumes import refresh_volumes

VOLUME = np.random.default_rng(0).integers(0, 255, (4, 8, 9), dtype=np.uint8)
SIZE = (0.5, 0.1, 0.1)


def tiff(path, volume=VOLUME):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, volume, photometric="minisblack")


def register(store, path, **fields):
    fields = {"dataset": "a", "kind": "volumes", "declared_voxel_size_um": SIZE} | fields
    return register_collection(store, str(path), **fields)


@pytest.fixture
def folder(tmp_path):
    """Two cells in three states of completeness, and what does not belong to them."""
    folder = tmp_path / "c"
    tiff(folder / "fresh" / "cell1_grey.tif")
    tiff(folder / "fresh" / "cell1_labels.tif")
    for number, plane in enumerate(VOLUME):
        tiff(folder / "aged" / "cell2" / f"{number}.tif", plane)
    zarr.create_array(folder / "aged" / "cell3.zarr", data=VOLUME, chunks=(4, 4, 4), zarr_format=2)
    (folder / "notes.txt").write_text("x")
    (folder / "cell4.mrc.gz").write_bytes(b"\x1f\x8b")
    return folder


def test_the_summary_counts_volumes_by_what_they_hold(store, folder):
    registered = register(store, folder, label_pattern=r"^(?P<state>\w+)/")
    assert (registered.volumes, registered.images, registered.ignored) == (3, 0, 1)
    assert registered.contents == (("grey", 3), ("labels", 1))
    assert (registered.samples, registered.labels) == (2, ("state",))
    assert registered.lines() == [
        "a: 3 volumes (3 with grey, 1 with labels), 2 specimens labelled by state; "
        "1 other files ignored",
        "refused cell4.mrc.gz: compressed with gzip: unpack it first",
    ]
    recipe = store.recipe("a")
    assert (recipe.kind, recipe.declared_voxel_size_um) == ("volumes", SIZE)
    assert recipe.location_uri == str(folder)


def test_settings_of_reading_and_measuring_are_kept(store, folder):
    register(
        store,
        folder,
        volumes={"content": "phases", "pore_phase": None},
        segmentation={"phase_values": [2]},
        measurement={"closing_radius_um": 0.2},
    )
    recipe = store.recipe("a")
    assert (recipe.volumes.content, recipe.volumes.pore_phase) == ("phases", None)
    assert tuple(recipe.segmentation.phase_values) == (2,)


def test_volumes_are_labelled_by_a_table(store, folder, tmp_path):
    table = tmp_path / "samples.csv"
    table.write_text("path,cycles\naged/cell2,10\ncell3.zarr,20\nfresh/cell9.tif,30\n")
    registered = register(store, folder, samples_uri=str(table))
    assert registered.unjoined == ("fresh/cell9.tif",)
    assert registered.unlabelled == ("fresh/cell1_grey.tif",)
    told = "\n".join(registered.lines())
    assert "no label fits 1 volumes, the first 'fresh/cell1_grey.tif'" in told
    assert "1 rows of the table fit no volume, as 'fresh/cell9.tif'" in told


def test_a_pattern_that_fits_nothing(store, folder):
    with pytest.raises(CollectionError, match="fits none of 3 paths, such as 'aged/cell2'"):
        register(store, folder, label_pattern=r"(?P<x>QQQ)")


def test_no_volume_says_what_was_looked_for(store, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(CollectionError, match=r"holds no volume \(looked for Zarr, HDF5, MRC"):
        register(store, tmp_path)
    (tmp_path / "cell.rec.bz2").write_bytes(b"BZh")
    with pytest.raises(CollectionError, match=r"cell\.rec\.bz2 is compressed with bzip2: unpack"):
        register(store, tmp_path)
    assert store.datasets() == []


@pytest.mark.parametrize("below", ["", "fresh/cell1_grey.tif", "aged/cell2", "aged/cell3.zarr"])
def test_a_copy_holds_the_same_volumes(store, folder, below):
    register(store, folder / below, copy=True)
    there = Path(store.recipe("a").location_uri)
    assert there == Path(store.location.data) / "originals" / "a"
    before, after = (
        list_volumes(str(place), list_collection(str(place)), store.recipe("a").volumes)
        for place in (folder / below, there)
    )
    assert [group.path for group in after.groups] == [group.path for group in before.groups] != []
    assert after.ignored == after.refusals == ()  # all files of the volumes, and no others
    for one, other in zip(before.groups, after.groups, strict=True):
        for content, member in one.members.items():
            with (
                open_volume(member.uri) as first,
                open_volume(other.members[content].uri) as second,
            ):
                np.testing.assert_array_equal(first.read(0, 4), second.read(0, 4))
                assert first.content_sha256() == second.content_sha256()
    (file, *_) = [path for path in there.rglob("*") if path.is_file()]
    written = file.stat().st_mtime_ns
    register(store, folder / below, copy=True, force=True)
    assert file.stat().st_mtime_ns == written


def test_one_file_is_a_collection_of_either_kind(store, folder):
    path = folder / "fresh" / "cell1_grey.tif"
    registered = register(store, path, dataset="volume")
    assert (registered.volumes, registered.lines()) == (
        1,
        ["volume: 1 volumes (1 with grey), 1 specimens; 0 other files ignored"],
    )
    outcome = refresh_volumes(store, store.recipe("volume"), author="test")
    assert (outcome.rows, outcome.refused) == (1, {})
    registered = register_collection(store, str(path), dataset="image")
    assert registered.lines() == [
        "image: 1 images, 0 with sidecars, 1 specimens; 0 other files ignored"
    ]
    with pytest.raises(CollectionError, match="holds no image"):
        register_collection(store, str(folder / "notes.txt"), dataset="text")


def test_a_copy_that_cannot_be_written_registers_nothing(store, folder):
    (Path(store.location.data) / "originals").write_text("in the way")
    with pytest.raises(HomeError, match=r"originals/a/.* cannot be written") as caught:
        register(store, folder, copy=True)
    assert "\n" not in str(caught.value)
    assert store.datasets() == []


def test_a_name_stays_with_its_kind(store, folder):
    register_collection(store, str(folder), dataset="a", kind="volumes")
    with pytest.raises(CollectionError, match="'a' holds volumes; take another name"):
        register_collection(store, str(folder), dataset="a", force=True)
