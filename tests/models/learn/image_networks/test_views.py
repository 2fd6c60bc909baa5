"""Crops, flips and grey levels on arrays small enough to know by heart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.learn.image_networks.augment import centre_view, random_view, reflected
from models.learn.image_networks.levels import common_levels, levels_of
from models.learn.image_networks.scales import Scales
from models.learn.learner import Rows

SMALL = np.arange(12).reshape(3, 4)


def view(seed, image=SMALL, crop_px=2):
    return random_view(image, crop_px, np.random.default_rng(seed))


def flips_of(image):
    return [image[::y, ::x] for y in (1, -1) for x in (1, -1)]


def test_every_flip_and_place_occurs_and_nothing_else():
    known = {
        flipped[top : top + 2, left : left + 2].tobytes()
        for flipped in flips_of(SMALL)
        for top in range(2)
        for left in range(3)
    }
    assert len(known) == 4 * 2 * 3
    assert {view(seed).tobytes() for seed in range(300)} == known


def test_a_view_of_the_whole_image_is_one_of_its_four_flips_alike_often():
    square = np.arange(9).reshape(3, 3)
    counts = dict.fromkeys((flipped.tobytes() for flipped in flips_of(square)), 0)
    for seed in range(400):
        counts[view(seed, square, 3).tobytes()] += 1
    assert min(counts.values()) > 70  # 100 expected, standard deviation 9


def test_a_view_follows_from_seed_step_and_number():
    image = np.random.default_rng(0).integers(0, 255, (40, 50))
    assert np.array_equal(view([3, 7, 1], image, 32), view([3, 7, 1], image, 32))
    others = [view(key, image, 32) for key in ([3, 7, 2], [3, 8, 1], [4, 7, 1])]
    assert not any(np.array_equal(view([3, 7, 1], image, 32), other) for other in others)


def test_the_middle():
    np.testing.assert_array_equal(centre_view(SMALL, 2), [[1, 2], [5, 6]])
    np.testing.assert_array_equal(centre_view(SMALL, 3), SMALL[:, :3])


def test_short_sides_are_continued_by_their_mirror_image():
    line = np.array([[1, 2, 3]])
    np.testing.assert_array_equal(reflected(line, 5)[0], [2, 1, 2, 3, 2])
    np.testing.assert_array_equal(reflected(line, 4), [[1, 2, 3, 2]] * 4)
    np.testing.assert_array_equal(reflected(line, 8)[3], [3, 2, 1, 2, 3, 2, 1, 2])
    assert reflected(SMALL, 3) is SMALL
    np.testing.assert_array_equal(centre_view(SMALL, 5)[1:4, :4], SMALL)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(0, 99))
def test_views_have_their_size_and_only_grey_levels_of_the_image(rows, columns, crop_px, seed):
    image = np.random.default_rng(seed).integers(0, 255, (rows, columns), np.uint8)
    for made in (view(seed, image, crop_px), centre_view(image, crop_px)):
        assert made.shape == (crop_px, crop_px)
        assert made.dtype == np.uint8
        assert np.isin(made, image).all()


def scaled(grey, equalise, common=(0.0, 1.0)):
    levels = levels_of(grey, equalise)
    mean, deviation = levels.affine(equalise, common)
    return (levels.pixels - mean) / deviation


@pytest.mark.parametrize("equalise", ["standard", "clahe"])
def test_brightness_and_contrast_of_an_image_do_not_matter(equalise):
    grey = np.random.default_rng(0).integers(0, 100, (64, 64)).astype(np.uint16)
    grey[0, 0], grey[0, 1] = 0, 255
    made = scaled(grey, equalise)
    assert made.mean() == pytest.approx(0, abs=1e-12)
    assert made.std() == pytest.approx(1)
    np.testing.assert_allclose(scaled(40 * grey + 7, equalise), made, atol=1e-12)


def test_brighter_images_stay_brighter_where_grey_levels_are_kept():
    dark, bright = np.full((4, 4), 10.0), np.full((2, 8), 30.0)
    common = common_levels([levels_of(grey, "none") for grey in (dark, bright)])
    assert common == (20.0, 10.0)
    assert (scaled(dark, "none", common) == -1).all()
    assert (scaled(bright, "none", common) == 1).all()
    assert (scaled(dark, "standard", common) == 0).all()


def test_clahe_evens_out_contrast():
    rng = np.random.default_rng(0)
    contrast = np.where(np.arange(128) < 64, 4, 30)
    grey = np.clip(128 + contrast * rng.normal(size=(128, 128)), 0, 255).astype(np.uint8)
    ratios = []
    for equalise in ("standard", "clahe"):
        made = scaled(grey, equalise)
        ratios.append(made[:, 72:].std() / made[:, :56].std())
    assert ratios[0] == pytest.approx(30 / 4, rel=0.05)
    assert ratios[1] < 0.75 * ratios[0]


def test_pixels_of_any_kind_are_taken():
    grey = np.random.default_rng(0).integers(0, 2, (16, 16))
    for equalise in ("none", "standard", "clahe"):
        made = [scaled(grey.astype(dtype), equalise) for dtype in (bool, np.int64, np.float32)]
        for other in made[1:]:
            np.testing.assert_allclose(other, made[0], rtol=1e-6)


def rows(x, target, weight=None):
    weight = np.ones(len(target)) if weight is None else np.asarray(weight, float)
    return Rows(np.asarray(x, float), np.asarray(target, float), np.arange(len(target)), weight)


def test_target_and_descriptors_are_standardised_by_their_own_rows():
    image = levels_of(np.arange(4.0).reshape(2, 2), "standard")
    x = [[1, 5], [3, 5], [5, 5]]
    scales = Scales.fit(rows(x, [0, 3, 6], [1, 0.5, 1]), [image])
    prepared = [scales.prepare(image, np.array(row), "standard", 6.0) for row in x]
    made = np.array([one.descriptors for one in prepared])
    deviation = np.sqrt((1 + 1) * 4 / 2.5)
    np.testing.assert_allclose(made[:, 0], np.array([-2, 0, 2]) / deviation, rtol=1e-6)
    assert (made[:, 1] == 0).all()
    assert scales.back(np.array([prepared[0].target]))[0] == pytest.approx(6)
    unknown = scales.prepare(image, np.array([1.0, 99.0]), "standard")
    assert unknown.descriptors[1] == 0  # nothing was learnt about what never varied
