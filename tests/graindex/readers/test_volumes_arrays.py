"""Volumes in array files: Zarr, HDF5, MRC and raw voxels."""

import shutil

import fsspec
import h5py
import mrcfile
import numpy as np
import pytest
import zarr

from graindex.readers.volumes import UnreadableVolumeError, open_volume

VOLUME = np.random.default_rng(0).integers(0, 60000, (6, 20, 26)).astype(np.uint16)
UNITS = ["micrometer"] * 3


def whole(path, **options):
    with open_volume(path, **options) as volume:
        return volume.read(0, volume.shape[0])


def refused(path, **options):
    with pytest.raises(UnreadableVolumeError) as caught:
        whole(path, **options)
    message = str(caught.value)
    assert message.startswith(path.name)
    assert "\n" not in message
    return message


def size(path, **options):
    with open_volume(path, **options) as volume:
        return volume.voxel_size_um, volume.voxel_size_source, volume.findings


def multiscale(axes, units, scale, common=None):
    axes = [
        {"name": axis, "type": "space" if axis in "zyx" else "other"}
        | ({"unit": unit} if unit else {})
        for axis, unit in zip(axes, units, strict=True)
    ]
    image = {
        "axes": axes,
        "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]},
            {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": scale}]},
        ],
    }
    if common:
        image["coordinateTransformations"] = [{"type": "scale", "scale": common}]
    return [image]


def ome_zarr(
    path, version, *, volume=VOLUME, axes="zyx", units=UNITS, scale=(0.5, 0.07, 0.07), **k
):
    image = multiscale(axes, units, list(scale), **k)
    if version == "0.5":
        group = zarr.create_group(path, zarr_format=3)
        group.attrs["ome"] = {"version": version, "multiscales": image}
    else:
        group = zarr.create_group(path, zarr_format=2)
        group.attrs["multiscales"] = [{**image[0], "version": version}]
    chunks = (*(1 for _ in volume.shape[:-3]), 4, 16, 16)
    group.create_array("0", data=volume, chunks=chunks)
    group.create_array("1", data=volume[..., ::2, ::2, ::2], chunks=chunks)
    return path


