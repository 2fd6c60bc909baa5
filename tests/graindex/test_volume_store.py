"""Volumes in the store: what goes in comes out, or nothing is found and one line says why."""

import errno
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import time
import tracemalloc
from pathlib import Path

import fsspec
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from graindex.errors import HomeError, OriginalError
from graindex.location import Location
from graindex.readers.volumes import UnreadableVolumeError, open_volume
from graindex.volume_slabs import CHUNK_BYTES, SLAB_BYTES, chunk_shape
from graindex.volume_store import VolumeStore

SPAWN = multiprocessing.get_context("spawn")
SHAPE = (150, 140, 20)
VOLUME = np.random.default_rng(0).integers(0, 60000, SHAPE).astype(np.uint16)
TALL = (1280, 16, 16)  # 20 slabs


@pytest.fixture
def volumes(location):
    return VolumeStore(location)


def put(volumes, volume=VOLUME, key="k", kind="grey", slabs=None, **options):
    options = {"voxel_size_um": (0.5, 0.07, 0.07), "attributes": {"source": "x"}} | options
    given = [volume] if slabs is None else slabs
    return volumes.put(kind, key, given, shape=volume.shape, dtype=volume.dtype, **options)


def left(volumes):
    """Everything below the store's volumes, but for locks."""
    root = Path(volumes.address("grey", "k")).parent
    return (
        sorted(path.name for path in root.glob("*") if not path.name.endswith(".lock"))
        if root.exists()
        else []
    )


def chunk(volumes, *coordinates):
    return Path(volumes.address("grey", "k"), "0", "c", *map(str, coordinates))


