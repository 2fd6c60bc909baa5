"""2-D particles: analytic shapes, invariants, unknown values."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import pdist
from skimage.measure import regionprops

from models.measure.arrays import InvalidVolumeError
from models.measure.particles_2d import measure_particles_2d, with_micrometres

SMALL_LABELS = hnp.arrays(np.int32, (9, 11), elements=st.integers(0, 3))


def drawn(
    inside: Callable[[np.ndarray, np.ndarray], np.ndarray],
    centre: tuple[float, float] = (60.3, 59.6),
    side: int = 121,
) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return inside(y - centre[0], x - centre[1]).astype(np.int32)


def turned(y: np.ndarray, x: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across an axis, counter-clockwise as displayed."""
    turn = np.radians(degrees)
    return x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)


def disc(radius: float, centre: tuple[float, float] = (60.3, 59.6)) -> np.ndarray:
    return drawn(lambda y, x: y**2 + x**2 <= radius**2, centre)


def ellipse(long: float, short: float, degrees: float) -> np.ndarray:
    def inside(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        along, across = turned(y, x, degrees)
        return (along / long) ** 2 + (across / short) ** 2 <= 1

    return drawn(inside)


def rectangle(length: float, width: float, degrees: float) -> np.ndarray:
    def inside(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        along, across = turned(y, x, degrees)
        return (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2)

    return drawn(inside)


def one(labels: np.ndarray) -> dict[str, float]:
    columns = measure_particles_2d(labels)
    assert len(columns["label"]) == 1
    return {name: values[0] for name, values in columns.items()}


@pytest.mark.parametrize("radius", [6, 9, 14, 25, 45])
def test_discs(radius: float) -> None:
    rng = np.random.default_rng(radius)
    found = [one(disc(radius, tuple(60 + rng.random(2)))) for _ in range(12)]
    mean = {name: np.mean([particle[name] for particle in found]) for name in found[0]}
    # the number of pixels of one small disc scatters with its place by 3 %: the mean must be right
    assert mean["area_px2"] == pytest.approx(np.pi * radius**2, rel=0.01)
    assert mean["perimeter_px"] == pytest.approx(2 * np.pi * radius, rel=0.01)
    assert mean["circularity"] == pytest.approx(1, abs=0.015)
    assert mean["aspect_ratio"] == pytest.approx(1, abs=0.04)
    for particle in found:
        assert particle["perimeter_px"] == pytest.approx(2 * np.pi * radius, rel=0.03)
        assert particle["feret_max_px"] == pytest.approx(2 * radius, abs=1)
        assert particle["feret_min_px"] == pytest.approx(2 * radius, abs=1)
        assert particle["axis_major_px"] == pytest.approx(2 * radius, abs=0.6)
        assert particle["equivalent_diameter_px"] == pytest.approx(2 * radius, rel=0.02)


@pytest.mark.parametrize("degrees", [0, 20, 45, 77, 90, 120, 165])
def test_ellipses(degrees: float) -> None:
    found = one(ellipse(40, 16, degrees))
    h = (24 / 56) ** 2
    ramanujan = np.pi * 56 * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h)))
    assert found["area_px2"] == pytest.approx(np.pi * 40 * 16, rel=0.01)
    assert found["perimeter_px"] == pytest.approx(ramanujan, rel=0.02)
    assert found["axis_major_px"] == pytest.approx(80, rel=0.01)
    assert found["axis_minor_px"] == pytest.approx(32, rel=0.01)
    assert found["aspect_ratio"] == pytest.approx(2.5, rel=0.02)
    assert abs((found["orientation_deg"] - degrees + 90) % 180 - 90) < 1
    assert found["feret_max_px"] == pytest.approx(80, abs=1)
    assert found["feret_min_px"] == pytest.approx(32, abs=1)


def test_rectangles_in_all_directions() -> None:
    degrees = np.arange(0, 180, 15)
    found = [one(rectangle(60, 24, angle)) for angle in degrees]
    perimeters = [particle["perimeter_px"] for particle in found]
    assert np.mean(perimeters) == pytest.approx(168, rel=0.015)
    assert np.abs(np.array(perimeters) / 168 - 1).max() < 0.065
    for angle, particle in zip(degrees, found, strict=True):
        # 60 × 24 pixels, or one more or less each way where edges run along rows
        assert particle["area_px2"] == pytest.approx(60 * 24, rel=0.015)
        assert particle["feret_max_px"] == pytest.approx(np.hypot(60, 24), abs=1)
        assert particle["feret_min_px"] == pytest.approx(24, abs=1)
        assert abs((particle["orientation_deg"] - angle + 90) % 180 - 90) < 1
        assert particle["axis_major_px"] == pytest.approx(4 * 60 / np.sqrt(12), rel=0.01)


