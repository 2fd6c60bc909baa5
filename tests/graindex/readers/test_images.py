import io
import struct
import threading
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from graindex.readers.images import (
    Frame,
    Limits,
    UnreadableImageError,
    is_image_name,
    read_frames,
)
from tests.graindex.readers.builders import pillow, textured, tiff


def only(data, name="x", **options):
    frames = read_frames(data, name, **options)
    assert len(frames) == 1
    return frames[0]


def refused(data, name="x.tif", **options):
    with pytest.raises(UnreadableImageError) as caught:
        read_frames(data, name, **options)
    message = str(caught.value)
    assert message.startswith(name)
    assert "\n" not in message
    return message


class TestNames:
    def test_suffix_in_either_case(self):
        for suffix in ("jpg", "JPEG", "png", "Bmp", "tif", "TIFF", "dm3", "DM4"):
            assert is_image_name(f"a b__c.{suffix}")

    def test_others(self):
        for name in ("x.jpg.txt", "x.gif", "tif", ".tif.bak", "x"):
            assert not is_image_name(name)


class TestExact:
    """Grey values arrive as they were stored."""

    @pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
    def test_grey8(self, format):
        image = textured()
        frame = only(pillow(image, format))
        np.testing.assert_array_equal(frame.pixels, image)
        assert (frame.bit_depth, frame.bits_used, frame.colour_mode) == (8, 8, "grey")

    def test_jpeg_is_what_pillow_decodes(self):
        data = pillow(textured(), "JPEG", quality=90)
        np.testing.assert_array_equal(only(data).pixels, np.asarray(Image.open(io.BytesIO(data))))

    @pytest.mark.parametrize(("top", "bits"), [(255, 8), (256, 10), (1023, 10), (4095, 12)])
    @pytest.mark.parametrize("encode", [lambda a: pillow(a, "PNG"), tiff])
    def test_bits_in_use_of_16(self, encode, top, bits):
        image = textured(dtype=np.uint16, top=top)
        frame = only(encode(image))
        np.testing.assert_array_equal(frame.pixels, image)
        assert frame.pixels.dtype == np.uint16
        assert (frame.bit_depth, frame.bits_used) == (16, bits)

    def test_stated_bits_win_over_the_maximum(self):
        image = textured(dtype=np.uint16, top=900)
        frame = only(tiff(image, extratags=[(281, "H", 1, 4095, True)]))
        assert frame.bits_used == 12

    def test_float_with_negative_values(self):
        image = textured().astype(np.float32) - 77.25
        frame = only(tiff(image))
        np.testing.assert_array_equal(frame.pixels, image)
        assert (frame.bit_depth, frame.bits_used) == (32, 32)

    @pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.int32])
    def test_integers_that_fit_become_uint16(self, dtype):
        image = textured(dtype=dtype, top=4095)
        frame = only(tiff(image))
        assert frame.pixels.dtype == np.uint16
        np.testing.assert_array_equal(frame.pixels, image)

    @pytest.mark.parametrize("shift", [-5, 70000])
    def test_integers_that_do_not_fit_become_float(self, shift):
        image = textured(dtype=np.int32) + shift
        frame = only(tiff(image))
        assert frame.pixels.dtype == np.float32
        np.testing.assert_array_equal(frame.pixels, image)

    def test_one_bit(self):
        image = textured() > 100
        frame = only(pillow(Image.fromarray(image), "PNG"))
        np.testing.assert_array_equal(frame.pixels, np.where(image, 255, 0))
        assert (frame.bit_depth, frame.bits_used) == (1, 8)
        np.testing.assert_array_equal(
            only(tiff(image, photometric="minisblack")).pixels, np.where(image, 255, 0)
        )

    def test_four_bits_of_tiff(self):
        levels = textured(40, 48, top=15)
        packed = (levels[:, ::2] << 4) | levels[:, 1::2]
        data = bytearray(tiff(packed, metadata=None, rowsperstrip=40))
        with tifffile.TiffFile(io.BytesIO(data)) as tif:
            for code, value in ((256, 48), (258, 4)):
                at = tif.pages[0].tags[code].valueoffset
                data[at : at + 2] = value.to_bytes(2, "little")
        frame = only(bytes(data))
        np.testing.assert_array_equal(frame.pixels, levels * 17)
        assert (frame.bit_depth, frame.bits_used) == (4, 8)

    def test_min_is_white(self):
        image = textured()
        assert (only(tiff(image, photometric="miniswhite")).pixels == 255 - image).all()
        image = textured(dtype=np.uint16, top=4095)
        assert (only(tiff(image, photometric="miniswhite")).pixels == 65535 - image).all()

    @pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd"])
    @pytest.mark.parametrize("tile", [None, (16, 16)])
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_layouts_of_tiff(self, compression, tile, byteorder):
        image = textured(50, 70, np.uint16, 65535)
        data = tiff(image, compression=compression, tile=tile, byteorder=byteorder)
        np.testing.assert_array_equal(only(data).pixels, image)

    def test_lzw_of_every_kind(self):
        rgb = np.dstack([textured(seed=s) for s in range(3)])
        for image, options in (
            (textured() > 100, {"photometric": "minisblack"}),
            (textured().astype(np.float32), {"predictor": 3}),
            (textured(dtype=np.uint16, top=4095), {"predictor": 2, "byteorder": ">"}),
            (rgb, {"photometric": "rgb"}),
            (np.moveaxis(rgb, -1, 0).copy(), {"photometric": "rgb", "planarconfig": "separate"}),
            (np.dstack([rgb, textured(seed=3)]), {"photometric": "separated"}),
        ):
            packed = only(tiff(image, compression="lzw", **options))
            plain = only(tiff(image, **{k: v for k, v in options.items() if k != "predictor"}))
            np.testing.assert_array_equal(packed.pixels, plain.pixels)
            assert packed.colour_mode == plain.colour_mode

    def test_12_bit_packed(self):
        image = textured(dtype=np.uint16, top=4095)
        frame = only(tiff(image, bitspersample=12, compression=None, rowsperstrip=40))
        np.testing.assert_array_equal(frame.pixels, image)
        assert (frame.bit_depth, frame.bits_used) == (12, 12)

    def test_bigtiff_and_file_object(self):
        image = textured()
        np.testing.assert_array_equal(only(io.BytesIO(tiff(image, bigtiff=True))).pixels, image)

    def test_format_by_content_not_name(self):
        assert only(pillow(textured(), "JPEG"), "x.tif").pixels.shape == (40, 48)