class TestOmeZarr:
    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    def test_highest_resolution_with_its_scale(self, tmp_path, version):
        path = ome_zarr(tmp_path / "v.zarr", version)
        with open_volume(path) as volume:
            assert (volume.format, volume.shape, volume.dtype) == ("ome-zarr", (6, 20, 26), "u2")
            assert volume.voxel_size_um == pytest.approx((0.5, 0.07, 0.07))
            assert volume.voxel_size_source == "OME-Zarr scale"
            np.testing.assert_array_equal(volume.read(1, 6), VOLUME[1:])

    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    def test_five_axes_and_a_common_scale_in_nanometres(self, tmp_path, version):
        path = ome_zarr(
            tmp_path / "v",
            version,
            volume=VOLUME[None, None],
            axes="tczyx",
            units=["second", None, *["nanometer"] * 3],
            scale=(1, 1, 10, 7, 7),
            common=[3, 1, 10, 10, 10],
        )
        np.testing.assert_array_equal(whole(path), VOLUME)
        assert size(path)[0] == pytest.approx((0.1, 0.07, 0.07))

    def test_units_that_are_none(self, tmp_path):
        assert size(ome_zarr(tmp_path / "a", "0.5", units=[None] * 3)) == (None, None, ())
        found = size(ome_zarr(tmp_path / "b", "0.5", units=["parsec"] * 3))
        assert found[0] is None
        assert "unit is not known" in found[2][0].detail

    def test_layout_of_bioformats2raw(self, tmp_path):
        root = zarr.create_group(tmp_path / "v.zarr", zarr_format=2)
        root.attrs["bioformats2raw.layout"] = 3
        ome_zarr(tmp_path / "v.zarr" / "0", "0.4")
        np.testing.assert_array_equal(whole(tmp_path / "v.zarr"), VOLUME)
        assert size(tmp_path / "v.zarr")[0] is not None
        ome_zarr(tmp_path / "v.zarr" / "1", "0.4", volume=VOLUME + 1)
        assert "several images" in refused(tmp_path / "v.zarr")
        np.testing.assert_array_equal(whole(tmp_path / "v.zarr", dataset_path="1"), VOLUME + 1)

    def test_what_is_no_volume(self, tmp_path):
        channels = ome_zarr(
            tmp_path / "c", "0.5", volume=np.stack([VOLUME] * 2), axes="czyx",
            units=[None, *UNITS], scale=(1, 1, 1, 1),
        )  # fmt: skip
        assert "2 x 6 x 20 x 26" in refused(channels)
        assert "x, y, z" in refused(ome_zarr(tmp_path / "x", "0.5", axes="xyz"))

    def test_damaged_metadata(self, tmp_path):
        path = ome_zarr(tmp_path / "v.zarr", "0.5")
        (path / "zarr.json").write_text('{"zarr_format": 3, "node_')
        assert "Zarr metadata" in refused(path)
        path = ome_zarr(tmp_path / "w.zarr", "0.5")
        shutil.rmtree(path / "0")
        assert "'0' is missing" in refused(path)
        (tmp_path / "empty.zarr").mkdir()
        assert "zarr.json" in refused(tmp_path / "empty.zarr")

    def test_a_truncated_chunk_is_named(self, tmp_path):
        path = ome_zarr(tmp_path / "v.zarr", "0.5")
        chunk = path / "0" / "c" / "1" / "0" / "1"
        chunk.write_bytes(chunk.read_bytes()[:20])
        assert "chunk 0/c/1/0/1 is damaged" in refused(path)
        with open_volume(path) as volume:
            np.testing.assert_array_equal(volume.read(0, 4), VOLUME[:4])

    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    def test_chunks_that_are_not_stored_are_told(self, tmp_path, version):
        path = ome_zarr(tmp_path / "v.zarr", version)
        assert size(path)[2] == ()
        chunk = path / "0" / ("c/1/0/1" if version == "0.5" else "1.0.1")
        chunk.unlink()
        (finding,) = size(path)[2]
        assert finding.kind == "chunks_not_stored"
        assert finding.detail.startswith("1 of 8 chunks")

    def test_hash_is_of_all_members(self, tmp_path):
        def digest(path):
            with open_volume(path) as volume:
                return volume.content_sha256()

        path = ome_zarr(tmp_path / "v.zarr", "0.5")
        first = digest(path)
        shutil.copytree(path, tmp_path / "copy")
        assert digest(tmp_path / "copy") == first
        chunk = path / "0" / "c" / "1" / "0" / "1"
        chunk.rename(chunk.with_name("2"))
        assert digest(path) != first

    def test_behind_a_url(self, tmp_path):
        path = ome_zarr(tmp_path / "v.zarr", "0.4")
        fs = fsspec.filesystem("memory")
        fs.put(str(path), "/v.zarr", recursive=True)
        try:
            with open_volume("memory://v.zarr") as remote, open_volume(path) as local:
                np.testing.assert_array_equal(remote.read(0, 6), VOLUME)
                assert remote.voxel_size_um == local.voxel_size_um
                assert remote.content_sha256() == local.content_sha256()
        finally:
            fs.rm("/v.zarr", recursive=True)