def spoil(path, how):
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 0x10
    path.write_bytes(data if how == "flip" else data[:20] if how == "cut" else b"")


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i8", "f4", "f8"])
    def test_values_and_what_stands_beside(self, volumes, dtype):
        volume = VOLUME.astype(dtype)
        address = put(volumes, volume)
        with volumes.open("grey", "k") as stored:
            assert (stored.shape, stored.ndim, stored.dtype) == (SHAPE, 3, np.dtype(dtype))
            assert stored.chunks == chunk_shape(SHAPE, dtype)
            assert stored.voxel_size_um == (0.5, 0.07, 0.07)
            assert stored.attributes == {"source": "x"}
            assert stored.uri == address
            np.testing.assert_array_equal(stored[...], volume)
            np.testing.assert_array_equal(stored[3:70, -1, ::3], volume[3:70, -1, ::3])
            assert isinstance(stored[0, 0, 0], np.ndarray | np.generic)
            with pytest.raises(ValueError, match="read-only"):
                stored.array[0] = 1

    def test_arrays_stand_beside_the_voxels(self, volumes):
        values = np.linspace(0, 1, 1000, dtype=np.float32)
        address = put(volumes, attributes={"source": "x", "worth": values})
        stored = volumes.open("grey", "k")
        assert stored.attributes == {"source": "x", "beside": ["worth"]}
        np.testing.assert_array_equal(stored.beside("worth"), values)
        assert stored.beside("worth").dtype == np.float32
        assert stored.beside("other") is None
        with open_volume(address) as again:  # others pass it over
            np.testing.assert_array_equal(again.read(0, 150), VOLUME)

    @pytest.mark.parametrize("how", ["flip", "cut", "gone"])
    def test_a_damaged_array_is_not_taken_for_none(self, volumes, how):
        values = np.linspace(0, 1, 1000, dtype=np.float32)
        chunk = Path(put(volumes, attributes={"worth": values}), "worth", "c", "0")
        if how == "gone":
            chunk.unlink()
        else:
            spoil(chunk, how)
        with pytest.raises(UnreadableVolumeError, match="array worth") as caught:
            volumes.open("grey", "k").beside("worth")
        assert "\n" not in str(caught.value)

    def test_nan_and_booleans(self, volumes):
        volume = VOLUME.astype(np.float32)
        volume[0, 0, 0] = np.nan
        put(volumes, volume)
        np.testing.assert_array_equal(volumes.open("grey", "k")[:], volume)
        put(volumes, VOLUME > 30000, kind="masks")
        stored = volumes.open("masks", "k")
        assert stored.dtype == np.uint8
        np.testing.assert_array_equal(stored[:], VOLUME > 30000)

    def test_others_read_it_as_an_ome_zarr(self, volumes):
        address = put(volumes)
        group = zarr.open_group(address, mode="r")
        ome = group.attrs["ome"]
        assert ome["version"] == "0.5"
        (image,) = ome["multiscales"]
        assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"]
        assert {axis["unit"] for axis in image["axes"]} == {"micrometer"}
        (dataset,) = image["datasets"]
        assert dataset["coordinateTransformations"] == [
            {"type": "scale", "scale": [0.5, 0.07, 0.07]}
        ]
        array = group[dataset["path"]]
        assert array.metadata.dimension_names == ("z", "y", "x")
        np.testing.assert_array_equal(array[:], VOLUME)
        with open_volume(address) as again:
            assert again.format == "ome-zarr"
            assert again.voxel_size_um == (0.5, 0.07, 0.07)

    def test_an_unknown_voxel_size_stays_unknown(self, volumes):
        address = put(volumes, voxel_size_um=None)
        assert volumes.open("grey", "k").voxel_size_um is None
        image = zarr.open_group(address, mode="r").attrs["ome"]["multiscales"][0]
        assert all("unit" not in axis for axis in image["axes"])
        assert image["datasets"][0]["coordinateTransformations"][0]["scale"] == [1, 1, 1]

    def test_from_a_file_with_progress(self, volumes, tmp_path):
        path = tmp_path / "v.tif"
        metadata = {"axes": "ZYX", "unit": "um", "spacing": 0.5}
        tifffile.imwrite(path, VOLUME, imagej=True, metadata=metadata, resolution=(10, 10))
        told = []
        with open_volume(path) as source:
            volumes.put_source(
                "grey", "k", source, attributes={}, progress=lambda *at: told.append(at)
            )
            volumes.put_source("grey", "own", source, attributes={}, voxel_size_um=(1, 2, 3))
        assert told == [(64, 150), (128, 150), (150, 150)]
        stored = volumes.open("grey", "k")
        assert stored.voxel_size_um == (0.5, 0.1, 0.1)
        np.testing.assert_array_equal(stored[:], VOLUME)
        assert volumes.open("grey", "own").voxel_size_um == (1, 2, 3)

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(0, 149), max_size=6))
    def test_slabs_of_any_depth(self, cuts):
        volumes = VolumeStore(Location("", "memory://any", "", ""))
        try:
            small = VOLUME[:, :5, :4]
            put(volumes, small, slabs=np.split(small, sorted(cuts)))
            np.testing.assert_array_equal(volumes.open("grey", "k")[:], small)
        finally:
            fsspec.filesystem("memory").rm("/any", recursive=True)

    def test_what_is_there_is_not_written_again(self, volumes):
        put(volumes)
        before = chunk(volumes, 0, 0, 0).stat().st_mtime_ns

        def never(start):
            raise AssertionError(start)

        put(volumes, slabs=never)
        assert chunk(volumes, 0, 0, 0).stat().st_mtime_ns == before
        volumes.remove("grey", "k")
        volumes.remove("grey", "k")
        assert left(volumes) == []

    @pytest.mark.parametrize("name", ["", "../k", "a/b", ".k", "ä"])
    def test_names_stay_in_the_store(self, volumes, name):
        for kind, key in ((name, "k"), ("grey", name)):
            with pytest.raises(ValueError, match="cannot name a volume"):
                put(volumes, kind=kind, key=key)

    def test_wrong_slabs_leave_nothing(self, volumes):
        for slabs, words in (
            ([VOLUME[:100]], "100 slices of a volume of 150"),
            ([VOLUME, VOLUME[:1]], "more slices"),
            ([VOLUME[:64], VOLUME[64:, :9]], "a slab is"),
            ([VOLUME.astype("i2")], "a slab is"),
        ):
            with pytest.raises(ValueError, match=words):
                put(volumes, slabs=slabs)
            assert left(volumes) == []

    def test_a_damaged_source_leaves_nothing(self, volumes, tmp_path):
        path = tmp_path / "v.tif"
        tifffile.imwrite(path, VOLUME, compression="zlib")
        with tifffile.TiffFile(path) as tif:
            offset = tif.pages[100].dataoffsets[0]
        data = bytearray(path.read_bytes())
        data[offset + 50 : offset + 90] = b"\xff" * 40
        path.write_bytes(data)
        with (
            open_volume(path) as source,
            pytest.raises(UnreadableVolumeError, match=r"v\.tif: .*page 100"),
        ):
            volumes.put_source("grey", "k", source, attributes={})
        assert left(volumes) == []


