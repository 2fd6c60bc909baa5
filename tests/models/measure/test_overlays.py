"""Overlays: where there is colour, and that sections are the right ones."""

import numpy as np
import pytest

from models.measure.arrays import InvalidVolumeError
from models.measure.overlays import (
    label_colours,
    orthogonal_sections,
    outline_overlay,
    scale_bar_um,
)


def test_colours_depend_on_the_label_alone_and_differ() -> None:
    labels = np.arange(40)
    colours = label_colours(labels)
    assert colours.shape == (40, 3)
    assert colours.dtype == np.uint8
    assert (colours[0] == 0).all()
    assert len({tuple(colour) for colour in colours.tolist()}) == 40
    np.testing.assert_array_equal(label_colours(labels[::-1]), colours[::-1])
    np.testing.assert_array_equal(label_colours(np.array([[7]], np.uint16))[0, 0], colours[7])
    assert (colours[1:].max(axis=1) >= 200).all()
    apart = np.abs(colours[2:].astype(int) - colours[1:-1]).sum(axis=1)
    assert apart.min() > 150


def test_only_particles_are_coloured_and_outlines_fully() -> None:
    grey = np.full((12, 12), 100, np.uint8)
    labels = np.zeros((12, 12), np.int32)
    labels[2:8, 3:9] = 5
    picture = outline_overlay(grey, labels)
    assert picture.shape == (12, 12, 3)
    assert picture.dtype == np.uint8
    assert (picture[labels == 0] == 100).all()
    colour = label_colours(np.array([5]))[0]
    assert (picture[2, 3:9] == colour).all()
    assert (picture[2:8, 8] == colour).all()
    inside = picture[4, 5].astype(int)
    assert (inside != 100).any()
    assert (inside != colour).any()


def test_touching_particles_have_a_line_between_them() -> None:
    labels = np.ones((6, 8), np.int32)
    labels[:, 4:] = 2
    picture = outline_overlay(np.zeros((6, 8), np.uint8), labels)
    assert (picture[3, 3] == label_colours(np.array([1]))[0]).all()
    assert (picture[3, 4] == label_colours(np.array([2]))[0]).all()
    assert picture[3, 1].max() < 100


def test_grey_levels_of_any_depth_are_stretched() -> None:
    ramp = np.linspace(0, 1, 10_000).reshape(100, 100)
    none = np.zeros((100, 100), np.int32)
    for grey in (ramp, 1e6 + 5 * ramp, (60000 * ramp).astype(np.uint16)):
        picture = outline_overlay(grey, none)
        assert (picture[0, 0].max(), picture[-1, -1].min()) == (0, 255)
    with_nan = np.where(ramp > 0.5, np.nan, ramp)
    assert (outline_overlay(with_nan, none)[-1] == 0).all()
    assert (outline_overlay(np.full((100, 100), np.nan), none) == 0).all()
    assert (outline_overlay(np.full((9, 9), 3.5), none[:9, :9]) <= 255).all()


def test_sections_meet_in_the_centre() -> None:
    volume = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(np.float32)
    picture = orthogonal_sections(volume, centre=(1, 2, 3))
    assert picture.shape == (5, 6 + 6 + 6 + 6 + 5, 3)
    xy, xz, yz = picture[:, :6, 0], picture[:4, 12:18, 0], picture[:4, 24:, 0]
    assert xy[2, 3] == xz[1, 3] == yz[1, 2]
    assert (np.diff(xy.astype(int), axis=1) >= 0).all()
    assert (np.diff(xz.astype(int), axis=0) > 0).all()
    assert (picture[:, 6:12] == 0).all()


def test_anisotropic_voxels_are_shown_to_scale() -> None:
    volume = np.zeros((10, 30, 40), np.uint8)
    labels = np.zeros((10, 30, 40), np.int64)
    labels[5] = 2**40  # the plane z = 5
    picture = orthogonal_sections(volume, labels, spacing_um=(3.0, 1.0, 1.0), centre=(2, 15, 20))
    assert picture.shape == (30, 40 + 6 + 40 + 6 + 30, 3)
    xz = picture[:, 46:86]
    assert (xz[15:18].max(axis=-1) > 0).all()
    assert (xz[:15] == 0).all()
    assert (xz[18:] == 0).all()


def test_a_scale_bar_is_as_long_as_it_says() -> None:
    blank = np.zeros((300, 400), np.uint8)
    none = np.zeros((300, 400), np.int32)
    assert (outline_overlay(blank, none) == 0).all()
    picture = outline_overlay(blank, none, pixel_size_um=0.25)  # 100 µm wide: a bar of 20 µm
    foot = picture[-40:]
    bar = (foot[:, :, 0] == 255).sum(axis=1).max()
    assert bar == 80
    assert [scale_bar_um(width) for width in (100, 40, 0.9, 8)] == pytest.approx([20, 10, 0.2, 2])


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidVolumeError, match="grey has shape"):
        outline_overlay(np.zeros((3, 4)), np.zeros((4, 3), int))
    with pytest.raises(InvalidVolumeError, match="axes"):
        orthogonal_sections(np.zeros((3, 4)))
    with pytest.raises(InvalidVolumeError, match="outside"):
        orthogonal_sections(np.zeros((3, 4, 5)), centre=(3, 0, 0))
    with pytest.raises(InvalidVolumeError, match="labels has shape"):
        orthogonal_sections(np.zeros((3, 4, 5)), np.zeros((3, 4, 4), int))
    with pytest.raises(InvalidVolumeError, match="spacing"):
        orthogonal_sections(np.zeros((3, 4, 5)), spacing_um=(1, 1, 0))
