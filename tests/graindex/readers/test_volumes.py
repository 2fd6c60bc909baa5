"""The door for volumes, and stacks in one TIFF file."""

import hashlib
import pickle

import fsspec
import numpy as np
import pytest
import tifffile
from PIL import Image

from graindex.errors import GraindexError, OriginalError
from graindex.readers.volumes import UnreadableVolumeError, open_volume


def noise(shape=(5, 24, 30), dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


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


def write(path, volume, **options):
    tifffile.imwrite(path, volume, photometric="minisblack", **options)
    return path


class TestStack:
    @pytest.mark.parametrize(
        "dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8", ">u2", ">f4"]
    )
    def test_values_are_exact_in_native_order(self, tmp_path, dtype):
        volume = noise(dtype=np.dtype(dtype).newbyteorder("="))
        path = write(tmp_path / "v.tif", volume, byteorder=">" if dtype[0] == ">" else "<")
        with open_volume(path) as opened:
            assert (opened.shape, opened.format) == (volume.shape, "tiff")
            assert opened.dtype == volume.dtype
            assert opened.dtype.isnative
            read = opened.read(1, 4)
            np.testing.assert_array_equal(read, volume[1:4])
            assert read.dtype == opened.dtype
            assert read.flags.writeable

    @pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd"])
    @pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 7}, {"bigtiff": True}])
    def test_layouts(self, tmp_path, compression, layout):
        volume = noise(dtype=np.uint16)
        path = write(tmp_path / "v.tif", volume, compression=compression, metadata=None, **layout)
        np.testing.assert_array_equal(whole(path), volume)

    def test_pages_of_another_program(self, tmp_path):
        volume = noise()
        pages = [Image.fromarray(plane) for plane in volume]
        path = tmp_path / "v.tiff"
        pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_lzw")
        np.testing.assert_array_equal(whole(path), volume)

    def test_one_page_is_one_slice(self, tmp_path):
        volume = noise((1, 24, 30))
        np.testing.assert_array_equal(whole(write(tmp_path / "v.tif", volume[0])), volume)

    def test_booleans_become_0_and_1(self, tmp_path):
        volume = noise() > 100
        read = whole(write(tmp_path / "v.tif", volume))
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, volume)

    def test_values_behind_a_colour_table_or_white_zero_are_kept(self, tmp_path):
        volume = noise()
        table = noise((3, 256), np.uint16)
        path = tmp_path / "v.tif"
        tifffile.imwrite(path, volume, photometric="palette", colormap=table)
        np.testing.assert_array_equal(whole(path), volume)
        with open_volume(path) as opened:
            assert "palette_ignored" in [finding.kind for finding in opened.findings]
        tifffile.imwrite(path, volume, photometric="miniswhite")
        np.testing.assert_array_equal(whole(path), volume)
        with open_volume(path) as opened:
            assert "zero_is_white" in [finding.kind for finding in opened.findings]

    def test_a_thumbnail_is_no_slice(self, tmp_path):
        volume = noise()
        with tifffile.TiffWriter(tmp_path / "v.tif") as tif:
            for plane in volume:
                tif.write(plane, metadata=None)
            tif.write(volume[0, ::4, ::4], metadata=None, subfiletype=1)
        np.testing.assert_array_equal(whole(tmp_path / "v.tif"), volume)

    def test_slabs_end_where_the_volume_does(self, tmp_path):
        volume = noise((7, 8, 9))
        with open_volume(write(tmp_path / "v.tif", volume)) as opened:
            slabs = list(opened.slabs(3))
            assert [len(slab) for slab in slabs] == [3, 3, 1]
            np.testing.assert_array_equal(np.concatenate(slabs), volume)
            assert [len(slab) for slab in opened.slabs(3, start=6)] == [1]
            for z0, z1 in ((-1, 2), (3, 3), (0, 8)):
                with pytest.raises(IndexError):
                    opened.read(z0, z1)

    def test_nonfinite_voxels_are_passed_on_and_counted_once(self, tmp_path):
        volume = noise(dtype=np.float32)
        volume[1, 2, 3], volume[3, 0, :2] = np.nan, np.inf
        with open_volume(write(tmp_path / "v.tif", volume)) as opened:
            assert opened.nonfinite_voxels == 0
            opened.read(0, 3)
            assert opened.nonfinite_voxels == 1
            for _ in range(2):
                np.testing.assert_array_equal(opened.read(0, 5), volume)
            assert opened.nonfinite_voxels == 3

    def test_hash_is_that_of_the_file(self, tmp_path):
        path = write(tmp_path / "v.tif", noise())
        with open_volume(path) as opened:
            assert opened.content_sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


