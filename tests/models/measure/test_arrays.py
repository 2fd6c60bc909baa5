"""What may be measured is taken, anything else is refused with a reason."""

import numpy as np
import pytest

from models.measure.arrays import (
    InvalidVolumeError,
    check_labels,
    check_same_shape,
    parse_label_image,
    parse_labels,
    parse_spacing,
)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "int32", "int64", "uint64"])
def test_labels_of_any_integer_type_are_taken(dtype):
    labels = parse_labels(np.ones((2, 3, 4), dtype=dtype))
    assert labels.dtype.kind in "iu"
    assert labels.sum() == 24


def test_background_alone_is_no_error():
    assert parse_labels(np.zeros((1, 1, 1), dtype=np.int32)).shape == (1, 1, 1)
    assert parse_label_image(np.zeros((1, 1), dtype=np.int32)).shape == (1, 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((2, 2, 2)), "cast"),
        (np.zeros((2, 2), dtype=int), r"\(Z, Y, X\)"),
        (np.zeros((2, 0, 2), dtype=int), "extent is zero"),
        (np.full((1, 1, 2), -1), r"-1 at \(0, 0, 0\)"),
        (np.full((1, 1, 2), 2**63, dtype=np.uint64), "renumber"),
    ],
)
def test_what_is_not_a_label_volume_is_refused(labels, message):
    with pytest.raises(InvalidVolumeError, match=message):
        parse_labels(labels)


def test_shape_and_type_are_checked_without_reading():
    class Unread:
        shape = (4, 4, 4)
        dtype = np.dtype("float32")

    with pytest.raises(InvalidVolumeError, match="float32"):
        check_labels(Unread())


@pytest.mark.parametrize(
    "spacing", [None, (1, 1), (1, 1, 1, 1), (0, 1, 1), (1, -1, 1), (1, np.nan, 1), (1, 1, np.inf)]
)
def test_a_spacing_must_be_known_and_above_zero(spacing):
    with pytest.raises(InvalidVolumeError, match="dz, dy, dx"):
        parse_spacing(spacing)


def test_spacing_is_taken_as_floats():
    assert parse_spacing(np.array([2, 1, 1])) == (2.0, 1.0, 1.0)
    assert parse_spacing([0.5, 0.25], ndim=2) == (0.5, 0.25)


def test_volumes_that_do_not_match_are_refused_by_name():
    check_same_shape((1, 2, 3), (1, 2, 3), "grey")
    with pytest.raises(InvalidVolumeError, match="grey has shape"):
        check_same_shape((1, 2, 3), (3, 2, 1), "grey")
