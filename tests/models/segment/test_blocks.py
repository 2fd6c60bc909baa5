"""Blocks: however the volume is cut, the labels are those of the volume in one piece."""

import numpy as np
import pytest
import zarr

from models.measure.arrays import InvalidVolumeError
from models.segment.blocks import segment_blocks
from models.segment.watershed import segment_volume
from models.segment.watershed_options import WatershedOptions

SHAPE = (40, 62, 70)
PHASES = WatershedOptions(phase_values=(1,), min_diameter_px=4)
GREY = WatershedOptions(min_diameter_px=5)


def scattered_balls(*, touching: bool) -> np.ndarray:
    """Balls of radius 4 … 8 voxels on a jittered grid."""
    rng = np.random.default_rng(3)
    grid = np.indices(SHAPE)
    labels = np.zeros(SHAPE, np.int32)
    step = 15 if touching else 20
    centres = np.stack(np.meshgrid(*(np.arange(8, n, step) for n in SHAPE)), -1).reshape(-1, 3)
    for number, centre in enumerate(centres + rng.uniform(-1.5, 1.5, centres.shape)):
        distance = ((grid - centre[:, None, None, None]) ** 2).sum(axis=0)
        labels[distance <= rng.uniform(6.5 if touching else 4, 8) ** 2] = number + 1
    return labels


@pytest.fixture(scope="module")
def apart() -> np.ndarray:
    return (scattered_balls(touching=False) > 0).astype(np.uint8)


@pytest.mark.parametrize("block_shape", [(64, 64, 128), (20, 31, 35), (16, 64, 23), (11, 17, 64)])
def test_phases_are_cut_any_way(apart: np.ndarray, block_shape: tuple[int, int, int]) -> None:
    whole = segment_volume(apart, spacing_um=(1, 1, 1), options=PHASES)
    assert whole.max() > 20
    labels = np.full(SHAPE, 99, np.int32)  # what was there before must not matter
    count = segment_blocks(
        apart, labels, spacing_um=(1, 1, 1), options=PHASES, block_shape=block_shape, overlap=20
    )
    assert count == whole.max()
    np.testing.assert_array_equal(labels, whole)


def test_touching_balls_are_parted_alike() -> None:
    truth = scattered_balls(touching=True)
    phases = (truth > 0).astype(np.uint8)
    whole = segment_volume(phases, spacing_um=(1, 1, 1), options=PHASES)
    labels = np.zeros(SHAPE, np.int64)
    count = segment_blocks(
        phases, labels, spacing_um=(1, 1, 1), options=PHASES, block_shape=(20, 31, 35), overlap=24
    )
    assert count == whole.max()
    assert (labels == whole).mean() > 0.999


def test_a_grey_volume_gets_the_threshold_of_the_whole(apart: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    shade = np.where(np.arange(SHAPE[0]) < 20, 0, 40)[:, None, None]  # halves differ in brightness
    grey = (60 + 100 * apart + shade + 6 * rng.standard_normal(SHAPE)).astype(np.float32)
    whole = segment_volume(grey, spacing_um=(2, 1, 1), options=GREY)
    labels = np.zeros(SHAPE, np.int32)
    segment_blocks(
        grey, labels, spacing_um=(2, 1, 1), options=GREY, block_shape=(20, 31, 35), overlap=24
    )
    np.testing.assert_array_equal(labels, whole)


def test_a_particle_larger_than_the_overlap_stays_one() -> None:
    grid = np.indices(SHAPE)
    rod = ((grid[0] - 20) ** 2 + (grid[1] - 30) ** 2 <= 8**2).astype(np.uint8)
    labels = np.zeros(SHAPE, np.int32)
    count = segment_blocks(
        rod, labels, spacing_um=(1, 1, 1), options=PHASES, block_shape=(20, 31, 20), overlap=12
    )
    assert count == 1
    np.testing.assert_array_equal(labels > 0, rod > 0)


def test_zarr_in_and_out_with_progress(apart: np.ndarray) -> None:
    source = zarr.create_array({}, shape=SHAPE, chunks=(16, 32, 32), dtype="uint8")
    source[:] = apart
    target = zarr.create_array({}, shape=SHAPE, chunks=(20, 31, 35), dtype="uint32")
    seen: list[tuple[int, int]] = []
    count = segment_blocks(
        source,
        target,
        spacing_um=(1, 1, 1),
        options=PHASES,
        block_shape=(20, 31, 35),
        overlap=20,
        progress=lambda done, total: seen.append((done, total)),
    )
    whole = segment_volume(apart, spacing_um=(1, 1, 1), options=PHASES)
    assert count == whole.max()
    np.testing.assert_array_equal(target[:], whole)
    assert seen == [(done, 16) for done in range(1, 17)]


def test_a_volume_without_particles() -> None:
    labels = np.full((9, 9, 9), 5, np.int32)
    empty = np.zeros((9, 9, 9), np.uint8)
    for options in (PHASES, GREY):
        assert segment_blocks(empty, labels, spacing_um=(1, 1, 1), options=options) == 0
        assert (labels == 0).all()


def test_nonsense_is_refused(apart: np.ndarray) -> None:
    labels = np.zeros(SHAPE, np.int32)
    with pytest.raises(InvalidVolumeError, match="write has shape"):
        segment_blocks(apart, labels[1:], spacing_um=(1, 1, 1), options=PHASES)
    with pytest.raises(InvalidVolumeError, match="not integers"):
        segment_blocks(apart, labels.astype(float), spacing_um=(1, 1, 1), options=PHASES)
    with pytest.raises(InvalidVolumeError, match="overlap"):
        segment_blocks(apart, labels, spacing_um=(1, 1, 1), options=PHASES, overlap=0)
    with pytest.raises(InvalidVolumeError, match="NaN"):
        segment_blocks(np.full((4, 4, 4), np.nan), labels[:4, :4, :4], spacing_um=(1, 1, 1))
    many = np.zeros((24, 24, 24), np.uint8)
    many[::2, ::2, ::2] = 1
    options = WatershedOptions(phase_values=(1,), min_diameter_px=1)
    with pytest.raises(InvalidVolumeError, match="take int32"):
        segment_blocks(many, np.zeros((24,) * 3, np.int8), spacing_um=(1, 1, 1), options=options)