class TestVoxelSize:
    def size(self, path):
        with open_volume(path) as opened:
            return opened.voxel_size_um, opened.voxel_size_source, opened.findings

    @pytest.mark.parametrize(
        ("unit", "factor"), [("um", 1), ("\\u00B5m", 1), ("nm", 1e-3), ("mm", 1e3), ("micron", 1)]
    )
    def test_imagej(self, tmp_path, unit, factor):
        path = tmp_path / "v.tif"
        tifffile.imwrite(
            path,
            noise(),
            imagej=True,
            resolution=(8, 4),
            metadata={"spacing": 0.5, "unit": unit, "axes": "ZYX"},
        )
        size, source, _ = self.size(path)
        assert size == pytest.approx((0.5 * factor, 0.25 * factor, 0.125 * factor))
        assert source == "ImageJ unit, spacing and resolution"

    def test_imagej_centimetres_with_a_spacing(self, tmp_path):
        path = tmp_path / "v.tif"
        metadata = {"spacing": 7e-6, "unit": "cm", "axes": "ZYX"}
        tifffile.imwrite(path, noise(), imagej=True, resolution=(1e5, 1e5), metadata=metadata)
        size, _, _ = self.size(path)
        assert size == pytest.approx((0.07, 0.1, 0.1))

    @pytest.mark.parametrize(
        "metadata",
        [
            {"unit": "um"},  # ImageJ then shows a depth of 1, which nobody measured
            {"spacing": 0.5, "unit": "pixel"},
            {"spacing": 0.5},
            {"spacing": 1.0, "unit": "inch"},
            {"spacing": 0.5, "unit": "furlong"},
            {"spacing": 0.0, "unit": "um"},
        ],
    )
    def test_imagej_says_nothing_usable(self, tmp_path, metadata):
        path = tmp_path / "v.tif"
        metadata = {"axes": "ZYX", **metadata}
        tifffile.imwrite(path, noise(), imagej=True, resolution=(1, 1), metadata=metadata)
        size, source, findings = self.size(path)
        assert (size, source) == (None, None)
        told = metadata.get("unit", "pixel") != "pixel"
        assert [finding.kind for finding in findings] == ["voxel_size_unusable"] * told

    def test_print_resolution_is_none(self, tmp_path):
        path = write(tmp_path / "v.tif", noise(), resolution=(300, 300), resolutionunit="INCH")
        assert self.size(path) == (None, None, ())

    def test_ome(self, tmp_path):
        path = tmp_path / "v.ome.tif"
        sizes = {"PhysicalSizeX": 70, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.07}
        metadata = {"axes": "ZYX", "PhysicalSizeZ": 500, "PhysicalSizeZUnit": "Å", **sizes}
        tifffile.imwrite(path, noise(), metadata=metadata)
        size, source, _ = self.size(path)
        assert size == pytest.approx((0.05, 0.07, 0.07))
        assert source == "OME PhysicalSize"
        del metadata["PhysicalSizeZ"]
        tifffile.imwrite(path, noise(), metadata=metadata)
        size, _, findings = self.size(path)
        assert size is None
        assert "not all three" in findings[0].detail