class TestChunks:
    @given(
        st.tuples(st.integers(1, 5000), st.integers(1, 9000), st.integers(1, 9000)),
        st.sampled_from(["u1", "u2", "f4", "i8"]),
    )
    def test_slabs_and_chunks_stay_small(self, shape, dtype):
        chunks = chunk_shape(shape, dtype)
        item = np.dtype(dtype).itemsize
        assert all(1 <= c <= s for c, s in zip(chunks, shape, strict=True))
        assert np.prod(chunks) * item <= CHUNK_BYTES
        assert chunks[0] == 1 or chunks[0] * shape[1] * shape[2] * item <= SLAB_BYTES

    def test_usual(self):
        assert chunk_shape((1324, 1985, 492), "u1") == (64, 128, 128)
        assert chunk_shape((1324, 1985, 492), "u4") == (64, 128, 128)
        assert chunk_shape((10, 100, 300), "u2") == (10, 100, 256)
        assert chunk_shape((1, 655, 2048), "u1") == (1, 655, 2048)

    def test_ingest_takes_the_memory_of_a_few_slabs(self, volumes, tmp_path):
        shape, slab = (1024, 128, 256), 64 * 128 * 256
        path = tmp_path / "v.raw"
        np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8).tofile(path)
        with open_volume(path, shape=shape, dtype="uint8") as source:
            tracemalloc.start()
            try:
                volumes.put_source("grey", "k", source, attributes={})
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert peak < 5 * slab < path.stat().st_size / 3


class TestDamage:
    def test_not_there(self, volumes):
        with pytest.raises(UnreadableVolumeError, match=r"^grey/k\.ome\.zarr: not in the store"):
            volumes.open("grey", "k")

    @pytest.mark.parametrize("how", ["flip", "cut", "empty"])
    def test_a_damaged_chunk_is_named_and_the_rest_reads(self, volumes, how):
        put(volumes)
        spoil(chunk(volumes, 1, 0, 0), how)
        stored = volumes.open("grey", "k")
        for selection in (np.s_[:], np.s_[64], np.s_[..., 3], np.s_[100:120, 5, 5:9]):
            with pytest.raises(
                UnreadableVolumeError, match=r"chunk 0/c/1/0/0 is damaged"
            ) as caught:
                stored[selection]
            assert "\n" not in str(caught.value)
        with pytest.raises(UnreadableVolumeError, match="chunk"):
            stored.read(0, 150)
        np.testing.assert_array_equal(stored[:64], VOLUME[:64])
        np.testing.assert_array_equal(stored[64:128, 128:], VOLUME[64:128, 128:])

    def test_a_single_flipped_bit_is_noticed(self, volumes):
        small = VOLUME[:3, :6, :7]
        put(volumes, small)
        path = chunk(volumes, 0, 0, 0)
        data = path.read_bytes()
        stored = volumes.open("grey", "k")
        for at in range(0, len(data), 2):
            spoilt = bytearray(data)
            spoilt[at] ^= 1 << at % 8
            path.write_bytes(spoilt)
            with pytest.raises(UnreadableVolumeError):
                stored[:]

    def test_a_missing_chunk_is_no_background(self, volumes):
        put(volumes, np.zeros_like(VOLUME))
        chunk(volumes, 2, 1, 0).unlink()
        with pytest.raises(UnreadableVolumeError, match="1 of 6 chunks are missing"):
            volumes.open("grey", "k")

    @pytest.mark.parametrize("member", ["zarr.json", "0/zarr.json"])
    def test_damaged_metadata(self, volumes, member):
        path = Path(put(volumes), member)
        path.write_bytes(path.read_bytes()[:50])
        with pytest.raises(UnreadableVolumeError, match=r"^grey/k\.ome\.zarr: damaged"):
            volumes.open("grey", "k")

    def test_what_the_system_refuses_is_no_damage(self, volumes):
        put(volumes)
        stored = volumes.open("grey", "k")
        loop = chunk(volumes, 1, 0, 0)
        loop.unlink()
        loop.symlink_to(loop)
        for read in (lambda: stored[:], lambda: stored.read(0, 150)):
            with pytest.raises(OriginalError, match=os.strerror(errno.ELOOP)):
                read()

    def test_a_selection_outside_is_the_callers_mistake(self, volumes):
        put(volumes)
        with pytest.raises(IndexError):
            volumes.open("grey", "k")[500]


