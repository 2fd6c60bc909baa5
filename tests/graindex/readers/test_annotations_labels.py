"""Label images as people save them: values as they are, and what may be something else refused."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from graindex.errors import AnnotationError
from graindex.readers.annotations_labels import label_particles, read_label_image
from graindex.readers.frame import Limits

LIMITS = Limits()


def saved(image, form="PNG"):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, form)
    return buffer.getvalue()


def tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def png(values, depth, channels=1):
    """A PNG of few or many bits, written by its specification."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width = values.shape
    channelled = np.repeat(values.reshape(height, -1, 1), channels, axis=2).reshape(height, -1)
    bits = (channelled[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, depth, {1: 0, 3: 2}[channels], 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def two(kind=np.uint8, first=3, second=200):
    values = np.zeros((20, 30), kind)
    values[2:8, 2:8], values[10:16, 10:20] = first, second
    return values


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (saved(two()), two()),
        (saved(two(), "BMP"), two()),
        (png(two(first=1, second=3), 2), two(first=1, second=3)),
        (png(two(first=7, second=9), 4), two(first=7, second=9)),
        (saved(two(np.uint16, 3, 40_000)), two(np.uint16, 3, 40_000)),
        (saved(np.dstack([two()] * 3)), two()),
        (saved(np.dstack([*[two()] * 3, np.full((20, 30), 255, np.uint8)])), two()),
        (saved(Image.fromarray(two(first=1, second=1) > 0)), two(first=1, second=1)),
        (tiff(two(np.uint16)), two()),
        (tiff(two(np.int32, 3, 100_000), compression="zlib"), two(np.int32, 3, 100_000)),
        (tiff(two(np.float32)), two()),
    ],
    ids=[
        "png8",
        "bmp",
        "png2",
        "png4",
        "png16",
        "rgb",
        "rgba",
        "png1",
        "tiff16",
        "tiff32",
        "float",
    ],
)
def test_values_are_as_they_were_saved(data, wanted):
    values = read_label_image(data, "m", LIMITS)
    assert values.dtype.kind in "iu"
    assert np.array_equal(values, wanted)


def test_the_index_of_a_palette_is_the_label():
    image = Image.fromarray(two(first=1, second=2))
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    values = read_label_image(saved(image), "m", LIMITS)
    assert np.array_equal(values, two(first=1, second=2))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"no image at all", "text"),
        (saved(two())[:80], "damaged|truncated"),
        (saved(two())[:-12], "truncated"),
        (png(two(np.uint16, 3, 300), 16, channels=3), "16 bits a channel"),
        (saved(two(), "JPEG"), "JPEG, which keeps no labels"),
        (saved(np.dstack([two(), two(), 0 * two()])), "colour image"),
        (tiff(two(np.float32) / 2), "fractions"),
        (tiff(two(np.int16, -1, 5)), "labels from -1 to 5"),
        (tiff(np.stack([two(), two()])), "2 pages"),
    ],
    ids=[
        "empty",
        "text",
        "cut",
        "no end",
        "deep colours",
        "jpeg",
        "colour",
        "fractions",
        "negative",
        "pages",
    ],
)
def test_what_is_no_label_image_is_one_line_with_its_name(data, says):
    with pytest.raises(AnnotationError, match=says) as caught:
        read_label_image(data, "mask 7", LIMITS)
    assert str(caught.value).startswith("mask 7") and "\n" not in str(caught.value)


def test_an_image_over_the_limit_is_not_decoded():
    with pytest.raises(AnnotationError, match="over the limit"):
        read_label_image(saved(two()), "m", Limits(max_megapixels=1e-4))


def test_values_are_particles_and_keep_their_labels():
    for how in ("auto", "instances"):
        found = label_particles(two(), "m", "grain", how)
        assert found.classes == {"grain": (3, 200)}
        assert np.array_equal(found.labels, two())


def test_one_value_in_several_pieces_may_be_either_and_is_asked_about():
    mask = two(first=255, second=255)
    with pytest.raises(AnnotationError, match=r"one value, 255, in 2 pieces: .*--mask-values"):
        label_particles(mask, "m", "grain", "auto")
    assert label_particles(mask, "m", "grain", "instances").classes == {"grain": (255,)}
    assert label_particles(mask, "m", "grain", "binary").classes == {"grain": (1, 2)}
    with pytest.raises(AnnotationError, match="holds 2 values"):
        label_particles(two(), "m", "grain", "binary")


def test_one_particle_alone_is_no_question():
    assert label_particles(two(second=0), "m", "grain", "auto").classes == {"grain": (3,)}


@given(st.integers(0, 2**32 - 1))
def test_pieces_partition_a_binary_mask(seed):
    mask = (np.random.default_rng(seed).random((12, 15)) < 0.3).astype(np.uint8)
    found = label_particles(mask, "m", "grain", "binary")
    assert np.array_equal(found.labels > 0, mask > 0)
    labels = found.classes.get("grain", ())
    assert labels == tuple(range(1, found.labels.max() + 1))
    # pieces do not touch, by edge or corner
    padded = np.pad(found.labels, 1)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = np.roll(padded, (dy, dx), (0, 1))
        assert not ((padded > 0) & (other > 0) & (padded != other)).any()
