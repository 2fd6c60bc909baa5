"""Closing, faces and close-ups of one particle: exact references, planted cracks, whole shapes."""

import math

import edt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_fill_holes, gaussian_filter, median_filter

from models.measure.crofton import DIRECTIONS
from models.measure.morphology import CLOSE_UP, CloseUpOptions, close_up
from models.measure.particle_boxes import ChunkCache, ParticleBoxes
from models.measure.particle_closing import dilate, fill_particle
from models.measure.particle_faces import (
    Boundary,
    Kind,
    count_boundary_voxels,
    count_crossings,
    smoothed,
)
from models.phantoms.solids import (
    ball,
    ellipsoid,
    penny_cracked_ball,
    random_rotation,
    shell,
    slit_ball,
)

UNIT = (1.0, 1.0, 1.0)
SEEDS = st.integers(0, 2**32 - 1)


def _fill(body: np.ndarray, radius: float, spacing: tuple[float, ...] = UNIT) -> np.ndarray:
    return fill_particle(body, np.zeros_like(body), radius_um=radius, spacing_um=spacing)


def _close_up(labels: np.ndarray, radius: float = 10, **more: object) -> np.void:
    spacing = more.pop("spacing_um", UNIT)
    ring = more.pop("ring_um", None)
    places = np.argwhere(labels == 1)
    boxes = ParticleBoxes(labels, grey=more.get("grey"), phases=more.get("phases"), phase_binder=2)
    options = CloseUpOptions(spacing, radius, ring, conduction=True)
    return close_up(1, places.min(axis=0), places.max(axis=0) + 1, boxes, options)[0]


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from([(1, 1, 1), (2, 1, 1.5), (0.3, 0.1, 0.2)]), st.floats(0, 7))
def test_closing_and_ring_are_those_of_exact_distances(
    seed: int, spacing: tuple[float, float, float], voxels: float
) -> None:
    rng = np.random.default_rng(seed)
    radius = voxels * float(np.cbrt(np.prod(spacing))) + 1e-4  # no distance is exactly this
    body = gaussian_filter(rng.standard_normal(rng.integers(9, 30, 3)), 1.5) > 0.12
    body[tuple(rng.integers(body.shape))] = True
    margin = [(math.ceil(radius / step) + 1,) * 2 for step in spacing]
    inner = tuple(slice(n, -n) for n, _ in margin)
    swollen = edt.edt(~np.pad(body, margin), anisotropy=spacing) <= radius
    closed = (edt.edt(np.pad(swollen, 1), anisotropy=spacing) > radius)[1:-1, 1:-1, 1:-1][inner]
    assert (_fill(body, radius, spacing) == binary_fill_holes(closed)).all()
    assert (dilate(body, radius_um=radius, spacing_um=spacing) == swollen[inner]).all()


@pytest.mark.parametrize("spacing", [UNIT, (2.0, 1.0, 1.0), (0.5, 1.0, 1.0)])
@pytest.mark.parametrize("radius", [6, 9, 15, 25])
def test_whole_balls_and_ellipsoids_stay_as_they_are(
    radius: int, spacing: tuple[float, float, float]
) -> None:
    shape = tuple(round((2.6 * radius + 4) / step) for step in spacing)
    body, _ = ball(shape, spacing_um=spacing, radius_um=radius)
    assert (_fill(body, 10, spacing) == body).all()
    semi_axes = (1.3 * radius, radius, 0.6 * radius)
    for seed in range(2):
        body, _ = ellipsoid(
            shape, spacing_um=spacing, semi_axes_um=semi_axes, rotation=random_rotation(seed)
        )
        assert _fill(body, 10, spacing).sum() <= 1.001 * body.sum()


@pytest.mark.parametrize("opening", [2, 3, 6])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_planted_cracks_are_found(opening: float, seed: int | None) -> None:
    turn = None if seed is None else random_rotation(seed)
    common = {"spacing_um": UNIT, "radius_um": 22.0, "opening_um": opening, "rotation": turn}
    shape = (52, 50, 51)
    for body, truth in (
        slit_ball(shape, **common),
        penny_cracked_ball(shape, crack_radius_um=17, **common),
        shell(shape, spacing_um=UNIT, radius_um=22, cavity_radius_um=13),  # beyond the closing
    ):
        filled = _fill(body, 10)
        assert 1 - body.sum() / filled.sum() == pytest.approx(truth.damage, abs=0.01)