class TestDiskFull:
    def test_a_real_small_disk(self, tmp_path):
        mount = tmp_path / "small"
        mount.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mount)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no file system can be mounted here: {error}")
        try:
            volumes = VolumeStore(Location.parse(mount))
            noise = np.random.default_rng(0).integers(0, 255, (1024, 64, 128), dtype=np.uint8)
            with pytest.raises(HomeError, match=os.strerror(errno.ENOSPC)) as caught:
                put(volumes, noise)
            assert "\n" not in str(caught.value)
            assert left(volumes) == []
            assert not volumes.has("grey", "k")
            assert shutil.disk_usage(mount).used < 100_000
            put(volumes, noise[:100])
            np.testing.assert_array_equal(volumes.open("grey", "k")[:], noise[:100])
        finally:
            subprocess.run(["umount", str(mount)], check=True)

    def test_a_limit_of_the_system(self, location):
        answers = SPAWN.Queue()
        writer = SPAWN.Process(target=put_under_a_limit, args=(location.data, answers))
        writer.start()
        words = answers.get(timeout=60)
        writer.join()
        assert words.startswith("HomeError: ")
        assert os.strerror(errno.EFBIG) in words
        assert left(VolumeStore(location)) == []

    def test_no_folder_can_be_made(self, location):
        (location.folder / "volumes").write_text("in the way")
        with pytest.raises(HomeError, match="cannot be written"):
            put(VolumeStore(location))


def put_under_a_limit(home, answers):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        put(VolumeStore(Location.parse(home)), VOLUME)
        answers.put("nothing")
    except Exception as error:
        answers.put(f"{type(error).__name__}: {error}")