class TestColour:
    @pytest.mark.parametrize("encode", [lambda a: pillow(a, "PNG"), tiff])
    def test_equal_channels_give_that_channel(self, encode):
        image = textured()
        frame = only(encode(np.dstack([image] * 3)))
        np.testing.assert_array_equal(frame.pixels, image)
        assert frame.colour_mode == "rgb_grey"

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    @pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
    def test_luma(self, planar, dtype, top):
        rgb = np.stack([textured(dtype=dtype, top=top, seed=s) for s in range(3)])
        luma = np.tensordot([0.299, 0.587, 0.114], rgb.astype(float), 1)
        stored = rgb if planar == "separate" else np.moveaxis(rgb, 0, -1)
        frame = only(tiff(stored, photometric="rgb", planarconfig=planar))
        assert np.abs(frame.pixels - luma).max() <= 0.51 + top * 3e-5
        assert frame.colour_mode == "rgb"
        assert frame.bit_depth == 8 * np.dtype(dtype).itemsize

    def test_16_bit_colour_png_keeps_16_bits(self):
        import imagecodecs

        image = textured(dtype=np.uint16, top=65535)
        frame = only(imagecodecs.png_encode(np.dstack([image] * 3)))
        np.testing.assert_array_equal(frame.pixels, image)
        assert frame.bit_depth == 16

    @pytest.mark.parametrize("scale", [257, 256, 1])
    def test_palette_tiff(self, scale):
        index = textured()
        negative = (255 - np.arange(256, dtype=np.uint16)) * scale
        data = tiff(index, photometric="palette", colormap=np.stack([negative] * 3))
        frame = only(data)
        np.testing.assert_array_equal(frame.pixels, 255 - index)
        assert frame.colour_mode == "palette"

    def test_palette_png_and_bmp(self):
        image = Image.fromarray(textured()).convert("P")
        image.putpalette([v for i in range(256) for v in (255 - i,) * 3])
        for format in ("PNG", "BMP"):
            frame = only(pillow(image, format))
            np.testing.assert_array_equal(frame.pixels, 255 - np.asarray(image))
            assert frame.colour_mode == "palette"

    def test_constant_alpha_carries_nothing(self):
        image = textured()
        for level in (0, 128, 255):
            rgba = np.dstack([image, image, image, np.full_like(image, level)])
            for data in (pillow(rgba, "PNG"), tiff(rgba, extrasamples=["unassalpha"])):
                frame = only(data)
                np.testing.assert_array_equal(frame.pixels, image)
                assert frame.colour_mode == "rgba"

    def test_varying_alpha_composites_over_black(self):
        image = textured()
        alpha = np.where(np.arange(48) < 24, 255, 0).astype(np.uint8) + np.zeros_like(image)
        rgba = np.dstack([image, image, image, alpha])
        for data in (pillow(rgba, "PNG"), tiff(rgba, extrasamples=["unassalpha"])):
            np.testing.assert_array_equal(only(data).pixels, np.where(alpha, image, 0))

    def test_associated_alpha_is_in_the_colours_already(self):
        image = textured()
        rgba = np.dstack([image, image, image, textured(seed=1)])
        frame = only(tiff(rgba, extrasamples=["assocalpha"], photometric="rgb"))
        np.testing.assert_array_equal(frame.pixels, image)

    def test_black_ink_only_is_a_negative(self):
        ink = textured()
        cmyk = np.dstack([np.zeros_like(ink)] * 3 + [ink])
        frame = only(tiff(cmyk, photometric="separated"))
        np.testing.assert_array_equal(frame.pixels, 255 - ink)
        assert frame.colour_mode == "cmyk"

    def test_cmyk_jpeg(self):
        ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (32, 1))
        cmyk = Image.merge("CMYK", [Image.new("L", (64, 32))] * 3 + [Image.fromarray(ramp)])
        frame = only(pillow(cmyk, "JPEG", quality=95))
        assert frame.colour_mode == "cmyk"
        assert np.abs(frame.pixels.astype(int) - (255 - ramp.astype(int))).max() <= 6


