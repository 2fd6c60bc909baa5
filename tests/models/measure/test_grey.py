"""Grey conversion: exact ends, order kept, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.measure.grey import to_uint8

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def test_uint8_is_passed_through_unchanged() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert to_uint8(pixels, 8) is pixels


@pytest.mark.parametrize("bits", range(1, 17))
def test_full_scale_of_any_depth_spans_all_of_0_to_255(bits: int) -> None:
    full = 2**bits - 1
    ramp = np.arange(full + 1, dtype=np.uint16)[None, :]
    grey = to_uint8(ramp, bits)
    assert grey.dtype == np.uint8
    assert (grey[0, 0], grey[0, -1]) == (0, 255)
    assert (np.diff(grey[0].astype(int)) >= 0).all()
    np.testing.assert_allclose(grey[0], 255 * np.arange(full + 1) / full, atol=0.5 + 1e-9)


def test_eight_used_bits_in_sixteen_keep_their_values() -> None:
    pixels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    np.testing.assert_array_equal(to_uint8(pixels, 8), pixels)


def test_a_dark_twelve_bit_image_stays_dark() -> None:
    pixels = np.full((2, 2), 409, dtype=np.uint16)
    np.testing.assert_array_equal(to_uint8(pixels, 12), np.full((2, 2), 25))


@given(hnp.arrays(np.float32, (3, 5), elements=FINITE))
def test_float_keeps_order_and_spans_the_finite_range(pixels: np.ndarray) -> None:
    grey = to_uint8(pixels, 32)
    order = np.argsort(pixels, axis=None, kind="stable")
    assert (np.diff(grey.ravel()[order].astype(int)) >= 0).all()
    spread = pixels.max() > pixels.min()
    assert (grey.min(), grey.max()) == ((0, 255) if spread else (0, 0))


def test_float_known_values_and_infinities() -> None:
    pixels = np.array([[-1, 0, 1, np.inf, -np.inf]], dtype=np.float32)
    np.testing.assert_array_equal(to_uint8(pixels, 32), [[0, 128, 255, 255, 0]])


@pytest.mark.parametrize(
    ("pixels", "bits", "message"),
    [
        (np.full((2, 2), 4096, np.uint16), 12, "4096 does not fit 12 bits"),
        (np.zeros((2, 2), np.uint16), 0, "bits_used"),
        (np.zeros((2, 2), np.uint16), 17, "bits_used"),
        (np.array([[np.nan, 1]], np.float32), 32, "NaN"),
        (np.array([[np.inf, -np.inf]], np.float32), 32, "no finite pixel"),
        (np.zeros((2, 2, 3), np.uint8), 8, "shape"),
        (np.zeros((0, 2), np.uint8), 8, "shape"),
    ],
)
def test_what_has_no_grey_level_is_refused(pixels: np.ndarray, bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_uint8(pixels, bits)


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match="int64"):
        to_uint8(np.zeros((2, 2), np.int64), 8)
