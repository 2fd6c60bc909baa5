import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encode.config import EncoderConfig
from models.encode.framing import clahe, frame, input_shape, parts, views

VGA = 640 * 480


@pytest.mark.parametrize(
    ("image", "expected"),
    [((480, 640), (480, 640)), ((960, 1280), (480, 640)), ((640, 480), (640, 480))],
)
def test_a_4_3_image_fills_the_default_area_exactly(image, expected):
    assert input_shape(*image, VGA) == expected


@given(st.integers(50, 8000), st.floats(1 / 3, 3))
def test_aspect_and_area_are_kept(height, aspect):
    width = round(height * aspect)
    rows, columns = input_shape(height, width, VGA)
    assert rows % 32 == columns % 32 == 0
    assert abs(np.log(columns / rows * height / width)) < np.log(1.06)
    assert abs(np.log(rows * columns / VGA)) < np.log(1.15)


@given(st.integers(1, 30_000), st.integers(1, 30_000), st.integers(1024, 1_000_000))
def test_no_image_shape_makes_the_input_much_larger(height, width, pixels):
    rows, columns = input_shape(height, width, pixels)
    assert rows % 32 == columns % 32 == 0
    assert min(rows, columns) >= 32
    assert rows * columns <= 1.25 * pixels


def test_framing_averages_areas():
    checkers = np.indices((960, 1280)).sum(0) % 2 * 200
    framed = frame(checkers.astype(np.uint8), VGA)
    assert framed.shape == (480, 640)
    assert np.all(framed == 100)


def test_a_reversed_view_is_framed_like_its_copy():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (192, 1))
    np.testing.assert_array_equal(
        frame(ramp[:, ::-1], 128 * 96), frame(ramp[:, ::-1].copy(), 128 * 96)
    )


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint16), np.zeros((0, 4), np.uint8)],
)
def test_anything_but_a_grey_uint8_image_is_refused(image):
    with pytest.raises(ValueError, match=r"grey uint8 image \(Y, X\)"):
        frame(image, VGA)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 6))
def test_parts_make_up_the_image_and_hardly_differ_in_size(height, width, count):
    image = np.arange(height * width, dtype=np.uint16).reshape(height, width)
    if min(height, width) < count:
        return
    found = parts(image, count)
    rows = [np.hstack(found[row * count : (row + 1) * count]) for row in range(count)]
    assert np.array_equal(np.vstack(rows), image)
    for axis in (0, 1):
        sides = [part.shape[axis] for part in found]
        assert max(sides) - min(sides) <= 1


def test_views_are_the_parts_each_with_its_mirror_images():
    image = np.random.default_rng(0).integers(0, 256, (120, 160), np.uint8)
    config = EncoderConfig(pixels=96 * 64, crops=2, mirrored=True)
    found = views(image, config)
    assert len(found) == 16
    framed = frame(image[60:, :80], config.pixels)
    assert np.array_equal(found[8], framed)
    assert np.array_equal(found[9], framed[:, ::-1])


def test_contrast_is_evened_out_between_parts():
    rng = np.random.default_rng(0)
    image = rng.normal(120, 5, (256, 256))
    image[:, 128:] = rng.normal(120, 40, (256, 128))
    image = np.clip(image, 0, 255).astype(np.uint8)
    weak, strong = (clahe(image)[:, part].std() for part in (slice(16, 112), slice(144, 240)))
    assert strong / weak < 0.7 * image[:, 144:].std() / image[:, :112].std()