class TestZarr:
    @pytest.mark.parametrize("zarr_format", [2, 3])
    @pytest.mark.parametrize("dtype", ["u1", ">u2", "f4", "bool"])
    def test_array(self, tmp_path, zarr_format, dtype):
        volume = VOLUME.astype(dtype)
        if zarr_format == 3:
            volume = volume.astype(np.dtype(dtype).newbyteorder("="))
        array = zarr.create_array(
            tmp_path / "v", data=volume, chunks=(4, 16, 16), zarr_format=zarr_format
        )
        array.attrs["element_size_um"] = [0.5, 0.07, 0.07]
        read = whole(tmp_path / "v")
        np.testing.assert_array_equal(read, volume)
        assert read.dtype.isnative
        assert size(tmp_path / "v")[:2] == ((0.5, 0.07, 0.07), "attribute element_size_um")

    def test_shards_are_named_where_damaged(self, tmp_path):
        zarr.create_array(tmp_path / "v", data=VOLUME, chunks=(2, 4, 4), shards=(4, 16, 16))
        shard = tmp_path / "v" / "c" / "1" / "1" / "0"
        shard.write_bytes(shard.read_bytes()[:-8])
        assert "chunk c/1/1/0 is damaged" in refused(tmp_path / "v")

    def test_group_with_one_array_or_several(self, tmp_path):
        group = zarr.create_group(tmp_path / "v")
        group.create_array("a/grey", data=VOLUME)
        group.create_array("a/profile", data=VOLUME[0, 0])
        np.testing.assert_array_equal(whole(tmp_path / "v"), VOLUME)
        group.create_array("labels", data=VOLUME + 1)
        assert "a/grey, labels: name one" in refused(tmp_path / "v")
        np.testing.assert_array_equal(whole(tmp_path / "v", dataset_path="labels"), VOLUME + 1)
        assert "'nothing'" in refused(tmp_path / "v", dataset_path="nothing")

    def test_axes_in_another_order(self, tmp_path):
        zarr.create_array(tmp_path / "v", data=VOLUME, dimension_names=["x", "y", "z"])
        assert "have to be z, y, x" in refused(tmp_path / "v")

    def test_no_extent_and_no_number(self, tmp_path):
        zarr.create_array(tmp_path / "v", shape=(0, 20, 26), chunks=(1, 20, 26), dtype="u1")
        assert "empty volume: 0 x 20 x 26" in refused(tmp_path / "v")
        zarr.create_array(tmp_path / "w", shape=(2, 2, 2), chunks=(2, 2, 2), dtype="c8")
        assert "complex64" in refused(tmp_path / "w")


def hdf5(path, **attributes):
    with h5py.File(path, "w") as h5:
        dataset = h5.create_dataset("exchange/data", data=VOLUME, chunks=(2, 8, 8))
        h5["exchange/angles"] = np.arange(6.0)
        dataset.attrs.update(attributes)
    return path