class TestPages:
    def test_every_page_is_a_frame(self):
        stack = np.stack([textured(seed=s) for s in range(5)])
        frames = read_frames(tiff(stack, photometric="minisblack"), "x.tif")
        assert [frame.page for frame in frames] == [0, 1, 2, 3, 4]
        np.testing.assert_array_equal([frame.pixels for frame in frames], stack)

    def test_ome_planes(self):
        stack = np.stack([textured(seed=s) for s in range(6)]).reshape(2, 3, 40, 48)
        data = tiff(stack, ome=True, metadata={"axes": "ZCYX"}, photometric="minisblack")
        frames = read_frames(data, "x.ome.tif")
        np.testing.assert_array_equal([f.pixels for f in frames], stack.reshape(6, 40, 48))

    def test_samples_that_are_no_colours_are_planes(self):
        planes = np.stack([textured(seed=s) for s in range(2)])
        data = tiff(planes, photometric="minisblack", planarconfig="separate")
        frames = read_frames(data, "x.tif")
        np.testing.assert_array_equal([frame.pixels for frame in frames], planes)

    def test_volumetric_page(self):
        volume = np.stack([textured(64, 64, seed=s) for s in range(16)])
        data = tiff(volume, volumetric=True, tile=(16, 16, 16), photometric="minisblack")
        frames = read_frames(data, "x.tif")
        np.testing.assert_array_equal([frame.pixels for frame in frames], volume)

    def test_thumbnails_and_pyramids_are_no_frames(self):
        out = io.BytesIO()
        image = textured(64, 64)
        with tifffile.TiffWriter(out) as writer:
            writer.write(image, subifds=1, tile=(16, 16))
            writer.write(image[::2, ::2], subfiletype=1, tile=(16, 16))
            writer.write(image[::4, ::4], subfiletype=1)
        frame = only(out.getvalue())
        np.testing.assert_array_equal(frame.pixels, image)

    def test_unflagged_pyramid_level_is_left_out_and_named(self):
        out = io.BytesIO()
        with tifffile.TiffWriter(out) as writer:
            for step in (1, 2):
                writer.write(textured(64, 80)[::step, ::step], tile=(16, 16), metadata=None)
        frame = only(out.getvalue())
        assert frame.pixels.shape == (64, 80)
        assert [f.kind for f in frame.findings] == ["pyramid_level_left_out"]

    def test_pages_of_different_size(self):
        out = io.BytesIO()
        with tifffile.TiffWriter(out) as writer:
            writer.write(textured(40, 48), metadata=None)
            writer.write(textured(33, 21), metadata=None)
        assert [f.pixels.shape for f in read_frames(out.getvalue(), "x")] == [(40, 48), (33, 21)]

    def test_blank_plane_of_a_stack_is_named(self):
        stack = np.stack([textured(), np.zeros_like(textured()), textured(seed=2)])
        frames = read_frames(tiff(stack, photometric="minisblack"), "x.tif")
        assert [frame.page for frame in frames] == [0, 2]
        for frame in frames:
            (finding,) = frame.findings
            assert finding.kind == "frame_without_content"
            assert "plane 1" in finding.detail


