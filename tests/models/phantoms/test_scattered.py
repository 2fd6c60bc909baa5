"""Synthetic micrographs of loose particles: the labels are what the image shows."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label as connected_components

from models.phantoms.scattered import Scattered, ScatteredPhantom, scatter

CLEAR = ScatteredPhantom(seed=2, noise_std=0, blur_px=0, rim=0, gradient=0)


@pytest.fixture(scope="module")
def rendered() -> Scattered:
    return scatter(ScatteredPhantom(seed=1, shape_px=(600, 800)))


def test_labels_are_numbered_without_gaps_and_counted(rendered: Scattered) -> None:
    labels, truth = rendered.labels, rendered.truth
    assert labels.dtype == np.int32
    assert rendered.image.dtype == np.uint8
    assert labels.shape == rendered.image.shape == (600, 800)
    n = len(truth["label"])
    np.testing.assert_array_equal(np.unique(labels), np.arange(n + 1))
    np.testing.assert_array_equal(np.bincount(labels.ravel())[1:], truth["area_px2"])


def test_whole_particles_have_the_area_of_their_outline() -> None:
    apart = scatter(
        ScatteredPhantom(seed=4, overlap=0, touching_share=0, irregularity=0.03, coverage=0.15)
    )
    truth = apart.truth
    # outlines bulge beyond the circles that are kept apart, and a little of few is hidden
    whole = ~truth["touches_border"]
    ratio = truth["area_px2"][whole] / truth["outline_area_px2"][whole]
    assert np.mean(ratio) == pytest.approx(1, abs=0.005)
    assert ratio.min() > 0.95


def test_sizes_and_coverage_are_the_stated_ones() -> None:
    truth = scatter(
        ScatteredPhantom(seed=3, shape_px=(1024, 1024), diameter_px=20, diameter_spread=0.3)
    ).truth
    diameter = truth["equivalent_diameter_px"]
    assert np.median(diameter) == pytest.approx(20, rel=0.06)
    assert np.log(diameter).std() == pytest.approx(0.3, rel=0.1)
    assert truth["outline_area_px2"].sum() / 1024**2 == pytest.approx(0.3, abs=0.01)


def test_visible_fraction_tells_what_is_hidden(rendered: Scattered) -> None:
    truth = rendered.truth
    inside = ~truth["touches_border"]
    hidden = 1 - truth["visible_fraction"][inside]
    assert hidden.max() < 0.5
    assert np.mean(hidden > 0.01) > 0.2  # some overlap
    assert np.mean(hidden < 0.01) > 0.2  # some do not
    # the last one lies on top: nothing hides it
    top = np.flatnonzero(inside)[-1]
    assert truth["visible_fraction"][top] == pytest.approx(1, abs=0.03)


def test_overlaps_make_fewer_connected_pieces_than_particles() -> None:
    for overlap, touching in ((0.15, 0.6), (0.3, 0.9)):
        made = scatter(ScatteredPhantom(seed=5, overlap=overlap, touching_share=touching))
        assert connected_components(made.labels > 0)[1] < 0.8 * len(made.truth["label"])


def test_centres_are_in_their_particles(rendered: Scattered) -> None:
    truth = rendered.truth
    y = np.clip(np.rint(truth["y_px"]).astype(int), 0, 599)
    x = np.clip(np.rint(truth["x_px"]).astype(int), 0, 799)
    seen = truth["visible_fraction"] > 0.9
    np.testing.assert_array_equal(rendered.labels[y, x][seen], truth["label"][seen])


def test_grey_levels_are_the_stated_ones() -> None:
    made = scatter(CLEAR)
    particle = made.labels > 0
    assert np.all(made.image[~particle] == 60)
    assert made.image[particle].mean() == pytest.approx(130, abs=4)
    dark = scatter(dataclasses.replace(CLEAR, background=180, contrast=-100))
    assert dark.image[dark.labels > 0].mean() == pytest.approx(80, abs=5)
    faint = scatter(dataclasses.replace(CLEAR, contrast=5))
    assert abs(faint.image[faint.labels > 0].mean() - 60) < 7
    np.testing.assert_array_equal(faint.labels, made.labels)


def test_edges_shine_and_noise_is_the_stated_one() -> None:
    shining = scatter(dataclasses.replace(CLEAR, rim=60))
    assert (
        shining.image[shining.labels > 0].mean() > scatter(CLEAR).image[shining.labels > 0].mean()
    )
    noisy = scatter(dataclasses.replace(CLEAR, noise_std=10, background=100))
    assert noisy.image[noisy.labels == 0].std() == pytest.approx(10, rel=0.03)
    sloping = scatter(dataclasses.replace(CLEAR, gradient=40, coverage=0)).image.mean(axis=0)
    assert sloping[-1] - sloping[0] == pytest.approx(40, abs=1)


@given(seed=st.integers(0, 2**32), diameter=st.floats(6, 24), coverage=st.floats(0, 0.35))
@settings(max_examples=20, deadline=None)
def test_any_seed_gives_the_same_image_twice(seed: int, diameter: float, coverage: float) -> None:
    config = ScatteredPhantom(
        seed=seed, shape_px=(96, 128), diameter_px=diameter, coverage=coverage
    )
    first, again = scatter(config), scatter(config)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    truth = first.truth
    assert len({len(column) for column in truth.values()}) == 1
    assert np.all((truth["visible_fraction"] > 0) & (truth["visible_fraction"] <= 1))
    border = np.concatenate(
        [first.labels[0], first.labels[-1], first.labels[:, 0], first.labels[:, -1]]
    )
    np.testing.assert_array_equal(truth["touches_border"], np.isin(truth["label"], border))


def test_no_particles_are_no_rows() -> None:
    empty = scatter(ScatteredPhantom(coverage=0))
    assert not empty.labels.any()
    assert all(len(column) == 0 for column in empty.truth.values())
    assert empty.truth["touches_border"].dtype == bool
    assert empty.truth["area_px2"].dtype == np.float64


def test_a_circle_has_the_area_of_a_circle() -> None:
    made = scatter(
        ScatteredPhantom(seed=9, irregularity=0, diameter_spread=0, diameter_px=60, overlap=0)
    )
    assert made.truth["outline_area_px2"] == pytest.approx(math.pi * 900)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"coverage": 0.9}, "coverage"),
        ({"diameter_px": 2.0}, "diameter_px"),
        ({"touching_share": 2.0}, "touching_share"),
        ({"shape_px": (8, 100)}, "shape_px"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ScatteredPhantom(**change)


def test_a_full_image_is_refused() -> None:
    with pytest.raises(ValueError, match="find no room"):
        scatter(ScatteredPhantom(coverage=0.6, diameter_spread=0, overlap=0, touching_share=0))
