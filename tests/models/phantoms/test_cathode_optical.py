"""Cathodes under an optical microscope: what light does, and three classes that structure tells."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from models.phantoms.cathode import render_cathode
from models.phantoms.cathode_collection import (
    CATHODE_LABEL_PATTERN,
    OPTICAL_COMPOSITIONS,
    cathode_specimens,
    optical_collection,
)
from models.phantoms.cathode_config import CathodePhantom

CONFIG = CathodePhantom(
    seed=3,
    shape_px=(256, 256),
    microscope="optical",
    databar=False,
    pixel_size_um=0.35,
    diameter_um=14,
    roughness=0.1,
    noise_std=0.5,
)


def test_the_same_surface_is_seen_by_another_microscope():
    optical, sem = render_cathode(CONFIG), render_cathode(replace(CONFIG, microscope="SEM"))
    assert np.array_equal(optical.labels, sem.labels)
    assert abs(np.corrcoef(optical.image.ravel(), sem.image.ravel())[0, 1]) < 0.8
    assert abs(optical.image.mean() - CONFIG.brightness) < 0.02
    assert abs(optical.image.std() - CONFIG.contrast) < 0.02
    assert np.array_equal(optical.image, render_cathode(CONFIG).image)


def test_tops_of_particles_shine_and_their_flanks_do_not():
    made = render_cathode(CONFIG)
    truth = made.truth
    y, x = np.indices(made.labels.shape)
    clear = (truth["visible_fraction"] > 0.95) & ~truth["touches_border"]
    assert clear.sum() >= 5
    brighter = []
    for number in np.flatnonzero(clear):
        own = made.labels == truth["label"][number]
        radius = truth["diameter_um"][number] / 2 / CONFIG.pixel_size_um
        away = np.hypot(y - truth["y_px"][number], x - truth["x_px"][number]) / radius
        top, flank = made.image[own & (away < 0.3)], made.image[own & (away > 0.7)]
        brighter.append(top.mean() - flank.mean())
    assert np.min(brighter) > CONFIG.contrast / 2


def test_carbon_is_darker_than_oxide():
    made = render_cathode(replace(CONFIG, binder_share=0.3))
    assert made.image[made.labels > 0].mean() > made.image[made.labels == 0].mean() + 10


def fine_detail(config):
    image = render_cathode(config).image.astype(float)
    return (image - gaussian_filter(image, 2)).std() / image.std()


def test_light_does_not_resolve_what_electrons_do():
    fine = replace(CONFIG, pixel_size_um=0.05, diameter_um=5, roughness=1, primary_grain_um=0.3)
    fine = replace(fine, noise_std=0.0, kv=5.0)
    assert fine_detail(fine) < 0.5 * fine_detail(replace(fine, microscope="SEM"))


def test_twelve_pristine_specimens_are_seen_in_turn():
    files = list(optical_collection(36))
    found = [re.fullmatch(CATHODE_LABEL_PATTERN, file.relative_path) for file in files]
    samples = Counter(one["sample"] for one in found)
    assert len(samples) == 12
    assert set(samples.values()) == {3}
    assert {one["composition"] for one in found} == set(OPTICAL_COMPOSITIONS)
    assert {one["state"] for one in found} == {"pristine"}
    assert len({file.relative_path for file in files}) == 36
    assert len({file.config.pixel_size_um for file in files}) == 1
    assert {one["sample"] for one in found} <= {one.sample for one in cathode_specimens()}


def test_an_image_does_not_depend_on_how_many_there_are():
    assert list(optical_collection(5)) == list(optical_collection(40))[:5]
    assert list(optical_collection(0)) == []
    with pytest.raises(ValueError, match="n must not be negative"):
        list(optical_collection(-1))
