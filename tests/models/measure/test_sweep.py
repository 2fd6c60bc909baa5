"""One pass counts what plain loops count, however the volume is cut."""

from dataclasses import fields

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from models.measure.arrays import InvalidVolumeError
from models.measure.crofton import DIRECTIONS
from models.measure.sweep import merge, sweep, sweep_volume
from models.measure.sweep_result import Sweep

FEW = settings(max_examples=20, deadline=None)
SHAPES = st.tuples(*[st.integers(1, 7)] * 3)


def random_labels(shape, seed, kinds=4):
    rng = np.random.default_rng(seed)
    return (rng.integers(0, kinds, shape) * rng.integers(0, 2, shape)).astype(np.int32)


def plain_crossings(labels, phases, reach=1):
    """Crossings per unordered pair of codes, by shifting the padded array; −1 is outside."""
    codes = np.pad(np.where(labels > 0, labels, -2 - phases), reach, constant_values=-1)
    found = {}
    for column, step in enumerate(reach * np.array(DIRECTIONS)):
        here, there = (
            codes[
                tuple(
                    slice(max(sign * axis, 0), n + min(sign * axis, 0))
                    for axis, n in zip(step, codes.shape, strict=True)
                )
            ].ravel()
            for sign in (-1, 1)
        )
        for pair in zip(here[here != there], there[here != there], strict=True):
            counts = found.setdefault(tuple(sorted(map(int, pair))), np.zeros(13, dtype=int))
            counts[column] += 1
    return {pair: counts for pair, counts in found.items() if pair[1] > 0}


def assert_same(one: Sweep, other: Sweep, exact=True):
    for field in fields(Sweep):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if exact or np.asarray(a).dtype.kind != "f":
            np.testing.assert_array_equal(a, b, err_msg=field.name)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-12, err_msg=field.name)


@FEW
@given(SHAPES, st.integers(0, 1000))
def test_crossings_are_those_of_plain_shifts(shape, seed):
    labels = random_labels(shape, seed)
    phases = np.random.default_rng(seed).choice([0, 3, 9], shape)
    swept = sweep(labels, phases=phases)
    found = {}
    for pair, counts in zip(swept.pairs.tolist(), swept.pair_crossings, strict=True):
        found[tuple(pair)] = counts
    for row, label in enumerate(swept.labels.tolist()):
        found[-1, label] = swept.outside_crossings[row]
        for column, phase in enumerate(swept.phases.tolist()):
            found[-2 - phase, label] = swept.phase_crossings[row, column]
    expected = plain_crossings(labels, phases)
    assert expected.keys() <= found.keys()
    for pair, counts in found.items():
        np.testing.assert_array_equal(counts, expected.get(pair, np.zeros(13)), err_msg=str(pair))
    assert swept.phase_voxels == {p: (phases == p).sum() for p in np.unique(phases)}


@FEW
@given(SHAPES, st.integers(0, 1000))
def test_sums_are_those_of_plain_indexing(shape, seed):
    labels = random_labels(shape, seed)
    grey = np.random.default_rng(seed).integers(0, 2**16, shape).astype(np.uint16)
    swept = sweep(labels, grey=grey)
    assert swept.labels.tolist() == [label for label in np.unique(labels) if label]
    assert swept.background_voxels == (labels == 0).sum()
    assert swept.shape == shape
    for row, label in enumerate(swept.labels):
        z, y, x = places = np.array(np.nonzero(labels == label))
        levels = grey[labels == label].astype(np.int64)
        assert swept.voxels[row] == swept.grey_count[row] == len(z)
        assert swept.first[row].tolist() == places.sum(axis=1).tolist()
        products = [z * z, z * y, z * x, y * y, y * x, x * x]
        assert swept.second[row].tolist() == [p.sum() for p in products]
        assert swept.lower[row].tolist() == places.min(axis=1).tolist()
        assert swept.upper[row].tolist() == (places.max(axis=1) + 1).tolist()
        assert swept.grey_sum[row] == levels.sum()
        assert swept.grey_square_sum[row] == (levels**2).sum()
        assert (swept.grey_min[row], swept.grey_max[row]) == (levels.min(), levels.max())
        last = np.array(shape)[:, None] - 1
        assert swept.border_faces[row] == (places == 0).sum() + (places == last).sum()


@FEW
@given(SHAPES, st.integers(0, 1000), st.integers(1, 60), st.tuples(*[st.integers(1, 3)] * 3))
def test_blocks_of_any_size_give_the_same(shape, seed, block_voxels, chunks):
    labels = random_labels(shape, seed)
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 255, shape).astype(np.uint8)
    phases = rng.integers(0, 3, shape)

    class Chunked:
        shape, dtype = labels.shape, labels.dtype

        def __getitem__(self, index):
            return labels[index]

    lazy = Chunked()
    lazy.chunks = chunks
    seen = []
    cut = sweep_volume(
        lazy,
        grey=grey,
        phases=phases,
        block_voxels=block_voxels,
        progress=lambda *at: seen.append(at),
    )
    assert_same(cut, sweep(labels, grey=grey, phases=phases))
    assert seen[-1] == (labels.size, labels.size)