def tall(start):
    for z in range(start, TALL[0], 64):
        yield np.full((64, *TALL[1:]), z // 64, np.uint8)


def put_tall(volumes, slabs, key="k"):
    return volumes.put(
        "grey",
        key,
        slabs,
        shape=TALL,
        dtype="u1",
        voxel_size_um=None,
        attributes={"content": "abc"},
    )


def put_slowly(home):
    def slowly(start):
        for slab in tall(start):
            time.sleep(0.02)
            yield slab

    put_tall(VolumeStore(Location.parse(home)), slowly)


def put_once(home, start, answers):
    volumes = VolumeStore(Location.parse(home))
    start.wait()
    put_tall(volumes, tall)
    answers.put(int(volumes.open("grey", "k")[:].sum(dtype=int)))


WHOLE = sum(range(20)) * 64 * 16 * 16


class TestKilled:
    def killed(self, location, slices):
        """Kill a writer without warning once it has written so many slices."""
        note = Path(VolumeStore(location).address("grey", "k") + ".part.json")
        writer = SPAWN.Process(target=put_slowly, args=(location.data,))
        writer.start()
        while True:
            assert writer.is_alive()
            try:
                if json.loads(note.read_text())["slices"] >= slices:
                    break
            except (OSError, ValueError):
                pass
            time.sleep(0.002)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()

    def test_nothing_is_found_and_the_next_one_goes_on(self, location, volumes):
        starts = []

        def slabs(start):
            starts.append(start)
            return tall(start)

        self.killed(location, 128)
        assert not volumes.has("grey", "k")
        with pytest.raises(UnreadableVolumeError, match="not in the store"):
            volumes.open("grey", "k")
        assert left(volumes) == ["k.ome.zarr.part", "k.ome.zarr.part.json"]
        self.killed(location, 512)
        put_tall(volumes, slabs)
        assert len(starts) == 1
        assert starts[0] >= 512
        assert starts[0] % 64 == 0
        np.testing.assert_array_equal(volumes.open("grey", "k")[:], np.concatenate(list(tall(0))))
        assert left(volumes) == ["k.ome.zarr"]

    def test_an_iterator_goes_on_too(self, volumes):
        def interrupted():
            for number, slab in enumerate(tall(0)):
                if number == 7:
                    raise KeyboardInterrupt
                yield slab

        with pytest.raises(KeyboardInterrupt):
            put_tall(volumes, interrupted())
        first = Path(volumes.address("grey", "k") + ".part", "0", "c", "0", "0", "0")
        before = first.stat().st_mtime_ns
        put_tall(volumes, tall(0))
        assert chunk(volumes, 0, 0, 0).stat().st_mtime_ns == before
        assert int(volumes.open("grey", "k")[:].sum(dtype=int)) == WHOLE

    @pytest.mark.parametrize("change", ["content", "note", "array"])
    def test_what_does_not_fit_is_begun_anew(self, volumes, change):
        def interrupted(start):
            yield np.full((64, *TALL[1:]), 99, np.uint8)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            volumes.put(
                "grey",
                "k",
                interrupted,
                shape=TALL,
                dtype="u1",
                voxel_size_um=None,
                attributes={"content": "other" if change == "content" else "abc"},
            )
        part = Path(volumes.address("grey", "k") + ".part")
        if change == "note":
            Path(f"{part}.json").write_text('{"declar')
        if change == "array":
            (part / "0" / "zarr.json").unlink()
        put_tall(volumes, tall)
        assert int(volumes.open("grey", "k")[:].sum(dtype=int)) == WHOLE
        assert left(volumes) == ["k.ome.zarr"]

    def test_chunks_that_vanish_while_it_is_written(self, volumes):
        def slabs(start):
            for number, slab in enumerate(tall(start)):
                if number == 5:
                    part = volumes.address("grey", "k") + ".part"
                    Path(part, "0", "c", "2", "0", "0").unlink()
                yield slab

        with pytest.raises(HomeError, match="1 chunks vanished"):
            put_tall(volumes, slabs)
        assert left(volumes) == []

    def test_two_writers_of_one_volume(self, location, volumes):
        start, answers = SPAWN.Barrier(2), SPAWN.Queue()
        writers = [
            SPAWN.Process(target=put_once, args=(location.data, start, answers)) for _ in range(2)
        ]
        for writer in writers:
            writer.start()
        assert [answers.get(timeout=60) for _ in writers] == [WHOLE] * 2
        for writer in writers:
            writer.join()
        assert left(volumes) == ["k.ome.zarr"]


class TestRemote:
    @pytest.fixture(params=["memory", "file"])
    def remote(self, request, tmp_path):
        base = "memory://home" if request.param == "memory" else f"file://{tmp_path}/home"
        yield VolumeStore(Location("", base, "", ""))
        fs, path = fsspec.core.url_to_fs(base)
        if fs.exists(path):
            fs.rm(path, recursive=True)

    def test_round_trip(self, remote):
        address = put(remote)
        assert "://" in address
        stored = remote.open("grey", "k")
        np.testing.assert_array_equal(stored[60:70, :9], VOLUME[60:70, :9])
        with open_volume(address) as again:
            np.testing.assert_array_equal(again.read(0, 150), VOLUME)
        remote.remove("grey", "k")
        assert not remote.has("grey", "k")

    def test_arrays_beside(self, remote):
        put(remote, attributes={"worth": np.arange(3.0)})
        assert remote.open("grey", "k").beside("worth").tolist() == [0, 1, 2]

    def test_nothing_is_found_before_the_end(self, remote):
        def interrupted(start):
            assert start == 0
            yield VOLUME[:64]
            assert not remote.has("grey", "k")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            put(remote, slabs=interrupted)
        with pytest.raises(UnreadableVolumeError, match="not in the store"):
            remote.open("grey", "k")
        put(remote, slabs=lambda start: [VOLUME[start:]] if start == 64 else [])
        np.testing.assert_array_equal(remote.open("grey", "k")[:], VOLUME)

    def test_damage_is_named(self, remote):
        fs, path = fsspec.core.url_to_fs(f"{put(remote)}/0/c/1/0/0")
        fs.pipe_file(path, fs.cat_file(path)[:-9])
        with pytest.raises(UnreadableVolumeError, match=r"chunk 0/c/1/0/0 is damaged"):
            remote.open("grey", "k")[64:]
        fs.rm(path)
        with pytest.raises(UnreadableVolumeError, match="1 of 6 chunks are missing"):
            remote.open("grey", "k")