class TestHyperstack:
    def test_imagej_in_one_page(self, tmp_path):
        """ImageJ writes stacks over 4 GB behind a single page."""
        volume = noise(dtype=np.uint16)
        path = tmp_path / "v.tif"
        text = "ImageJ=1.53\nimages=5\nslices=5\n"
        tifffile.imwrite(path, volume[0], description=text, metadata=None, byteorder=">")
        with path.open("ab") as file:
            file.write(volume[1:].astype(">u2").tobytes())
        np.testing.assert_array_equal(whole(path), volume)
        path.write_bytes(path.read_bytes()[:-100])
        assert "truncated" in refused(path)

    def test_imagej_with_one_channel(self, tmp_path):
        volume = noise()
        path = tmp_path / "v.tif"
        tifffile.imwrite(path, volume[None, :, None], imagej=True, metadata={"axes": "TZCYX"})
        np.testing.assert_array_equal(whole(path), volume)

    @pytest.mark.parametrize("imagej", [True, False])
    @pytest.mark.parametrize(
        ("axes", "words"),
        [
            ("CYX", "3 channels and no slices"),
            ("TYX", "3 time points and no slices"),
            ("CZYX", "3 channels and 2 planes|2 planes and 3 channels"),
        ],
    )
    def test_channels_and_times_are_no_depth(self, tmp_path, imagej, axes, words):
        path = tmp_path / ("v.tif" if imagej else "v.ome.tif")
        volume = noise((3, 24, 30) if len(axes) == 3 else (3, 2, 24, 30))
        if imagej and axes == "CZYX":
            volume, axes = volume.swapaxes(0, 1), "ZCYX"
        tifffile.imwrite(
            path, volume, imagej=imagej, metadata={"axes": axes}, photometric="minisblack"
        )
        message = refused(path)
        assert any(word in message for word in words.split("|"))

    def test_ome_order_of_planes_is_that_of_its_metadata(self, tmp_path):
        volume = noise((3, 24, 30))
        path = tmp_path / "v.ome.tif"
        tifffile.imwrite(path, volume[[2, 0, 1]], metadata={"axes": "ZYX"})
        with tifffile.TiffFile(path) as tif:
            xml = tif.ome_metadata
        blocks = "".join(
            f'<TiffData IFD="{ifd}" FirstZ="{z}" FirstC="0" FirstT="0" PlaneCount="1"/>'
            for ifd, z in enumerate((2, 0, 1))
        )
        start = xml.index("<TiffData")
        xml = xml[:start] + blocks + xml[xml.index("</Pixels>") :]
        with tifffile.TiffWriter(path) as tif:
            for number, plane in enumerate(volume[[2, 0, 1]]):
                tif.write(plane, metadata=None, description=xml.encode() if number == 0 else None)
        np.testing.assert_array_equal(whole(path), volume)

    def test_ome_planes_in_other_files_are_not_opened(self, tmp_path):
        path = tmp_path / "v.ome.tif"
        tifffile.imwrite(path, noise((2, 24, 30)), metadata={"axes": "ZYX"})
        with tifffile.TiffFile(path) as tif:
            xml = tif.ome_metadata
        start, end = xml.index("<TiffData"), xml.index("</Pixels>")
        block = (
            '<TiffData IFD="0" FirstZ="0"><UUID FileName="other.tif">urn:uuid:1</UUID></TiffData>'
        )
        xml = xml[:start] + block + xml[end:]
        with tifffile.TiffWriter(path) as tif:
            for number, plane in enumerate(noise((2, 24, 30))):
                tif.write(plane, metadata=None, description=xml.encode() if number == 0 else None)
        assert "planes may be in others" in refused(path)