@FEW
@given(SHAPES, st.integers(0, 1000))
def test_near_crossings_are_those_of_plain_shifts_by_two_steps(shape, seed):
    labels = random_labels(shape, seed)
    swept = sweep(labels)
    found = {
        tuple(pair): (crossings, facing)
        for pair, crossings, facing in zip(
            swept.near_pairs.tolist(), swept.near_crossings, swept.near_facing, strict=True
        )
    }
    plain = plain_crossings(labels, np.zeros_like(labels), reach=2)
    assert found.keys() == {pair for pair in plain if pair[0] > 0}
    for pair, (crossings, facing) in found.items():
        np.testing.assert_array_equal(crossings, plain[pair])
        for axis in range(3):
            here, there = np.moveaxis(labels, axis, 0)[:-2], np.moveaxis(labels, axis, 0)[2:]
            up = ((here == pair[0]) & (there == pair[1])).sum()
            assert facing[axis] == up - ((here == pair[1]) & (there == pair[0])).sum()
    zeros = np.zeros(13), np.zeros(3)
    for row, pair in enumerate(swept.pairs.tolist()):
        for sums, expected in zip(
            swept.near_sums_of_pairs, found.get(tuple(pair), zeros), strict=True
        ):
            np.testing.assert_array_equal(sums[row], expected)


def test_labels_with_a_voxel_between_are_near_and_do_not_touch():
    swept = sweep(np.array([[[9, 9, 0, 2], [0, 0, 0, 0], [2, 0, 0, 0]]]))
    assert swept.pairs.tolist() == []
    assert swept.near_pairs.tolist() == [[2, 9]]
    assert swept.near_facing.tolist() == [[0, -1, -1]]


def test_many_planes_and_threads_change_nothing():
    # more than one chunk of planes, more than one slab and thread
    labels = np.kron(random_labels((9, 11, 10), 1, 600), np.ones((9, 9, 9), dtype=np.int32))
    grey = np.random.default_rng(0).normal(size=labels.shape).astype(np.float32)
    whole = sweep(labels, grey=grey)
    halves = []
    for first, last in ((0, 37), (37, 81)):
        low, high = max(first - 2, 0), min(last + 2, 81)
        core = (slice(first - low, last - low), slice(None), slice(None))
        part = sweep(labels[low:high], grey=grey[low:high], core=core, origin=(low, 0, 0))
        halves.append(part)
    assert_same(merge(halves[::-1]), whole, exact=False)
    assert whole.voxels.sum() == (labels > 0).sum()


def test_a_zarr_array_streams(tmp_path):
    labels = random_labels((20, 12, 9), 3)
    stored = zarr.create_array(
        tmp_path / "labels", shape=labels.shape, chunks=(4, 5, 4), dtype="int32"
    )
    stored[:] = labels
    assert_same(sweep_volume(stored, block_voxels=500), sweep(labels))


def test_new_numbers_give_the_same_rows():
    labels = random_labels((6, 7, 8), 2)
    numbers = np.array([0, 10**12, 7, 2**62, 255])
    renumbered, plain = sweep(numbers[labels]), sweep(labels)
    order = np.argsort(numbers[plain.labels])
    np.testing.assert_array_equal(renumbered.labels, numbers[plain.labels][order])
    np.testing.assert_array_equal(renumbered.crossings, plain.crossings[order])
    np.testing.assert_array_equal(renumbered.second, plain.second[order])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "uint32", "int64", "uint64", ">i4"])
def test_any_integer_type_and_layout_gives_the_same(dtype):
    labels = random_labels((5, 6, 7), 4)
    assert_same(sweep(labels.astype(dtype)), sweep(labels))
    read_only = np.asfortranarray(labels.astype(dtype))
    read_only.setflags(write=False)
    assert_same(sweep(read_only), sweep(labels))


def test_not_finite_grey_is_counted_and_left_out():
    labels = np.array([[[1, 1, 1, 2, 0]]])
    grey = np.array([[[np.nan, 2, 4, np.inf, np.nan]]], dtype=np.float32)
    swept = sweep(labels, grey=grey)
    assert swept.grey_not_finite.tolist() == [1, 1]
    assert swept.grey_count.tolist() == [2, 0]
    assert swept.grey_sum.tolist() == [6, 0]
    assert (swept.grey_min[0], swept.grey_max[0]) == (2, 4)
    assert np.isnan([swept.grey_min[1], swept.grey_max[1]]).all()


def test_faces_between_two_labels_are_signed_from_the_lesser():
    labels = np.array([[[9, 2], [9, 2]]])
    swept = sweep(labels)
    assert swept.pairs.tolist() == [[2, 9]]
    assert swept.pair_facing.tolist() == [[0, 0, -2]]
    assert sweep(labels[:, :, ::-1]).pair_facing.tolist() == [[0, 0, 2]]


def test_background_alone_gives_no_rows():
    swept = sweep(np.zeros((3, 3, 3), dtype=np.uint8), grey=np.ones((3, 3, 3)))
    assert len(swept.labels) == len(swept.pairs) == 0
    assert swept.phase_crossings.shape == (0, 1, 13)
    assert swept.labels.dtype == swept.voxels.dtype == np.int64
    assert swept.background_voxels == 27


def test_what_cannot_be_swept_is_refused():
    labels = np.ones((2, 2, 2), dtype=int)
    with pytest.raises(InvalidVolumeError, match="below 0"):
        sweep(-labels)
    with pytest.raises(InvalidVolumeError, match="phase"):
        sweep(labels, phases=-labels)
    with pytest.raises(InvalidVolumeError, match="grey has shape"):
        sweep_volume(labels, grey=np.ones((2, 2, 3)))
    with pytest.raises(InvalidVolumeError, match="cast"):
        sweep(labels * 1.0)