class TestNonfinite:
    def test_replaced_by_the_median_and_counted(self):
        image = textured().astype(np.float32)
        damaged = image.copy()
        damaged[3, 3:6] = np.nan, np.inf, -np.inf
        frame = only(tiff(damaged))
        assert frame.nonfinite_pixels == 3
        good = np.isfinite(damaged)
        assert (frame.pixels[~good] == np.median(damaged[good])).all()
        np.testing.assert_array_equal(frame.pixels[good], image[good])
        assert [f.kind for f in frame.findings] == ["nonfinite_pixels"]

    def test_only_nan(self):
        assert "finite" in refused(tiff(np.full((40, 40), np.nan, np.float32)))

    def test_double_beyond_single_counts_as_infinite(self):
        image = textured().astype(np.float64)
        image[0, 1] = 1e300
        assert only(tiff(image)).nonfinite_pixels == 1


class TestOrientation:
    def test_kept_as_stored_and_named(self):
        image = textured()
        exif = Image.Exif()
        exif[274] = 6
        for data in (
            pillow(image, "PNG", exif=exif),
            tiff(image, extratags=[(274, "H", 1, 6, True)]),
        ):
            frame = only(data)
            np.testing.assert_array_equal(frame.pixels, image)
            assert [f.kind for f in frame.findings] == ["orientation_ignored"]


