"""Scaling of volumes: known means, straight ramps, and blocks that are parts of the whole."""

import numpy as np
import pytest

from models.segment.view_fusion.frame import (
    Frame,
    GreyRange,
    frames_of,
    grey_range,
    scaled_block,
)

SAME = GreyRange(0.0, 1.0)


def frames(shape, factor: float) -> tuple[Frame, ...]:
    return frames_of(shape, (1, 1, 1), 10.0, 10.0 * factor, (2, 8))


def scaled(volume: np.ndarray, factor: float, pixels=None) -> np.ndarray:
    axes = frames(volume.shape, factor)
    return scaled_block(volume, axes, pixels or [slice(0, axis.pixels) for axis in axes], SAME)


def test_nothing_changes_at_the_same_scale() -> None:
    volume = np.random.default_rng(0).random((40, 9, 11), np.float32)
    np.testing.assert_allclose(scaled(volume, 1.0), volume, atol=1e-6)


def test_half_the_size_is_the_mean_of_eight() -> None:
    volume = np.random.default_rng(0).random((70, 8, 12), np.float32)
    means = volume.reshape(35, 2, 4, 2, 6, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(scaled(volume, 0.5), means, atol=1e-6)


@pytest.mark.parametrize("factor", [0.37, 0.8, 1.7, 3.0])
def test_ramps_stay_straight_and_in_their_place(factor: float) -> None:
    z, y, x = np.indices((60, 50, 40)) / 200
    pixel = np.indices(scaled(x, factor).shape)
    for ramp, axis in ((z, 0), (y, 1), (x, 2)):
        true = ((pixel[axis] + 0.5) / factor - 0.5) / 200
        inner = (slice(4, -4),) * 3
        off = 1e-5 if factor >= 1 else 0.15 / 200  # means of whole voxels: 0.15 of one at most
        np.testing.assert_allclose(scaled(ramp, factor)[inner], true[inner], atol=off)


@pytest.mark.parametrize("factor", [0.37, 1.7])
def test_a_block_is_a_part_of_the_whole(factor: float) -> None:
    volume = np.random.default_rng(0).random((70, 50, 40), np.float32)
    block = (slice(5, 16), slice(0, 9), slice(8, 14))
    np.testing.assert_allclose(
        scaled(volume, factor, block), scaled(volume, factor)[block], atol=1e-6
    )


@pytest.mark.parametrize("factor", [0.37, 1.0, 1.7])
def test_nodes_lie_around_the_voxels_and_in_step_with_the_network(factor: float) -> None:
    axis = frames((100, 1, 1), factor)[0]
    for side in (slice(0, 100), slice(0, 31), slice(37, 64), slice(99, 100)):
        nodes = axis.nodes_around(side)
        assert nodes.start % 4 == 0
        assert nodes.start <= axis.node_of(side.start) or nodes.start == 0
        assert nodes.stop - 1 >= axis.node_of(side.stop - 1) or nodes.stop == axis.nodes
        assert axis.pixels_of(nodes).stop <= axis.pixels


def test_volumes_are_not_enlarged_without_end() -> None:
    assert frames_of((9, 9, 9), (1, 1, 1), 1.0, 30.0, (2, 8))[0].factor == 4


def test_the_range_is_that_of_the_whole_volume() -> None:
    volume = np.linspace(0, 1000, 200).astype(np.float32)[:, None, None] * np.ones((1, 20, 20))
    levels = grey_range(volume)
    assert levels.low == pytest.approx(0, abs=25)
    assert levels.high == pytest.approx(1000, abs=5)
    cut = levels.normalised(np.array([-1e6, levels.low, levels.high, 1e6]))
    np.testing.assert_allclose(cut, [-0.5, 0, 1, 1.5])