class TestHdf5:
    def test_the_only_volume(self, tmp_path):
        with open_volume(hdf5(tmp_path / "v.h5")) as volume:
            assert (volume.format, volume.shape, volume.dtype) == ("hdf5", (6, 20, 26), "u2")
            assert volume.voxel_size_um is None
            np.testing.assert_array_equal(volume.read(2, 5), VOLUME[2:5])

    def test_several_volumes_have_to_be_named(self, tmp_path):
        path = hdf5(tmp_path / "v.h5")
        with h5py.File(path, "a") as h5:
            h5["labels"] = (VOLUME[None] + 1).astype(">u4")
        assert "exchange/data, labels: name the dataset" in refused(path)
        read = whole(path, dataset_path="labels")
        np.testing.assert_array_equal(read, VOLUME + 1)
        assert read.dtype.isnative
        assert "no dataset 'nothing'" in refused(path, dataset_path="nothing")

    @pytest.mark.parametrize(
        ("attributes", "expected"),
        [
            ({"element_size_um": [0.5, 0.1, 0.1]}, (0.5, 0.1, 0.1)),
            ({"voxel_size_um": 0.07}, (0.07, 0.07, 0.07)),
            ({"voxel_size_nm": [50, 70.0, 70]}, (0.05, 0.07, 0.07)),
            ({"voxel_size": [50, 70, 70], "unit": "nm"}, (0.05, 0.07, 0.07)),
            ({"Voxel_Size": [7e-5] * 3, "voxel_size_units": b"mm"}, (0.07, 0.07, 0.07)),
            ({"voxel_size": [1, 1, 1], "units": ["pixel"] * 3}, None),
            ({"voxel_size": [1, 1, 1]}, None),
            ({"voxel_size": [0.5, 0.5], "unit": "um"}, None),
            ({"voxel_size": "half", "unit": "um"}, None),
            ({"voxel_size_um": [0.5, -1, 0.5]}, None),
            ({"voxel_size_um": [0.5, np.nan, 0.5]}, None),
        ],
    )
    def test_voxel_size(self, tmp_path, attributes, expected):
        found, source, findings = size(hdf5(tmp_path / "v.h5", **attributes))
        assert found == (None if expected is None else pytest.approx(expected))
        assert (source is None) == (expected is None)
        pixels = "pixel" in str(attributes)
        assert [f.kind for f in findings] == ["voxel_size_unusable"] * (
            expected is None and not pixels
        )

    def test_voxel_size_of_the_file(self, tmp_path):
        path = hdf5(tmp_path / "v.h5")
        with h5py.File(path, "a") as h5:
            h5.attrs["voxel_size_um"] = (0.5, 0.1, 0.1)
        assert size(path)[0] == (0.5, 0.1, 0.1)

    def test_a_damaged_chunk_is_named(self, tmp_path):
        path = tmp_path / "v.h5"
        with h5py.File(path, "w") as h5:
            data = h5.create_dataset("v", data=VOLUME, chunks=(2, 20, 26), compression="gzip")
            chunk = data.id.get_chunk_info_by_coord((4, 0, 0))
            offset = chunk.byte_offset + chunk.size // 2
        stored = bytearray(path.read_bytes())
        stored[offset : offset + 9] = b"\xff" * 9
        path.write_bytes(stored)
        assert "chunk (2, 0, 0) of /v is damaged" in refused(path)
        with open_volume(path) as volume:
            np.testing.assert_array_equal(volume.read(0, 4), VOLUME[:4])

    def test_truncated(self, tmp_path):
        path = hdf5(tmp_path / "v.h5")
        path.write_bytes(path.read_bytes()[:-200])
        assert "truncated file" in refused(path)

    def test_no_volume(self, tmp_path):
        path = tmp_path / "v.h5"
        with h5py.File(path, "w") as h5:
            h5["image"] = VOLUME[0]
        assert "no three-dimensional dataset" in refused(path)
        assert "20 x 26" in refused(path, dataset_path="image")
        with h5py.File(path, "w") as h5:
            h5.create_dataset("v", shape=(0, 20, 26), dtype="f4")
        assert "empty volume" in refused(path)

    def test_a_virtual_dataset_without_its_file(self, tmp_path):
        path = tmp_path / "v.h5"
        layout = h5py.VirtualLayout((6, 20, 26), "u2")
        layout[:] = h5py.VirtualSource("part.h5", "exchange/data", (6, 20, 26))
        with h5py.File(path, "w") as h5:
            h5.create_virtual_dataset("v", layout)
        assert "misses its file part.h5" in refused(path)
        hdf5(tmp_path / "part.h5")
        np.testing.assert_array_equal(whole(path), VOLUME)


def mrc(path, volume, angstrom=None):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(volume)
        if angstrom is not None:
            file.voxel_size = angstrom
    return path


