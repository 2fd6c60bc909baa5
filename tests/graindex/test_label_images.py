"""Labels as TIFF and as pictures; the databar without labels."""

import io

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from graindex.label_images import (
    PICTURE_SIDE_PX,
    confidence_of,
    decode_confidence,
    decode_labels,
    encode_labels,
    outline_picture,
    segment_content,
)
from models.segment.watershed import segment_image
from models.segment.watershed_options import WatershedOptions

LABELS = arrays(
    np.int32, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 2**31 - 1)
)


@settings(max_examples=25, deadline=None)
@given(LABELS)
def test_labels_come_back_and_equal_ones_have_equal_bytes(labels):
    data = encode_labels(labels)
    back = decode_labels(data)
    assert (back == labels).all()
    assert back.dtype == (np.uint16 if labels.max() < 2**16 else np.uint32)
    assert encode_labels(labels.astype(np.int64)) == data


def test_any_reader_of_tiff_reads_them(tmp_path):
    labels = np.arange(600, dtype=np.int32).reshape(20, 30)
    (tmp_path / "labels.tif").write_bytes(encode_labels(labels))
    with tifffile.TiffFile(tmp_path / "labels.tif") as tiff:
        assert tiff.pages[0].compression.name == "ADOBE_DEFLATE"
    with Image.open(tmp_path / "labels.tif") as image:
        assert (np.asarray(image) == labels).all()


@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 1, width=32)))
def test_confidences_come_back_and_leave_the_labels_alone(confidence):
    labels = np.arange(len(confidence) + 1, dtype=np.int32)[np.newaxis]
    data = encode_labels(labels, confidence)
    assert (decode_labels(data) == labels).all()
    back = decode_confidence(data)
    assert back is not None
    assert (back == confidence).all()
    assert data == encode_labels(labels, confidence)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 1
        assert (np.asarray(image) == labels).all()


def test_where_there_is_no_confidence_there_is_none():
    labels = np.array([[0, 1], [2, 7]], np.int32)
    empty = np.zeros(0, np.float32)
    assert decode_confidence(encode_labels(labels)) is None
    assert encode_labels(labels, empty) == encode_labels(labels)
    assert decode_confidence(b"no TIFF at all") is None
    given_labels = np.array([7, 2, 1, 0])
    known = confidence_of(given_labels, np.array([0.5, 0.25], np.float32))
    assert np.array_equal(known, [np.nan, 0.25, 0.5, np.nan], equal_nan=True)
    assert np.isnan(confidence_of(given_labels, None)).all()


def test_labels_of_the_content_lie_where_the_content_does():
    y, x = np.mgrid[:60, :80]
    content = np.where((y - 30) ** 2 + (x - 30) ** 2 < 200, 200, 40).astype(np.uint8)
    options = WatershedOptions(polarity="bright")
    frame = segment_content(content, options, frame_shape=(90, 100), corner=(7, 11)).labels
    assert frame.shape == (90, 100)
    inside = frame[7:67, 11:91]
    assert (inside == segment_image(content, options=options)).all()
    assert (frame > 0).sum() == (inside > 0).sum() > 0


@pytest.mark.parametrize("shape", [(300, 1600), (1600, 40), (50, 60), (3, 4000)])
def test_pictures_are_no_longer_than_they_may_be(shape):
    data = outline_picture(np.full(shape, 90, np.uint8), np.zeros(shape, np.int32))
    with Image.open(io.BytesIO(data)) as picture:
        width, height = picture.size
    side = min(PICTURE_SIDE_PX, max(shape))
    assert max(width, height) == side
    assert min(width, height) == max(round(min(shape) * side / max(shape)), 1)


def test_outlines_outlive_shrinking():
    labels = np.zeros((2560, 2560), np.int32)
    labels[800:1600, 800:1600] = 1
    data = outline_picture(np.full(labels.shape, 90, np.uint8), labels)
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture).astype(int)
    colourful = np.ptp(pixels, axis=-1)
    assert colourful[10, 10] < 10
    edge = 200  # of 640, where row 800 of 2560 lies
    assert colourful[edge, 250:350].mean() > 150
    assert colourful[300, 300] < colourful[edge, 300] / 2