def test_open_crack_wider_than_the_ball_stays_open() -> None:
    common = {"spacing_um": UNIT, "radius_um": 30.0, "opening_um": 9.0}
    body, truth = slit_ball((64, 64, 64), **common)
    # a ball of 2 goes down all of it but the edges at its end
    assert 1 - body.sum() / _fill(body, 2).sum() < 0.05 * truth.damage
    damage = 1 - body.sum() / _fill(body, 10).sum()
    assert damage == pytest.approx(truth.damage, abs=0.01)


def test_shell_of_a_crack_through_a_hollow_particle() -> None:
    whole, _ = shell((52, 52, 52), spacing_um=UNIT, radius_um=22, cavity_radius_um=12)
    body = whole.copy()
    body[24:27, 26:, :] = False  # the cavity is open now: closing must reach it
    filled = _fill(body, 10)
    ball_voxels, _ = ball((52, 52, 52), spacing_um=UNIT, radius_um=22)
    expected = 1 - body.sum() / ball_voxels.sum()
    assert 1 - body.sum() / filled.sum() == pytest.approx(expected, abs=0.01)


def test_voxels_of_others_are_never_taken() -> None:
    body, _ = shell((30, 28, 26), spacing_um=UNIT, radius_um=12, cavity_radius_um=8)
    taken = np.zeros_like(body)
    taken[13:17, 12:16, 11:15] = True
    filled = fill_particle(body, taken, radius_um=10, spacing_um=UNIT)
    assert (filled & taken).sum() == 0
    assert filled.sum() == ball((30, 28, 26), spacing_um=UNIT, radius_um=12)[0].sum() - 64


def test_refuses_a_radius_that_is_none() -> None:
    for radius in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="radius"):
            _fill(np.ones((2, 2, 2), bool), radius)


