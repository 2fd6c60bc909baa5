"""Folders of slices."""

import fsspec
import numpy as np
import pytest
import tifffile
from PIL import Image

from graindex.readers.volume_slices import ordered_slices
from graindex.readers.volumes import UnreadableVolumeError, open_volume

VOLUME = np.random.default_rng(0).integers(0, 60000, (12, 20, 26)).astype(np.uint16)


def fill(folder, pattern="rec_{}.tif", volume=VOLUME, **options):
    folder.mkdir(exist_ok=True)
    for number, plane in enumerate(volume):
        path = folder / pattern.format(number)
        if path.suffix in {".tif", ".tiff"}:
            tifffile.imwrite(path, plane, **options)
        else:
            Image.fromarray(plane).save(path, **options)
    return folder


def whole(path):
    with open_volume(path) as volume:
        return volume.read(0, volume.shape[0])


def refused(path):
    with pytest.raises(UnreadableVolumeError) as caught:
        whole(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestOrder:
    def test_numbers_not_letters(self):
        names = ["s10.tif", "s9.tif", "s11.tif", "s8.tif"]
        assert ordered_slices(names, "f") == (["s8.tif", "s9.tif", "s10.tif", "s11.tif"], 1)

    def test_other_files_are_passed_over(self):
        assert ordered_slices(["a1.tif", "log.txt", ".a2.tif", "a2.TIF"], "f")[0] == [
            "a1.tif",
            "a2.TIF",
        ]

    def test_the_number_that_counts(self):
        names = [f"scan2_{z:04}_{20210000 + 7 * z * z}.tif" for z in (2, 0, 1)]
        assert ordered_slices(names, "f") == ([names[1], names[2], names[0]], 1)

    def test_every_second_slice_is_even_spacing(self):
        assert ordered_slices([f"a{n}.png" for n in range(0, 20, 2)], "f")[1] == 2

    @pytest.mark.parametrize(
        ("names", "words"),
        [
            (["a1.tif", "a2.tif", "a4.tif", "a5.tif"], "slice 3 is missing between a2.tif and a4"),
            (["a1.tif", "a2.tif", "preview.tif"], "preview.tif is not named like the other slices"),
            (["a1.tif", "a2.tif", "a3.png"], "a3.png is not named like the other slices"),
            (["a1.tif", "a01.tif", "a2.tif"], "a01.tif and a1.tif have the same number"),
            ([f"s{s}_{n}.tif" for s in (1, 2) for n in (1, 2)], "several series?"),
            (["readme.txt"], "no TIFF, PNG, BMP or JPEG slices"),
        ],
    )
    def test_refused(self, names, words):
        with pytest.raises(UnreadableVolumeError, match=r"^f: ") as caught:
            ordered_slices(names, "f")
        assert words in str(caught.value)


class TestFolder:
    @pytest.mark.parametrize(
        ("pattern", "options"),
        [
            ("rec_{}.tif", {}),
            ("rec_{}.tif", {"compression": "lzw"}),
            ("{:04}.tiff", {"compression": "zlib", "byteorder": ">"}),
            ("a {} b.png", {}),
        ],
    )
    def test_exact(self, tmp_path, pattern, options):
        folder = fill(tmp_path / "scan", pattern, **options)
        (folder / "notes.txt").write_text("x")
        with open_volume(folder) as opened:
            assert (opened.format, opened.shape) == ("slices", VOLUME.shape)
            assert opened.dtype == np.uint16
            np.testing.assert_array_equal(opened.read(2, 11), VOLUME[2:11])

    @pytest.mark.parametrize("suffix", ["bmp", "jpg", "png"])
    def test_8_bits(self, tmp_path, suffix):
        volume = np.broadcast_to((VOLUME[:4] >> 8).astype(np.uint8)[:, :1, :1], (4, 16, 16))
        read = whole(fill(tmp_path / "scan", "{}." + suffix, volume))
        assert np.abs(read.astype(int) - volume).max() <= 1

    def test_uniform_slices_of_a_label_volume(self, tmp_path):
        volume = np.zeros((3, 4, 5), np.uint8)
        np.testing.assert_array_equal(whole(fill(tmp_path / "scan", volume=volume)), volume)

    def test_voxel_size_of_imagej_slices(self, tmp_path):
        options = {
            "imagej": True,
            "resolution": (10, 10),
            "metadata": {"unit": "um", "spacing": 0.2},
        }
        with open_volume(fill(tmp_path / "scan", **options)) as opened:
            assert opened.voxel_size_um == pytest.approx((0.2, 0.1, 0.1))
        for number in range(1, 12, 2):
            (tmp_path / "scan" / f"rec_{number}.tif").unlink()
        with open_volume(tmp_path / "scan") as opened:
            assert opened.shape[0] == 6
            assert opened.voxel_size_um is None

    def test_hash_is_of_names_and_bytes_of_slices_only(self, tmp_path):
        def digest():
            with open_volume(tmp_path / "scan") as opened:
                return opened.content_sha256()

        folder = fill(tmp_path / "scan")
        first = digest()
        (folder / "notes.txt").write_text("x")
        assert digest() == first
        data = bytearray((folder / "rec_3.tif").read_bytes())
        data[-1] ^= 1
        (folder / "rec_3.tif").write_bytes(data)
        assert digest() != first
        data[-1] ^= 1
        (folder / "rec_3.tif").write_bytes(data)
        for number in reversed(range(12)):
            (folder / f"rec_{number}.tif").rename(folder / f"rec_{number + 1}.tif")
        assert digest() != first

    def test_behind_a_url(self, tmp_path):
        folder = fill(tmp_path / "scan")
        fs = fsspec.filesystem("memory")
        fs.put(str(folder), "/scan", recursive=True)
        try:
            with open_volume("memory://scan") as remote, open_volume(folder) as local:
                np.testing.assert_array_equal(remote.read(0, 12), VOLUME)
                assert remote.content_sha256() == local.content_sha256()
            fs.pipe_file("/scan/rec_4.tif", b"text in place of a slice")
            with pytest.raises(UnreadableVolumeError, match=r"scan/rec_4\.tif: .*text"):
                whole("memory://scan")
        finally:
            fs.rm("/scan", recursive=True)


class TestDamage:
    def test_a_missing_slice(self, tmp_path):
        folder = fill(tmp_path / "scan")
        (folder / "rec_9.tif").unlink()
        assert refused(folder) == ("scan: slice 9 is missing between rec_8.tif and rec_10.tif")

    @pytest.mark.parametrize("plane", [VOLUME[0, :10], VOLUME[0].astype(np.uint8)])
    @pytest.mark.parametrize("suffix", ["tif", "png"])
    def test_a_slice_of_another_size_or_type_is_named_at_once(self, tmp_path, plane, suffix):
        folder = fill(tmp_path / "scan", "rec_{}." + suffix)
        if suffix == "tif":
            tifffile.imwrite(folder / "rec_7.tif", plane)
        else:
            Image.fromarray(plane).save(folder / "rec_7.png")
        with pytest.raises(UnreadableVolumeError, match=rf"^scan/rec_7\.{suffix}: .*alike"):
            open_volume(folder)

    @pytest.mark.parametrize("suffix", ["tif", "png", "bmp", "jpg"])
    def test_a_truncated_slice_is_named(self, tmp_path, suffix):
        volume = (VOLUME >> 8).astype(np.uint8)
        folder = fill(tmp_path / "scan", "rec_{}." + suffix, volume)
        path = folder / f"rec_5.{suffix}"
        path.write_bytes(path.read_bytes()[:-40])
        assert refused(folder).startswith(f"scan/rec_5.{suffix}: ")

    def test_flipped_bytes_of_a_png(self, tmp_path):
        folder = fill(tmp_path / "scan", "rec_{}.png")
        path = folder / "rec_5.png"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)
        assert refused(folder).startswith("scan/rec_5.png: damaged")

    def test_text_and_nothing(self, tmp_path):
        folder = fill(tmp_path / "scan")
        (folder / "rec_5.tif").write_text("no slice")
        assert refused(folder).startswith("scan/rec_5.tif: ")
        (folder / "rec_5.tif").write_bytes(b"")
        assert "0 bytes" in refused(folder)

    def test_colour(self, tmp_path):
        for suffix in ("png", "jpg", "bmp", "tif"):
            folder = tmp_path / suffix
            folder.mkdir()
            Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(folder / f"1.{suffix}")
            assert refused(folder).startswith(f"{suffix}/1.{suffix}: ")

    def test_a_slice_of_several_pages(self, tmp_path):
        folder = fill(tmp_path / "scan")
        tifffile.imwrite(folder / "rec_5.tif", VOLUME[:3], photometric="minisblack")
        assert refused(folder).startswith("scan/rec_5.tif: 3 pages")

    def test_an_empty_folder(self, tmp_path):
        (tmp_path / "scan").mkdir()
        assert "no TIFF" in refused(tmp_path / "scan")