def png_header(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    end = b"\x00\x00\x00\x00IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    idat = b"IDAT" + zlib.compress(b"")
    data = struct.pack(">I", len(idat) - 4) + idat + struct.pack(">I", zlib.crc32(idat))
    return b"\x89PNG\r\n\x1a\n" + body + data + end


class TestRefused:
    def test_empty(self):
        assert "0 bytes" in refused(b"")

    @pytest.mark.parametrize(
        ("data", "looks"),
        [
            (b"Sample 12, calcined at 900 C\n", "text: 'Sample 12"),
            ("시료 12".encode(), "text"),
            (b"BM is how this text starts, by chance", "text"),
            (b"%PDF-1.7 ...", "PDF"),
            (b"<html><body>404</body>", "HTML"),
            (b"PK\x03\x04rest", "ZIP"),
            (bytes(4000), "zeros"),
            (b"\x93NUMPY\x01\x00", "binary"),
        ],
    )
    def test_says_what_it_looks_like(self, data, looks):
        assert looks in refused(data)

    def test_bomb_is_refused_by_its_header(self):
        assert "3600 megapixels" in refused(png_header(60000, 60000))
        data = bytearray(tiff(textured(), compression="zlib", metadata=None))
        with tifffile.TiffFile(io.BytesIO(data)) as tif:
            for code in (256, 257):
                tag = tif.pages[0].tags[code]
                data[tag.valueoffset : tag.valueoffset + tag.valuebytecount] = (60000).to_bytes(
                    tag.valuebytecount, "little"
                )
        assert "3600 megapixels" in refused(bytes(data))

    def test_tile_beyond_all_measure(self):
        data = bytearray(tiff(textured(), compression="lzw", tile=(16, 16), metadata=None))
        with tifffile.TiffFile(io.BytesIO(data)) as tif:
            at = tif.pages[0].tags[323].valueoffset
        assert tif.pages[0].tags[323].dtype == 4
        data[at : at + 4] = (1 << 30).to_bytes(4, "little")
        assert "tiles" in refused(bytes(data))

    def test_limit_is_a_parameter(self):
        data = pillow(textured(100, 200), "PNG")
        assert only(data, limits=Limits(max_megapixels=0.02)).pixels.shape == (100, 200)
        refused(data, limits=Limits(max_megapixels=0.0199))
        stack = np.stack([textured(seed=s) for s in range(5)])
        refused(tiff(stack, photometric="minisblack"), limits=Limits(max_total_megapixels=0.005))

    @pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "JPEG"])
    def test_one_pixel(self, format):
        assert "1 x 1" in refused(pillow(np.zeros((1, 1), np.uint8), format))

    @pytest.mark.parametrize("value", [0, 77, 255])
    def test_constant(self, value):
        image = np.full((32, 32), value, np.uint8)
        for format in ("PNG", "TIFF", "BMP"):
            assert f"constant image, every pixel is {value}" in refused(pillow(image, format))

    def test_pillow_never_fills_in(self):
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False

    def test_spoilt_strip(self):
        image = textured(64, 64)
        for compression in ("zlib", "lzw", "packbits", "lzma", "jpeg", "jpeg2000"):
            data = bytearray(tiff(image, compression=compression, metadata=None))
            with tifffile.TiffFile(io.BytesIO(data)) as tif:
                start, count = tif.pages[0].dataoffsets[0], tif.pages[0].databytecounts[0]
            data[start + count // 3 : start + count] = bytes(count - count // 3)
            refused(bytes(data))

    def test_png_with_a_wrong_checksum(self):
        data = bytearray(pillow(textured(), "PNG"))
        at = data.index(b"IDAT") + 40
        data[at] ^= 0xFF
        assert "checksum" in refused(bytes(data))

    def test_jpeg_filled_up_with_zeros(self):
        data = pillow(textured(200, 200), "JPEG")
        assert "end-of-image" in refused(data[: len(data) // 2] + bytes(len(data) // 2))


LOSSLESS = {
    "png": pillow(textured(), "PNG"),
    "bmp": pillow(textured(), "BMP"),
    "jpeg": pillow(textured(), "JPEG", quality=80),
    "progressive": pillow(textured(), "JPEG", progressive=True),
    "tiff": tiff(textured(), metadata=None),
    "tiff zlib": tiff(textured(), compression="zlib", rowsperstrip=8),
    "tiff tiled": tiff(textured(), compression="lzw", tile=(16, 16)),
    "stack": tiff(np.stack([textured(seed=s) for s in range(3)]), photometric="minisblack"),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_truncated_anywhere(kind):
    """A file without its end is refused, or, where only padding or a trailer went, unchanged."""
    data = LOSSLESS[kind]
    whole = [frame.pixels for frame in read_frames(data, kind)]
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        cut = data[: max(1, int(len(data) * share))]
        try:
            frames = read_frames(cut, kind)
        except UnreadableImageError:
            continue
        # the tags of a TIFF may stand behind its pixels, never the other way round
        np.testing.assert_array_equal([frame.pixels for frame in frames], whole)


FUZZ = settings(
    max_examples=150,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def survives(data):
    try:
        frames = read_frames(data, "fuzz", Limits(max_megapixels=1, max_total_megapixels=1))
    except UnreadableImageError as error:
        assert "\n" not in str(error)
        return
    for frame in frames:
        assert isinstance(frame, Frame)
        assert frame.pixels.ndim == 2
        assert frame.pixels.dtype in (np.uint8, np.uint16, np.float32)
        assert np.isfinite(frame.pixels).all()


@FUZZ
@given(st.sampled_from(sorted(LOSSLESS)), st.data())
def test_damage_raises_nothing_else(kind, draw):
    data = bytearray(LOSSLESS[kind])
    for _ in range(draw.draw(st.integers(1, 6))):
        # headers are at either end: half of the damage goes there
        at = draw.draw(st.integers(0, len(data) - 1) | st.integers(0, 200) | st.integers(-200, -1))
        data[at] = draw.draw(st.integers(0, 255))
    survives(bytes(data[: draw.draw(st.integers(len(data) // 2, len(data)))]))


@FUZZ
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\x00", b"MM\x00+\x00\x08"]),
    st.binary(max_size=300),
)
def test_noise_behind_a_magic_number(magic, noise):
    survives(magic + noise)


def test_threads_do_not_mix():
    good, bad = LOSSLESS["stack"], LOSSLESS["stack"][:-300]
    wrong = []

    def work():
        for _ in range(10):
            if len(read_frames(good, "good")) != 3 or read_frames(good, "good")[0].findings:
                wrong.append("good")
            try:
                read_frames(bad, "bad")
                wrong.append("bad")
            except UnreadableImageError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_libraries_do_not_chatter(caplog):
    with pytest.raises(UnreadableImageError):
        read_frames(LOSSLESS["stack"][:-300], "x")
    assert not caplog.records


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "count", "modes"),
    [
        ("ncm622_cycled_sem", 51, {"rgb"}),
        ("llzto_llto_sem", 67, {"palette", "grey"}),
        ("uhcs", 97, {"rgb_grey", "palette"}),
        ("emps/images", 162, {"rgb_grey"}),
    ],
)
def test_real_micrographs(real_data, folder, count, modes):
    paths = [p for p in sorted((real_data / folder).rglob("*")) if is_image_name(p.name)]
    assert len(paths) == count
    seen = set()
    for path in paths:
        with path.open("rb") as file:
            frame = only(file, path.name)
        assert frame.pixels.ndim == 2
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.flags.c_contiguous
        seen.add(frame.colour_mode)
    assert seen == modes


@pytest.mark.real_data
def test_real_volume_has_a_frame_per_slice(real_data):
    path = real_data / "nmc_tomography" / "taufactor_electrode_256.tif"
    frames = read_frames(path.read_bytes(), path.name)
    assert len(frames) == 256
    assert {frame.pixels.shape for frame in frames} == {(256, 256)}