def _random_box(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    box = rng.integers(0, 6, rng.integers(4, 9, 3)).astype(np.uint8)
    own = (box == Kind.BODY) | (box == Kind.CRACK)
    inside = np.zeros_like(own)
    inside[1:-1, 1:-1, 1:-1] = True
    box[own & ~inside] = Kind.OUTSIDE
    return box


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_crossings_and_runs_are_those_counted_one_by_one(seed: int) -> None:
    box = _random_box(seed)
    counts = np.zeros((len(Kind), 13), dtype=int)
    runs = np.zeros((2, 13, 4), dtype=int)

    def length(place: np.ndarray, step: np.ndarray, kinds: tuple[Kind, ...]) -> int:
        voxels = 0
        while voxels < 4 and box[tuple(place + voxels * step)] in kinds:
            voxels += 1
        return voxels

    for place in np.argwhere((box == Kind.BODY) | (box == Kind.CRACK)):
        for d, step in enumerate(DIRECTIONS):
            for sign in (-1, 1):
                along = sign * np.array(step)
                here, there = box[tuple(place)], box[tuple(place + along)]
                if there not in (Kind.BODY, Kind.CRACK):
                    counts[there, d] += 1
                    runs[0, d, length(place, -along, (Kind.BODY, Kind.CRACK)) - 1] += 1
                if (here, there) == (Kind.BODY, Kind.CRACK):
                    counts[Kind.CRACK, d] += 1
                    runs[1, d, length(place + along, along, (Kind.CRACK,)) - 1] += 1
    found, short_runs = count_crossings(box)
    assert (found == counts).all()
    assert (short_runs == runs[:, :, :3]).all()


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_smoothing_is_the_median(seed: int) -> None:
    box = _random_box(seed)
    body, own = box == Kind.BODY, (box == Kind.BODY) | (box == Kind.CRACK)
    result = smoothed(box)
    inner = (slice(1, -1),) * 3  # what belongs to the particle lies one layer in
    assert ((result == Kind.BODY) == median_filter(body, 3))[inner].all()
    assert ((result != Kind.OPEN) == median_filter(own, 3))[inner].all()


def test_boundary_voxels_of_a_cube() -> None:
    box = np.zeros((12, 12, 12), np.uint8)
    box[1:11, 1:11, 1:11] = Kind.BODY
    box[4:7, 4:7, 4:7] = Kind.CRACK
    box[:, :, 11] = Kind.OTHER
    box[11, :, :10] = Kind.BINDER
    box[:, 0] = Kind.OUTSIDE
    counts = count_boundary_voxels(box)
    assert counts[Boundary.OUTER] == 10**3 - 8**3
    assert counts[Boundary.INNER] == 6 * 9
    assert counts[Boundary.AT_OTHER] == 100
    # voxels on the face at y = 1 that lie on no other face see only the outside
    assert counts[Boundary.SEEN] == 10**3 - 8**3 - 8 * 8
    attached = 100 + 100 - 10
    assert counts[Boundary.DETACHED] == counts[Boundary.SEEN] - attached


def test_close_up_of_a_cracked_ball() -> None:
    common = {"spacing_um": UNIT, "radius_um": 15.0, "crack_radius_um": 10, "opening_um": 4.0}
    body, _ = penny_cracked_ball((40, 36, 38), **common)
    crack = ball((40, 36, 38), spacing_um=UNIT, radius_um=15)[0] & ~body
    rng = np.random.default_rng(0)
    grey = rng.standard_normal(body.shape).astype(np.float32)
    grey[tuple(np.argwhere(crack)[7])] = np.nan
    grey[tuple(np.argwhere(crack)[9])] = np.inf
    row = _close_up(body.astype(np.int32), grey=grey)
    places = np.argwhere(crack)
    assert row.dtype == CLOSE_UP
    assert row["crack_voxels"] == len(places)
    assert (row["crack_first"] == places.sum(axis=0)).all()
    z, y, x = places.T
    assert row["crack_second"].tolist() == [
        int((a * b).sum()) for a, b in ((z, z), (z, y), (z, x), (y, y), (y, x), (x, x))
    ]
    levels = grey[crack & np.isfinite(grey)].astype(float)
    assert row["crack_grey_count"] == len(places) - 2
    assert row["crack_grey_sum"] == pytest.approx(levels.sum())
    assert row["crack_grey_square_sum"] == pytest.approx((levels**2).sum())
    assert row["path_voxels"] == 0


def test_one_voxel() -> None:
    labels = np.zeros((3, 3, 3), np.int32)
    labels[0, 1, 2] = 1
    row = _close_up(labels, ring_um=1.0)
    assert row["crack_voxels"] == 0
    assert (row["crossings"].sum(axis=0) == 2).all()
    assert row["crossings"][Kind.OUTSIDE].sum() > 0
    assert row["smoothed_crossings"].sum() == 0
    assert row["boundary_voxels"].tolist() == [1, 0, 1, 0, 1]
    assert row["ring_voxels"] == 4  # the other two are outside


def test_paths_start_from_binder_in_cracks_too() -> None:
    labels = np.zeros((9, 9, 22), np.int32)
    labels[1:8, 1:8, 1:21] = 1
    labels[1:8, 1:8, 10] = 0
    phases = np.where(labels == 0, 2, 1).astype(np.uint8)
    phases[:, :, [0, 21]] = phases[:, [0, 8]] = phases[[0, 8]] = 0
    row = _close_up(labels, phases=phases)
    assert row["crack_voxels"] > 0
    assert row["path_voxels"] == (labels == 1).sum()
    # to the far face of the longer part; the end of the other one is near enough to blur it
    assert row["path_max_um"] == pytest.approx(10, rel=0.03)


class _Chunked:
    """Counts what it is asked for."""

    chunks = (3, 4, 5)

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype, self.reads = array, array.shape, array.dtype, 0

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        self.reads += 1
        return self.array[index]


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 4000))
def test_chunks_put_together_are_the_array(seed: int, limit_bytes: int) -> None:
    rng = np.random.default_rng(seed)
    volume = _Chunked(rng.integers(0, 99, (8, 9, 11)))
    cache = ChunkCache(volume, limit_bytes)
    for _ in range(6):
        ends = np.sort(rng.integers(0, np.array(volume.shape) + 1, (2, 3)), axis=0)
        lower, upper = np.minimum(ends[0], np.array(volume.shape) - 1), ends[1]
        upper = np.maximum(upper, lower + 1)
        box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
        assert (cache.read(lower, upper) == volume.array[box]).all()


def test_chunks_are_read_once_while_they_fit() -> None:
    volume = _Chunked(np.zeros((6, 8, 10)))
    cache = ChunkCache(volume)
    for _ in range(3):
        cache.read(np.zeros(3, int), np.array(volume.shape))
    assert volume.reads == 8