def test_what_a_square_of_pixels_is_exactly() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[4:8, 3:13] = 7
    found = one(labels)
    assert found["label"] == 7
    assert (found["x_px"], found["y_px"]) == (7.5, 5.5)
    assert (found["pixels"], found["solidity"]) == (40, 1)
    assert found["feret_min_px"] == pytest.approx(4)
    assert found["axis_major_px"] == pytest.approx(4 * 10 / np.sqrt(12))
    assert found["orientation_deg"] == 0
    assert not found["touches_border"]


def test_a_single_pixel_and_a_line() -> None:
    labels = np.zeros((5, 9), np.int64)
    labels[1, 1] = 1
    labels[3, 1:8] = 2
    columns = measure_particles_2d(labels)
    np.testing.assert_allclose(columns["feret_max_px"], [1, 7])
    np.testing.assert_allclose(columns["solidity"], [1, 1])
    assert np.isnan(columns["orientation_deg"][0])
    assert columns["orientation_deg"][1] == 0


def test_solidity_of_an_l_and_of_smooth_outlines() -> None:
    corner = np.zeros((30, 30), np.int32)
    corner[5:25, 5:10] = 1
    corner[20:25, 5:25] = 1
    # the hull of the corners is the square without half of the square of 15 pixels
    assert one(corner)["solidity"] == pytest.approx(175 / (400 - 15**2 / 2))
    for radius in (10, 25, 40):
        labels = disc(radius)
        ours, theirs = one(labels)["solidity"], regionprops(labels)[0].solidity
        assert 0 < theirs - ours < 1 / radius


def test_axes_agree_with_scikit_image() -> None:
    labels = ellipse(30, 12, 33) | rectangle(20, 40, 10)
    ours, theirs = one(labels), regionprops(labels)[0]
    # theirs takes pixels for points; a unit square adds 1/12 to the variance
    for name in ("axis_major", "axis_minor"):
        theirs_px = np.sqrt(getattr(theirs, f"{name}_length") ** 2 + 16 / 12)
        assert ours[f"{name}_px"] == pytest.approx(theirs_px)
    assert ours["orientation_deg"] == pytest.approx((90 + np.degrees(theirs.orientation)) % 180)
    assert ours["feret_max_px"] == pytest.approx(theirs.feret_diameter_max, abs=1)


@settings(max_examples=25, deadline=None)
@given(SMALL_LABELS)
def test_ferets_are_those_of_all_outline_points(labels: np.ndarray) -> None:
    columns = measure_particles_2d(labels)
    for label, longest, shortest in zip(
        columns["label"], columns["feret_max_px"], columns["feret_min_px"], strict=True
    ):
        y, x = np.nonzero(labels == label)
        points = np.concatenate(
            [np.stack([y + v, x + u], 1) for v, u in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))]
        )
        assert longest == pytest.approx(pdist(points).max())
        angles = np.radians(np.arange(0, 180, 0.5))
        widths = np.ptp(points @ np.stack([np.sin(angles), np.cos(angles)]), axis=0)
        assert shortest <= widths.min() + 1e-9
        assert shortest == pytest.approx(widths.min(), abs=0.1)


@settings(max_examples=20, deadline=None)
@given(SMALL_LABELS, st.integers(0, 4), st.integers(0, 4))
def test_moving_changes_positions_only(labels: np.ndarray, down: int, across: int) -> None:
    framed = np.zeros((20, 20), np.int32)
    moved = framed.copy()
    framed[3:12, 3:14] = labels
    moved[3 + down : 12 + down, 3 + across : 14 + across] = labels
    before, after = measure_particles_2d(framed), measure_particles_2d(moved)
    np.testing.assert_allclose(after["x_px"] - across, before["x_px"])
    np.testing.assert_allclose(after["y_px"] - down, before["y_px"])
    for name in set(before) - {"x_px", "y_px"}:
        np.testing.assert_allclose(after[name], before[name], atol=1e-9, err_msg=name)


@settings(max_examples=20, deadline=None)
@given(SMALL_LABELS)
def test_transposing_swaps_the_axes(labels: np.ndarray) -> None:
    before, after = measure_particles_2d(labels), measure_particles_2d(labels.T)
    np.testing.assert_allclose(after["x_px"], before["y_px"])
    turned_over = (90 - after["orientation_deg"]) % 180
    difference = (turned_over - before["orientation_deg"] + 90) % 180 - 90
    np.testing.assert_allclose(np.nan_to_num(difference), 0, atol=1e-6)
    for name in set(before) - {"x_px", "y_px", "orientation_deg"}:
        np.testing.assert_allclose(after[name], before[name], atol=1e-9, err_msg=name)


@settings(max_examples=20, deadline=None)
@given(SMALL_LABELS, st.sampled_from([np.uint8, np.int64, np.uint64]))
def test_labels_are_only_names(labels: np.ndarray, dtype: type) -> None:
    names = np.array([0, 9, 40, 250], dtype) * (10**15 if dtype == np.int64 else 1)
    before, after = measure_particles_2d(labels), measure_particles_2d(names.astype(dtype)[labels])
    np.testing.assert_array_equal(after["label"], names[before["label"]])
    for name in set(before) - {"label"}:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)


