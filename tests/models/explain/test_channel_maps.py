"""Channel maps: what is planted lights up, and no longer reliably where targets are shuffled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.explain.channel_maps import (
    channel_correlations,
    channel_maps,
    enlarged,
    segmented,
    shown,
)
from models.learn.image_networks.learner import ImageExample, ImageRegression

SIDE = 64


def blobs(rng):
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), bool)
    for _ in range(rng.integers(1, 12)):
        radius, (cy, cx) = rng.uniform(4, 8), rng.uniform(0, SIDE, 2)
        mask |= (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
    return mask


@pytest.fixture(scope="module")
def masks():
    rng = np.random.default_rng(0)
    return [blobs(rng) for _ in range(60)]


def area_under_curve(maps, correlations, masks):
    """Of the positive map over conducting pixels, mean over images."""
    shape = masks[0].shape
    return np.mean(
        [
            roc_auc_score(mask.ravel(), channel_maps(one, correlations, shape)[0].ravel())
            for one, mask in zip(maps, masks, strict=True)
        ]
    )


def shuffled_curve(maps, pooled, target, masks, draws=24):
    rng = np.random.default_rng(1)
    return np.array(
        [
            area_under_curve(maps, channel_correlations(pooled, rng.permutation(target)), masks)
            for _ in range(draws)
        ]
    )


def test_correlations_are_pearsons():
    rng = np.random.default_rng(0)
    pooled, target = rng.normal(3, 2, (20, 5)), rng.normal(size=20)
    expected = [np.corrcoef(channel, target)[0, 1] for channel in pooled.T]
    np.testing.assert_allclose(channel_correlations(pooled, target), expected)
    found = channel_correlations(np.stack([target, -2 * target, np.ones(20)], 1), target)
    np.testing.assert_allclose(found, [1, -1, np.nan])


def test_maps_are_means_over_the_channels_of_a_sign():
    maps = np.arange(4 * 6).reshape(4, 2, 3).astype(np.float32)
    positive, negative = channel_maps(maps, np.array([0.1, -0.9, 0.7, np.nan]), (2, 3))
    np.testing.assert_array_equal(positive, (maps[0] + maps[2]) / 2)
    np.testing.assert_array_equal(negative, maps[1])
    positive, negative = channel_maps(maps, np.full(4, -0.5), (4, 6))
    assert (positive == 0).all()
    assert not segmented(positive).any()
    assert negative.shape == (4, 6)


def test_maps_lie_on_the_pixels_that_their_cells_cover():
    values = np.zeros((4, 4))
    values[1, 2] = 1
    large = enlarged(values, (32, 16))
    y, x = np.mgrid[:32, :16]
    assert (large * y).sum() / large.sum() == pytest.approx(1.5 * 8 - 0.5)
    assert (large * x).sum() / large.sum() == pytest.approx(2.5 * 4 - 0.5)


@given(st.integers(0, 99), st.integers(2, 9), st.integers(2, 9))
def test_at_most_half_of_an_image_is_segmented(seed, rows, columns):
    values = np.random.default_rng(seed).permutation(rows * columns).reshape(rows, columns)
    mask = segmented(values.astype(float))
    assert mask.sum() == rows * columns // 2
    assert values[mask].min() > values[~mask].max()


def test_an_overlay_shows_the_image_where_the_mask_is():
    grey = np.arange(6, dtype=np.uint16).reshape(2, 3)
    made = shown(grey, grey > 2)
    np.testing.assert_array_equal(made, [[0, 0, 0], [3, 4, 5]])
    assert made.dtype == np.uint16
    with pytest.raises(ValueError, match="does not lie over"):
        shown(grey, np.ones((3, 2), bool))


@pytest.fixture(scope="module")
def constructed(masks):
    """Maps at half scale: two channels see blobs, two the ground, four see nothing of either."""
    rng = np.random.default_rng(3)
    cells = np.array([mask.reshape(32, 2, 32, 2).mean((1, 3)) for mask in masks])  # (N, 32, 32)
    kinds = [cells, 2 * cells, 1 - cells, 3 * (1 - cells), *[0 * cells] * 4]
    strength = rng.uniform(0, 1, (len(masks), 8, 1, 1))
    maps = np.stack(kinds, 1) + 0.2 * strength + rng.normal(0, 0.3, (len(masks), 8, 32, 32))
    return maps, maps.mean((2, 3)), cells.mean((1, 2))


def test_what_is_planted_lights_up_in_constructed_maps(constructed, masks):
    maps, pooled, target = constructed
    correlations = channel_correlations(pooled, target)
    assert (correlations[:2] > 0.6).all()
    assert (correlations[2:4] < -0.6).all()
    assert area_under_curve(maps, correlations, masks) > 0.8
    assert area_under_curve(maps, -correlations, masks) < 0.2
    share = [
        mask[segmented(channel_maps(one, correlations, mask.shape)[0])].mean()
        for one, mask in zip(maps, masks, strict=True)
    ]
    assert np.mean(share) > 1.5 * np.mean([mask.mean() for mask in masks])


def test_shuffled_targets_light_up_what_chance_decides_in_constructed_maps(constructed, masks):
    """Channels that see the same agree on a sign, so that single draws are far from one half."""
    maps, pooled, target = constructed
    found = shuffled_curve(maps[:10], pooled, target, masks[:10])
    assert np.mean(found) == pytest.approx(0.5, abs=0.15)
    assert found.min() < 0.3


@pytest.fixture(scope="module")
def learnt(masks):
    """A network that has learnt 48 images whose brighter blobs conduct."""
    rng = np.random.default_rng(4)
    images = [
        np.clip(90 + 60 * mask + rng.normal(0, 15, mask.shape), 0, 255).astype(np.uint8)
        for mask in masks
    ]
    target = np.array([mask.mean() for mask in masks])
    examples = [
        ImageExample(image, np.empty(0), float(number), f"s{index // 3}")
        for index, (image, number) in enumerate(zip(images, target, strict=True))
    ]
    learner = ImageRegression(
        filters=(4, 8, 16),
        equalise="none",
        inner_folds=1,
        crop_px=SIDE,
        epochs=25,
        learning_rate=5e-3,
        patience=25,
    )
    fitted = learner.fit(examples[:48], 0)
    pooled = fitted.pooled(images)[0]
    held = np.array([fitted.maps(image)[0] for image in images[48:]])
    return pooled[:48], held, target[:48]


def test_what_conducts_lights_up_in_images_that_were_not_learnt_from(learnt, masks):
    pooled, maps, target = learnt
    correlations = channel_correlations(pooled, target)
    assert area_under_curve(maps, correlations, masks[48:]) > 0.8
    negative = [
        roc_auc_score(mask.ravel(), channel_maps(one, correlations, mask.shape)[1].ravel())
        for one, mask in zip(maps, masks[48:], strict=True)
    ]
    assert np.mean(negative) < 0.4


def test_shuffled_targets_light_up_what_chance_decides(learnt, masks):
    pooled, maps, target = learnt
    found = shuffled_curve(maps, pooled, target, masks[48:])
    assert np.mean(found) == pytest.approx(0.5, abs=0.2)
    assert found.min() < 0.3


@pytest.mark.parametrize(
    ("pooled", "target", "message"),
    [
        (np.zeros((3, 2)), np.zeros(2), "take"),
        (np.zeros(3), np.zeros(3), "take"),
        (np.zeros((1, 2)), np.zeros(1), "N ≥ 2"),
        (np.zeros((3, 2)), np.ones(3), "target is 1 in every image"),
    ],
)
def test_correlations_that_are_not_defined_are_refused(pooled, target, message):
    with pytest.raises(ValueError, match=message):
        channel_correlations(pooled, target)


def test_maps_of_other_channels_are_refused():
    with pytest.raises(ValueError, match="take"):
        channel_maps(np.zeros((3, 4, 4)), np.zeros(2), (8, 8))
