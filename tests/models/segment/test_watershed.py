"""Watershed: discs and balls that are known, thresholds, polarity, refusals."""

import numpy as np
import pytest

from models.measure.arrays import InvalidVolumeError
from models.segment.foreground import choose_range, grey_histogram
from models.segment.watershed import segment_image, segment_volume
from models.segment.watershed_options import WatershedOptions

DISCS = [(30, 30, 18), (30, 64, 18), (75, 40, 24), (90, 95, 9), (25, 110, 14)]


def discs(
    radii_of: list[tuple[int, int, int]] = DISCS, shape: tuple[int, int] = (120, 140)
) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for number, (cy, cx, radius) in enumerate(radii_of):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = number + 1
    return labels


def grey_of(labels: np.ndarray, low: float = 60, high: float = 170, noise: float = 8) -> np.ndarray:
    rng = np.random.default_rng(0)
    texture = np.where(labels > 0, 2.0, 1.0) * noise
    return np.clip(
        np.where(labels > 0, high, low) + texture * rng.standard_normal(labels.shape), 0, 255
    ).astype(np.uint8)


def matched(found: np.ndarray, truth: np.ndarray) -> list[float]:
    """Best overlap over union of every true particle."""
    best = []
    for label in range(1, truth.max() + 1):
        here = truth == label
        candidates = np.unique(found[here])
        best.append(
            max(
                float((here & (found == c)).sum() / (here | (found == c)).sum()) for c in candidates
            )
        )
    return best


@pytest.mark.parametrize("polarity", ["bright", "dark"])
@pytest.mark.parametrize("stated", [True, False])
def test_touching_discs_are_found_and_parted(polarity: str, stated: bool) -> None:
    truth = discs()
    low, high = (60, 170) if polarity == "bright" else (170, 60)
    options = WatershedOptions(polarity=polarity if stated else "auto")
    found = segment_image(grey_of(truth, low, high), options=options)
    assert found.dtype == np.int32
    assert found.max() == len(DISCS)
    assert min(matched(found, truth)) > 0.85


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_the_depth_of_the_grey_levels_does_not_matter(dtype: type) -> None:
    grey = grey_of(discs())
    np.testing.assert_array_equal(segment_image(grey.astype(dtype) * 3), segment_image(grey))


def test_magnification_does_not_matter_when_the_smallest_diameter_follows() -> None:
    small = segment_image(discs().astype(bool).astype(np.uint8) * 200)
    large = segment_image(
        np.kron(discs().astype(bool).astype(np.uint8) * 200, np.ones((2, 2), np.uint8)),
        options=WatershedOptions(min_diameter_px=24),
    )
    assert small.max() == large.max() == len(DISCS)
    assert (large[::2, ::2] == small).mean() > 0.97


def test_the_neck_decides_what_is_one_particle() -> None:
    truth = discs([(40, 35, 25), (40, 67, 25)], (80, 105))  # neck / diameter = 0.77
    grey = (truth > 0) * 255
    assert segment_image(grey, options=WatershedOptions(neck=0.65)).max() == 1
    assert segment_image(grey, options=WatershedOptions(neck=0.9)).max() == 2


def test_small_specks_are_left_out() -> None:
    truth = discs([(40, 40, 20), (90, 100, 3), (20, 120, 1)])
    assert segment_image((truth > 0) * 255).max() == 1
    found = segment_image((truth > 0) * 255, options=WatershedOptions(min_diameter_px=5))
    assert found.max() == 2


def test_holes_are_filled_on_request() -> None:
    ring = (discs([(60, 60, 40)]) > 0) & (discs([(60, 60, 20)]) == 0)
    filled = segment_image(ring * 255)
    assert filled.max() == 1
    assert filled[60, 60] == 1
    hollow = segment_image(
        ring * 255, options=WatershedOptions(fill_holes=False, polarity="bright")
    )
    assert hollow[60, 60] == 0


def test_a_gap_between_particles_is_not_a_hole_in_one() -> None:
    four = [(32, 32, 24), (32, 78, 24), (78, 32, 24), (78, 78, 24)]
    truth = discs(four, (110, 110))
    truth[20:28, 20:28] = 0  # a pore inside of the first
    found = segment_image((truth > 0) * 255, options=WatershedOptions(polarity="bright"))
    assert found.max() == 4
    assert found[55, 55] == 0
    assert found[24, 24] == found[40, 32] > 0


