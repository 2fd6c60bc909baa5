"""Flooding: peaks and valleys of known height, and the h-maxima watershed of scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import label as connected_components

from models.segment.flooding import flood


def test_a_valley_parts_two_hills_if_it_is_deep_enough() -> None:
    hills = np.array([[1, 3, 5, 3, 2, 3, 4, 2]], np.float32)  # the valley is 2 below the lower one
    everywhere = np.ones(hills.shape, bool)
    np.testing.assert_array_equal(flood(hills, everywhere, 2.0), [[1, 1, 1, 1, 1, 2, 2, 2]])
    np.testing.assert_array_equal(flood(hills, everywhere, 2.1), np.ones((1, 8)))


def test_regions_do_not_reach_across_the_edge_of_the_mask_or_the_array() -> None:
    landscape = np.zeros((4, 5), np.float32)
    mask = np.ones((4, 5), bool)
    mask[:, 2] = False
    expected = np.zeros((4, 5), int)
    expected[:, :2], expected[:, 3:] = 1, 2
    np.testing.assert_array_equal(flood(landscape, mask, 0.5), expected)
    corners = np.zeros((2, 2), bool)
    corners[0, 0] = corners[1, 1] = True
    assert flood(landscape[:2, :2], corners, 9.0).max() == 2
    assert flood(landscape, np.zeros((4, 5), bool), 1.0).max() == 0


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.uint8, (7, 8), elements=st.integers(0, 9)), st.integers(1, 6))
def test_as_many_regions_as_h_maxima(landscape: np.ndarray, depth: int) -> None:
    labels = flood(landscape.astype(np.float32), np.ones(landscape.shape, bool), depth)
    peaks = maxima_of_height(landscape, depth)
    assert labels.max() == max(len(peaks), 1)
    if len(peaks):  # each peak lies in a region of its own
        assert len({labels[y, x] for y, x in peaks}) == len(peaks)
    for label in range(1, labels.max() + 1):
        assert ndimage.label(labels == label)[1] == 1


def maxima_of_height(landscape: np.ndarray, depth: int) -> list[tuple[int, int]]:
    """One pixel of every regional maximum that is `depth` above the pass to a higher one.

    Straight from the definition: for each level, the components of what is above it.
    """
    found: list[tuple[int, int]] = []
    flat = connected_components(landscape.astype(int) + 1, connectivity=1, background=0)
    seen: list[np.ndarray] = []
    order = sorted(
        range(1, flat.max() + 1), key=lambda i: (-int(landscape[flat == i][0]), i)
    )  # equal peaks: the first one counts as higher
    for i in order:
        height = int(landscape[flat == i][0])
        ring = ndimage.binary_dilation(flat == i) & (flat != i)
        if ring.any() and landscape[ring].max() > height:
            continue
        above = ndimage.label(landscape > height - depth)[0]
        component = above == above[flat == i][0]
        if not any((component & before).any() for before in seen):
            y, x = np.argwhere(flat == i)[0]
            found.append((int(y), int(x)))
        seen.append(flat == i)
    return found


def test_three_dimensions_are_flooded_like_two() -> None:
    landscape = np.random.default_rng(0).random((9, 11)).astype(np.float32)
    mask = landscape > 0.2
    flat = flood(landscape, mask, 0.3)
    for axis in range(3):
        volume = flood(np.expand_dims(landscape, axis), np.expand_dims(mask, axis), 0.3)
        np.testing.assert_array_equal(volume.squeeze(axis), flat)


@pytest.mark.parametrize("ndim", [2, 3])
def test_labels_are_numbered_in_the_order_of_their_first_pixel(ndim: int) -> None:
    landscape = np.random.default_rng(1).random((8,) * ndim).astype(np.float32)
    labels = flood(landscape, landscape > 0.3, 0.1)
    found, first = np.unique(labels[labels > 0], return_index=True)
    np.testing.assert_array_equal(found, np.arange(1, labels.max() + 1))
    assert (np.diff(first) > 0).all()