class TestDamage:
    def test_text(self, tmp_path):
        path = tmp_path / "v.tif"
        path.write_text("this is no volume")
        assert "looks like text: 'this is no volume'" in refused(path)

    def test_empty(self, tmp_path):
        path = tmp_path / "v.tif"
        path.write_bytes(b"")
        assert "0 bytes" in refused(path)

    @pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
    def test_truncated_anywhere(self, tmp_path, compression):
        path = write(tmp_path / "v.tif", noise(), compression=compression, metadata=None)
        data = path.read_bytes()
        for end in range(1, len(data), len(data) // 40):
            path.write_bytes(data[:end])
            refused(path)

    @pytest.mark.parametrize("compression", ["zlib", "lzw"])
    def test_flipped_bytes_name_the_page(self, tmp_path, compression):
        volume = noise() // 64
        path = write(tmp_path / "v.tif", volume, compression=compression)
        with tifffile.TiffFile(path) as tif:
            offset, count = tif.pages[3].dataoffsets[0], tif.pages[3].databytecounts[0]
        data = bytearray(path.read_bytes())
        data[offset + count // 3 : offset + 2 * count // 3] = b"\xff" * (
            2 * count // 3 - count // 3
        )
        path.write_bytes(data)
        assert "page 3" in refused(path)
        with open_volume(path) as opened:
            np.testing.assert_array_equal(opened.read(0, 3), volume[:3])

    def test_fewer_slices_than_imagej_describes(self, tmp_path):
        path = tmp_path / "v.tif"
        with tifffile.TiffWriter(path) as tif:
            for number, plane in enumerate(noise((4, 24, 30))):
                text = "ImageJ=1.53\nimages=9\nslices=9\n" if number == 0 else None
                tif.write(plane, description=text, metadata=None, compression="zlib")
        assert "9 slices, 4 are there" in refused(path)

    @pytest.mark.parametrize("at", [0, 1, 2, 4])
    def test_a_page_unlike_the_others(self, tmp_path, at):
        path = tmp_path / "v.tif"
        for odd in (noise((10, 30)), noise((24, 30), np.uint16)):
            with tifffile.TiffWriter(path) as tif:
                for number, plane in enumerate(noise()):
                    tif.write(odd if number == at else plane, metadata=None)
            message = refused(path)
            assert f"page {at or 1} has" in message
            assert "alike" in message

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_colour(self, tmp_path, planar):
        path = tmp_path / "v.tif"
        shape = (4, 24, 30, 3) if planar == "contig" else (4, 3, 24, 30)
        tifffile.imwrite(path, noise(shape), photometric="rgb", planarconfig=planar)
        assert "in colour (RGB)" in refused(path)

    def test_complex(self, tmp_path):
        path = write(tmp_path / "v.tif", noise(dtype=np.float32).astype(np.complex64))
        assert "complex64" in refused(path)

    def test_one_image_of_another_kind(self, tmp_path):
        path = tmp_path / "v.png"
        Image.fromarray(noise()[0]).save(path)
        assert "one PNG image, not a volume; give the folder" in refused(path)

    def test_compressed_file(self, tmp_path):
        path = tmp_path / "v.mrc.gz"
        path.write_bytes(b"\x1f\x8b\x08\x00 and so on")
        assert "compressed with gzip: unpack it first" in refused(path)

    def test_gone(self, tmp_path):
        for uri in (tmp_path / "v.tif", "nonsense://v.tif"):
            with pytest.raises(OriginalError) as caught:
                open_volume(uri)
            assert str(uri) in str(caught.value)

    def test_error_is_ours_and_survives_a_process_border(self):
        error = UnreadableVolumeError("v.tif", "two\nlines")
        assert isinstance(error, GraindexError)
        again = pickle.loads(pickle.dumps(error))
        assert (again.name, again.reason, str(again)) == ("v.tif", "two lines", "v.tif: two lines")


def test_behind_a_url(tmp_path):
    volume = noise()
    path = write(tmp_path / "v.tif", volume, compression="lzw")
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/volumes/v.tif", path.read_bytes())
    try:
        with open_volume("memory://volumes/v.tif") as opened:
            np.testing.assert_array_equal(opened.read(0, 5), volume)
            assert opened.content_sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
            copy = opened._file.path
            assert copy.exists()
        assert not copy.exists()
    finally:
        fs.rm("/volumes", recursive=True)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "shape", "values"),
    [
        ("nrel_nmc-1-cal_generatedCBD_bridge.tif", (251, 301, 301), {0, 1, 2}),
        ("taufactor_electrode_256.tif", (256, 256, 256), {0, 85, 170}),
        ("nmc_holotomography_slice_xy.tif", (1, 655, 2048), None),
    ],
)
def test_real_volumes(real_data, name, shape, values):
    with open_volume(real_data / "nmc_tomography" / name) as opened:
        assert (opened.shape, opened.dtype) == (shape, np.uint8)
        assert opened.voxel_size_um is None
        read = np.concatenate(list(opened.slabs(64)))
    assert read.shape == shape
    if values is not None:
        assert set(np.unique(read).tolist()) == values


@pytest.mark.real_data
def test_real_volume_as_lzw(real_data, tmp_path):
    source = real_data / "nmc_tomography" / "nrel_nmc-1-cal_generatedCBD_bridge.tif"
    volume = whole(source)
    path = write(tmp_path / "v.tif", volume, compression="lzw")
    np.testing.assert_array_equal(whole(path), volume)