def test_grains_that_touch_along_dark_lines_are_parted_by_intensity() -> None:
    y, x = np.mgrid[:96, :96]
    cells = (y // 24) * 4 + x // 24
    grey = np.full((96, 96), 180.0)
    grey[(y % 24 < 2) | (x % 24 < 2)] = 130  # grain boundaries, brighter than any pore
    grey[40:56, 40:56] = 20
    options = WatershedOptions(min_diameter_px=8, markers="intensity", polarity="bright")
    found = segment_image(grey, options=options)
    assert found.max() == 16
    overlap = [np.bincount(found[cells == c]).argmax() for c in range(16)]
    assert len(set(overlap)) == 16
    by_distance = segment_image(
        grey, options=WatershedOptions(min_diameter_px=8, polarity="bright", fill_holes=False)
    )
    assert by_distance.max() < 16


def test_thresholds() -> None:
    truth = discs()
    shade = np.linspace(0, 140, 140)[None, :]
    uneven = np.where(truth > 0, 60, 0) + shade
    adaptive = WatershedOptions(threshold="adaptive", polarity="bright", window_px=90)
    # the two discs on the right lie where the window reaches beyond the image
    assert min(matched(segment_image(uneven, options=adaptive), truth)[:3]) > 0.9
    otsu = WatershedOptions(polarity="bright")
    assert min(matched(segment_image(uneven, options=otsu), truth)[:3]) < 0.6
    grey = grey_of(truth)
    stated = segment_image(grey, options=WatershedOptions(threshold=115.0))
    assert ((stated > 0) == (segment_image(grey) > 0)).mean() > 0.995
    three = np.where(truth == 3, 250, np.where(truth > 0, 120, 10)).astype(np.uint8)
    brightest = WatershedOptions(threshold="multi-otsu", polarity="bright")
    found = segment_image(three, options=brightest)
    assert found.max() == 1
    assert matched(found, (truth == 3).astype(int))[0] > 0.9


@pytest.mark.parametrize("value", [0, 7])
def test_an_image_of_one_grey_level_has_no_particles(value: int) -> None:
    assert segment_image(np.full((20, 30), value, np.uint8)).max() == 0


def balls(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> np.ndarray:
    """Two touching balls of radius 9 µm and a small one alone."""
    z, y, x = (np.arange(n) * s for n, s in zip(shape, spacing, strict=True))
    labels = np.zeros(shape, np.int32)
    for number, (cz, cy, cx, radius) in enumerate(
        [(15, 15, 12, 9), (15, 15, 29, 9), (24, 32, 34, 6)]
    ):
        distance = (z - cz)[:, None, None] ** 2 + (y - cy)[:, None] ** 2 + (x - cx) ** 2
        labels[distance <= radius**2] = number + 1
    return labels


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (1.0, 1.0, 1.6)])
def test_balls_in_phases_of_any_spacing(spacing: tuple[float, float, float]) -> None:
    shape = tuple(round(n / s) for n, s in zip((34, 42, 44), spacing, strict=True))
    truth = balls(shape, spacing)
    phases = np.where(truth > 0, 85, np.where(np.indices(shape)[0] > 28 / spacing[0], 170, 0))
    options = WatershedOptions(phase_values=(85,), min_diameter_px=5)
    found = segment_volume(phases.astype(np.uint8), spacing_um=spacing, options=options)
    assert found.max() == 3
    assert min(matched(found, truth)) > 0.93
    np.testing.assert_array_equal(found > 0, truth > 0)


def test_only_the_ratio_of_spacings_counts() -> None:
    truth = balls((17, 42, 44), (2.0, 1.0, 1.0)) > 0
    options = WatershedOptions(phase_values=(1,), min_diameter_px=5)
    one = segment_volume(truth, spacing_um=(2, 1, 1), options=options)
    small = segment_volume(truth, spacing_um=(0.002, 0.001, 0.001), options=options)
    np.testing.assert_array_equal(one, small)


def test_a_grey_volume_is_thresholded() -> None:
    truth = balls((34, 42, 44), (1.0, 1.0, 1.0))
    found = segment_volume(
        grey_of(truth), spacing_um=(1, 1, 1), options=WatershedOptions(min_diameter_px=6)
    )
    assert found.max() == 3
    assert min(matched(found, truth)) > 0.8


def test_a_crack_does_not_part_a_particle_when_closed() -> None:
    particle = balls((34, 42, 44), (1.0, 1.0, 1.0)) == 1
    particle[:, 15, :] = False
    opened = WatershedOptions(phase_values=(1,), min_diameter_px=5)
    closed = WatershedOptions(phase_values=(1,), min_diameter_px=5, closing_px=2)
    assert segment_volume(particle, spacing_um=(1, 1, 1), options=opened).max() == 2
    found = segment_volume(particle, spacing_um=(1, 1, 1), options=closed)
    assert found.max() == 1
    np.testing.assert_array_equal(found > 0, particle)


def test_polarity_from_the_histogram_is_the_same_in_parts() -> None:
    grey = grey_of(discs(), 170, 60)
    whole = grey_histogram(grey, (0, 255))
    upper = grey_histogram(grey[:50], (0, 255), ((True, False), (True, True)))
    lower = grey_histogram(grey[50:], (0, 255), ((False, True), (True, True)))
    parts = upper + lower
    np.testing.assert_array_equal(parts.counts, whole.counts)
    np.testing.assert_array_equal(parts.border, whole.border)
    assert choose_range(parts, "otsu", "auto") == choose_range(whole, "otsu", "auto")
    assert not choose_range(whole, "otsu", "auto").bright
    assert whole.border.sum() == 2 * (120 + 140) - 4


@pytest.mark.parametrize(
    ("grey", "options", "message"),
    [
        (np.zeros((4, 4, 4)), {}, "expected axes"),
        (np.zeros((0, 4)), {}, "expected axes"),
        (np.array([[np.nan, 1.0]]), {}, "NaN or infinite"),
        (np.zeros((4, 4)), {"threshold": "triangle"}, "threshold"),
        (np.zeros((4, 4)), {"threshold": float("nan")}, "threshold"),
        (np.zeros((4, 4)), {"neck": 0.0}, "neck"),
        (np.zeros((4, 4)), {"min_diameter_px": 0.5}, "min_diameter_px"),
        (np.zeros((4, 4)), {"contrast": -1.0}, "negative"),
        (np.zeros((4, 4)), {"markers": "intensity", "phase_values": (1,)}, "no hills"),
    ],
)
def test_what_cannot_be_segmented_is_refused(grey: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(InvalidVolumeError, match=message):
        segment_image(grey, options=WatershedOptions(**options))


def test_a_volume_needs_a_spacing() -> None:
    with pytest.raises(InvalidVolumeError, match="spacing"):
        segment_volume(np.zeros((4, 4, 4)), spacing_um=(1, 0, 1))
