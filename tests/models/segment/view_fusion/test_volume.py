"""View fusion with a network that is never wrong: what it finds is known."""

import numpy as np
import pytest
import zarr

from models.measure.arrays import InvalidVolumeError
from models.measure.matching import evaluate
from models.segment.star_convex.config import StarConvexError
from models.segment.view_fusion.options import FusionOptions
from models.segment.view_fusion.volume import segment_volume

CUBIC = (1.0, 1.0, 1.0)
SHAPE = (40, 48, 56)


@pytest.fixture(scope="module")
def segment(config):
    def run(forward, volume, *, spacing_um=CUBIC, labels_out=None, progress=None, **options):
        options = FusionOptions(**{"diameter_px": 20.0, "detail": 1.0} | options)
        return segment_volume(
            forward,
            config,
            volume,
            spacing_um=spacing_um,
            options=options,
            labels_out=labels_out,
            progress=progress,
        )

    return run


def agreement(truth: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    counts = evaluate(truth, found).at(0.5)
    return counts.f1, counts.mean_matched_iou


@pytest.fixture(scope="module")
def whole(segment, packed):
    return segment(packed.exact, packed.volume)


def test_packed_spheres_are_found_and_parted(whole, packed) -> None:
    f1, iou = agreement(packed.labels, whole.labels)
    assert f1 > 0.97
    assert iou > 0.85
    assert whole.labels.dtype == np.int32
    assert whole.confidence.shape == (whole.labels.max(),)
    assert whole.confidence.dtype == np.float32
    assert 0.7 < whole.confidence.min() <= whole.confidence.max() <= 1
    assert whole.diameter_px == 20
    firsts = [np.flatnonzero(whole.labels == n)[0] for n in range(1, whole.labels.max() + 1)]
    assert firsts == sorted(firsts)


@pytest.mark.parametrize("sections", ["xy", "yz", "xz"])
def test_no_direction_alone_is_as_good(segment, packed, whole, sections: str) -> None:
    alone = segment(packed.exact, packed.volume, sections=sections)
    fused, single = (agreement(packed.labels, made.labels) for made in (whole, alone))
    assert fused[0] >= single[0]
    assert fused[1] > single[1]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_two_spheres_that_touch_come_apart(segment, spheres, axis: int) -> None:
    middle = np.array(SHAPE) / 2
    offset = np.where(np.arange(3) == axis, 9.0, 0.0)
    made = spheres(SHAPE, [middle - offset, middle + offset], [9.5, 9.5])
    found = segment(made.exact, made.volume)
    assert agreement(made.labels, found.labels)[0] == 1
    across = ("xy", "xz", "yz")[axis]  # each of its sections sees one disc
    assert segment(made.exact, made.volume, sections=across).labels.max() == 1


def test_blocks_give_what_the_whole_gives(segment, packed, whole) -> None:
    told = []
    out = np.full(packed.labels.shape, 9, np.uint16)  # what was there before must not matter
    cut = segment(
        packed.exact,
        packed.volume,
        block_px=40,
        overlap_px=24,
        labels_out=out,
        progress=lambda done, total: told.append((done, total)),
    )
    assert cut.labels is out
    assert (cut.labels == whole.labels).mean() > 0.998
    assert cut.labels.max() == whole.labels.max()
    np.testing.assert_allclose(cut.confidence, whole.confidence, atol=0.02)
    blocks = np.prod([-(-side // 40) for side in packed.labels.shape])
    assert told == [(number, 2 * blocks) for number in range(1, 2 * blocks + 1)]


def test_chunked_arrays_are_read_and_written(segment, packed, whole) -> None:
    volume = zarr.array(packed.volume, chunks=(16, 32, 32))
    labels = zarr.zeros(packed.labels.shape, chunks=(16, 32, 32), dtype="int32")
    segment(packed.exact, volume, labels_out=labels, block_px=64)
    np.testing.assert_array_equal(labels[...], whole.labels)


@pytest.mark.parametrize(
    ("diameter", "spacing"), [(36.0, CUBIC), (10.0, CUBIC), (20.0, (2.0, 0.5, 1.0))]
)
def test_volumes_of_any_scale(segment, spheres, bright, diameter, spacing) -> None:
    """Spheres of the diameter that is told, in voxels that need not be cubes."""
    radius, gap = diameter / 2, 1.5 * diameter
    shape = tuple(round(3 * diameter / step) for step in spacing)
    grid = np.indices(shape) * np.reshape(spacing, (3, 1, 1, 1))
    labels = np.zeros(shape, np.int32)
    for number, corner in enumerate(np.ndindex(2, 2, 2), start=1):
        centre = (np.array(corner) + 0.5) * gap - 0.5 * np.array(spacing)
        labels[((grid - centre.reshape(3, 1, 1, 1)) ** 2).sum(axis=0) <= radius**2] = number
    volume = (labels > 0).astype(np.uint8)
    found = segment(bright, volume, spacing_um=spacing, diameter_px=diameter)
    f1, iou = agreement(labels, found.labels)
    assert f1 == 1
    assert iou > 0.8


def test_the_diameter_is_estimated(segment, spheres, bright) -> None:
    made = spheres((96, 96, 96), [(24, 24, 24), (28, 68, 30), (66, 34, 66)], [17, 18, 17])
    found = segment(bright, made.volume, diameter_px=None)
    assert found.diameter_px == pytest.approx(33, rel=0.15)
    assert agreement(made.labels, found.labels)[0] == 1


def test_confidence_is_what_the_network_says(segment, spheres) -> None:
    made = spheres(SHAPE, [(20, 24, 28)], [10])

    def unsure(image):
        probability, distances = made.exact(image)
        return 0.75 * probability, distances

    sure = segment(made.exact, made.volume).confidence
    np.testing.assert_allclose(segment(unsure, made.volume).confidence, 0.75 * sure, atol=0.03)
    assert segment(unsure, made.volume, confidence=0.9).labels.max() == 0


def test_small_particles_are_left_out(segment, spheres) -> None:
    made = spheres(SHAPE, [(18, 18, 18), (18, 18, 44)], [10, 5])
    found = segment(made.exact, made.volume, smallest=0.75)
    assert found.labels.max() == 1
    assert found.labels[18, 18, 18] == 1
    assert len(found.confidence) == 1


@pytest.mark.parametrize("diameter", [None, 20.0])
@pytest.mark.parametrize("level", [0, 7])
def test_a_volume_without_particles(segment, bright, diameter, level) -> None:
    out = np.full(SHAPE, 3, np.int32)
    found = segment(bright, np.full(SHAPE, level, np.uint8), diameter_px=diameter, labels_out=out)
    assert not out.any()
    assert found.confidence.shape == (0,)
    assert found.diameter_px == diameter


def test_what_does_not_fit_is_refused(segment, spheres, bright) -> None:
    made = spheres(SHAPE, [(20, 24, 28)], [10])
    holed = made.volume.copy()
    holed[20, 24, 28] = np.nan
    for volume, kept, spacing, message in (
        (made.volume[0], None, CUBIC, "expected axes"),
        (holed, None, CUBIC, "NaN or infinite"),
        (made.volume, np.zeros((40, 48, 55), np.int32), CUBIC, "labels_out has shape"),
        (made.volume, np.zeros(SHAPE, np.float32), CUBIC, "labels do not fit"),
        (made.volume, None, (1.0, 1.0), "2 values of spacing"),
    ):
        with pytest.raises(InvalidVolumeError, match=message) as raised:
            segment(bright, volume, labels_out=kept, spacing_um=spacing)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"diameter_px": 0.0},
        {"sections": "zx"},
        {"probability": 1.0},
        {"coverage": 0.0},
        {"overlap": 1.5},
        {"depth": -0.1},
        {"peak": 2.0},
        {"confidence": -1.0},
        {"detail": 0.0},
        {"smallest": -1.0},
        {"block_px": 0},
        {"overlap_px": 0},
        {"largest_block": 0},
    ],
)
def test_options_without_meaning_are_refused(wrong: dict) -> None:
    with pytest.raises(StarConvexError) as raised:
        FusionOptions(**wrong)
    assert "\n" not in str(raised.value)