@settings(max_examples=10, deadline=None)
@given(SMALL_LABELS, st.floats(0.001, 100))
def test_micrometres_follow_the_pixel_size(labels: np.ndarray, size_um: float) -> None:
    unknown = measure_particles_2d(labels)
    known = measure_particles_2d(labels, pixel_size_um=size_um)
    lengths = [name for name in known if name.endswith("_um")]
    assert len(lengths) == 7
    for name in lengths:
        assert np.isnan(unknown[name]).all()
        np.testing.assert_allclose(known[name], known[name.replace("_um", "_px")] * size_um)
    np.testing.assert_allclose(known["area_um2"], known["pixels"] * size_um**2)


def test_brightness_and_confidence() -> None:
    labels = np.array([[0, 3, 3, 3], [5, 5, 0, 3]])
    image = np.array([[9, 1e9 + 1, 1e9 + 2, np.nan], [np.nan, np.inf, 9, 1e9 + 6]])
    scores = np.linspace(0, 0.7, 8).reshape(2, 4)
    columns = measure_particles_2d(labels, image=image, confidence=scores)
    assert columns["brightness_mean"][0] == 1e9 + 3
    assert columns["brightness_std"][0] == pytest.approx(np.std([1, 2, 6]))
    assert np.isnan(columns["brightness_mean"][1])
    np.testing.assert_allclose(columns["segmentation_confidence"], [0.325, 0.45])
    named = measure_particles_2d(labels, confidence={5: 0.9})["segmentation_confidence"]
    assert np.isnan(named[0])
    assert named[1] == 0.9


def test_neighbours() -> None:
    labels = np.zeros((50, 50), np.int32)
    labels[25, 25] = 1
    for number, (y, x) in enumerate([(5, 25), (45, 25), (25, 5), (25, 45), (25, 35), (25, 15)]):
        labels[y, x] = number + 2
    labels[49, 49] = 9
    columns = measure_particles_2d(labels)
    assert columns["distance_nearest_px"][0] == pytest.approx((4 * 20 + 2 * 10) / 6)
    assert (columns["neighbours"] == 6).all()
    np.testing.assert_array_equal(columns["touches_border"], columns["label"] == 9)
    pair = measure_particles_2d(np.array([[1, 0, 0, 2]]))
    np.testing.assert_array_equal(pair["distance_nearest_px"], [3, 3])
    np.testing.assert_array_equal(pair["neighbours"], [1, 1])
    assert np.isnan(measure_particles_2d(np.array([[1]]))["distance_nearest_px"]).all()


def test_micrometres_may_be_worked_out_later_and_particle_by_particle() -> None:
    labels = np.zeros((20, 30), int)
    labels[2:9, 3:8], labels[11:18, 12:27] = 1, 2
    unknown = measure_particles_2d(labels)
    pixels = {name: values for name, values in unknown.items() if not name.endswith(("um", "um2"))}
    sizes = np.array([0.2, np.nan])
    later = with_micrometres(pixels, sizes)
    at_once = measure_particles_2d(labels, pixel_size_um=0.2)
    assert list(later) == list(at_once)
    for name, values in later.items():
        if name.endswith(("_um", "_um2")):
            assert values[0] == at_once[name][0]
            assert np.isnan(values[1])
        else:
            np.testing.assert_array_equal(values, at_once[name])


def test_no_particles_give_every_column_of_the_same_type() -> None:
    some, none = (
        measure_particles_2d(np.eye(3, dtype=int)),
        measure_particles_2d(np.zeros((3, 4), int)),
    )
    assert {name: values.dtype for name, values in some.items()} == {
        name: values.dtype for name, values in none.items()
    }
    assert all(len(values) == 0 for values in none.values())


@pytest.mark.parametrize(
    ("labels", "kwargs", "message"),
    [
        (np.zeros((3, 3)), {}, "not integers"),
        (np.full((3, 3), -1), {}, "below 0"),
        (np.zeros((3, 3, 3), int), {}, "shape"),
        (np.zeros((0, 3), int), {}, "extent is zero"),
        (np.ones((3, 3), int), {"pixel_size_um": 0.0}, "pixel size"),
        (np.ones((3, 3), int), {"pixel_size_um": float("nan")}, "pixel size"),
        (np.ones((3, 3), int), {"image": np.ones((3, 4))}, "image has shape"),
        (np.ones((3, 3), int), {"confidence": np.ones((4, 3))}, "confidence has shape"),
    ],
)
def test_what_cannot_be_measured_is_refused(labels: np.ndarray, kwargs: dict, message: str) -> None:
    with pytest.raises(InvalidVolumeError, match=message):
        measure_particles_2d(labels, **kwargs)