class TestMrc:
    @pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f2", "f4", ">i2"])
    def test_exact(self, tmp_path, dtype):
        volume = (VOLUME >> 9).astype(dtype)
        path = mrc(tmp_path / "v.mrc", volume)
        with open_volume(path) as opened:
            assert (opened.format, opened.shape) == ("mrc", VOLUME.shape)
            assert opened.voxel_size_um is None
            read = opened.read(1, 6)
            np.testing.assert_array_equal(read, volume[1:])
            assert read.dtype == np.dtype(dtype).newbyteorder("=")

    def test_voxel_size(self, tmp_path):
        path = mrc(tmp_path / "v.rec", VOLUME, angstrom=(700.0, 700.0, 5000.0))  # x, y, z
        assert size(path)[:2] == ((0.5, 0.07, 0.07), "MRC header")

    def test_one_angstrom_everywhere_is_a_default(self, tmp_path):
        found, _, findings = size(mrc(tmp_path / "v.mrc", VOLUME, angstrom=1.0))
        assert found is None
        assert "nothing is known" in findings[0].detail

    def test_bytes_of_imod_are_unsigned(self, tmp_path):
        volume = (VOLUME >> 8).astype(np.uint8)
        path = mrc(tmp_path / "v.mrc", volume.view(np.int8))
        for flags, expected in ((0, volume), (1, volume.view(np.int8))):
            data = bytearray(path.read_bytes())
            data[152:160] = (1146047817).to_bytes(4, "little") + flags.to_bytes(4, "little")
            path.write_bytes(data)
            np.testing.assert_array_equal(whole(path), expected)

    def test_extended_header(self, tmp_path):
        path = tmp_path / "v.mrc"
        with mrcfile.new(path) as file:
            file.set_data(VOLUME)
            file.set_extended_header(np.frombuffer(b"x" * 160, "V1"))
        np.testing.assert_array_equal(whole(path), VOLUME)

    def test_damage(self, tmp_path):
        path = mrc(tmp_path / "v.mrc", VOLUME)
        data = path.read_bytes()
        path.write_bytes(data[:-1])
        assert f"asks for {len(data)} bytes, {len(data) - 1} are there" in refused(path)
        path.write_bytes(data[:600])
        assert "MRC header" in refused(path)
        for at, value, words in ((0, 0, "empty volume"), (12, 77, "mode"), (12, 4, "complex")):
            spoilt = bytearray(data)
            spoilt[at : at + 4] = value.to_bytes(4, "little")
            path.write_bytes(spoilt)
            assert words in refused(path).lower()

    def test_axes_in_another_order(self, tmp_path):
        path = mrc(tmp_path / "v.mrc", VOLUME)
        with mrcfile.open(path, "r+") as file:
            file.header.mapc, file.header.maps = 3, 1
        assert "transpose" in refused(path)

    def test_a_stack_of_volumes(self, tmp_path):
        path = tmp_path / "v.mrc"
        with mrcfile.new(path) as file:
            file.set_data(np.zeros((2, 3, 4, 5), np.float32))
        assert "a stack of volumes" in refused(path)


class TestRaw:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int32"])
    @pytest.mark.parametrize("byte_order", ["little", "big", None])
    @pytest.mark.parametrize("offset", [0, 37])
    def test_exact(self, tmp_path, dtype, byte_order, offset):
        volume = VOLUME.astype(dtype)
        stored = volume.astype(volume.dtype.newbyteorder(">" if byte_order == "big" else "<"))
        path = tmp_path / "v.raw"
        path.write_bytes(b"\0" * offset + stored.tobytes())
        options = {"shape": VOLUME.shape, "dtype": dtype, "offset": offset}
        with open_volume(path, byte_order=byte_order, **options) as opened:
            assert (opened.format, opened.voxel_size_um) == ("raw", None)
            np.testing.assert_array_equal(opened.read(1, 6), volume[1:])

    def test_size_that_does_not_fit_says_both(self, tmp_path):
        path = tmp_path / "v.raw"
        path.write_bytes(VOLUME.tobytes() + b"x")
        assert "take 6240 bytes, the file has 6241" in refused(
            path, shape=VOLUME.shape, dtype="uint16"
        )
        assert "behind 1 bytes take 3121 bytes" in refused(
            path, shape=VOLUME.shape, dtype="uint8", offset=1
        )

    def test_incomplete_description(self, tmp_path):
        path = tmp_path / "v.raw"
        path.write_bytes(b"\1\2\3" * 40)
        assert "need their shape and dtype" in refused(path)
        assert "need a dtype" in refused(path, shape=(2, 3, 20))
        assert "has 2 extents" in refused(path, shape=(6, 20), dtype="uint8")
        assert "empty volume" in refused(path, shape=(0, 3, 20), dtype="uint8")
        assert "negative" in refused(path, shape=(2, 3, 20), dtype="uint8", offset=-1)
        assert "complex64" in refused(path, shape=(1, 3, 5), dtype="complex64")
