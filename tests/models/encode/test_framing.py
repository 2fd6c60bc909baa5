import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encode.framing import frame, input_shape

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
