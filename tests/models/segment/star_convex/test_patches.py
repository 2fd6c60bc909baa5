"""Training patches: the right scale, truth where it is known, print and texture never labelled."""

import numpy as np
import pytest

from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.distractors import paste_background, print_on, texture
from models.segment.star_convex.patches import (
    PLAIN,
    Augmentation,
    Example,
    cut,
    draw_patch,
    plain_patch,
    prepare,
)
from models.segment.star_convex.targets import star_targets, typical_diameter_px

CONFIG = NetworkConfig()


@pytest.fixture(scope="module")
def coarse(made_example):
    """Particles twice as large as the network wants them."""
    return prepare([made_example(1, "a", diameter_px=60.0, shape_px=(400, 500), overlap=0.0)])


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("wanted", [20.0, 30.0, 60.0])
def test_particles_come_at_the_wanted_diameter(coarse, wanted):
    side = int(2000 * wanted / 60)  # larger than the image, so that all of it is in
    _, labels, valid = cut(coarse[0], side, wanted, rng(0))
    assert typical_diameter_px(labels) == pytest.approx(wanted, rel=0.05)
    assert valid.sum() == pytest.approx(400 * 500 * (wanted / coarse[0].diameter_px) ** 2, rel=0.02)
    assert not labels[~valid].any()


def test_a_patch_holds_image_labels_and_targets_that_fit(coarse):
    patch = plain_patch(coarse[0], 128, CONFIG, rng(0))
    assert patch.image.shape == patch.labels.shape == patch.valid.shape == (128, 128)
    assert patch.targets.distances.shape == (32, 64, 64)
    np.testing.assert_array_equal(patch.targets.probability > 0, patch.labels[::2, ::2] > 0)


def test_the_border_of_a_patch_does_not_cut_targets(coarse):
    patch = draw_patch(coarse, 96, CONFIG, PLAIN, rng(3))
    cut_off = star_targets(patch.labels).distances
    assert (patch.targets.distances >= cut_off).all()
    assert (patch.targets.distances > cut_off + 5).any()


@pytest.mark.parametrize("seed", range(6))
def test_the_same_seed_draws_the_same_patch(coarse, seed):
    one, other = (draw_patch(coarse, 96, CONFIG, Augmentation(), rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.image.dtype == np.float32
    assert np.isfinite(one.image).all()
    assert one.image.min() >= -0.5
    assert one.image.max() <= 1.5


def test_turning_turns_everything_alike(coarse):
    turned = Augmentation(1.0, 0, 0, 0, 0, tone=False, turn=True)
    for seed in range(8):
        patch = draw_patch(coarse, 96, CONFIG, turned, rng(seed))
        inside = patch.image[(patch.labels > 0) & patch.valid]
        outside = patch.image[(patch.labels == 0) & patch.valid]
        if min(len(inside), len(outside)) > 100:
            assert np.median(inside) > np.median(outside) + 0.2


def test_phantoms_stand_in_where_there_are_no_images():
    patches = [draw_patch([], 96, CONFIG, Augmentation(), rng(seed)) for seed in range(8)]
    assert all(patch.valid.all() for patch in patches)
    assert sum(patch.labels.any() for patch in patches) >= 5


def test_print_never_adds_a_label_and_always_shows():
    for seed in range(40):
        image = np.full((160, 200), 0.5, np.float32)
        labels = np.ones((160, 200), np.int32)
        print_on(image, labels, rng(seed))
        assert set(np.unique(labels)) <= {0, 1}
        hidden = labels == 0
        assert not hidden.any() or (image[hidden] != 0.5).mean() > 0.5
        assert np.isfinite(image).all()


def test_print_is_seen_on_most_images():
    shown = 0
    for seed in range(20):
        image = np.full((160, 200), 0.5, np.float32)
        print_on(image, np.zeros((160, 200), np.int32), rng(seed))
        shown += bool((np.abs(image - 0.5) > 0.1).sum() > 20)
    assert shown >= 19


def test_a_pasted_background_leaves_particles_untouched(coarse):
    image, labels = coarse[0].image, coarse[0].labels
    pasted = paste_background(image, labels, rng(1))
    np.testing.assert_array_equal(pasted[labels > 0], image[labels > 0])
    assert np.abs(pasted - image)[labels == 0].mean() > 0.01


@pytest.mark.parametrize("seed", range(6))
def test_textures_have_no_level_and_unit_spread(seed):
    pattern = texture((90, 130), rng(seed))
    assert pattern.shape == (90, 130)
    assert float(pattern.mean()) == pytest.approx(0, abs=1e-3)
    assert float(pattern.std()) == pytest.approx(1, rel=1e-3)


def test_labels_of_another_size_are_refused():
    with pytest.raises(StarConvexError, match="labels of the same size"):
        Example(np.zeros((8, 8)), np.zeros((8, 9), int))
