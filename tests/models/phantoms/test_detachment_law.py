"""The law of detachment: large particles are barer, density follows, and nothing else changes."""

import dataclasses

import numpy as np
import pytest

from models.phantoms.binder import DetachmentLaw, draw_detachment
from models.phantoms.electrode import plan
from models.phantoms.electrode_config import ElectrodePhantom, rated_electrode

SMALL = ElectrodePhantom(
    seed=2,
    shape_voxels=(48, 64, 64),
    voxel_size_um=(0.5, 0.5, 0.5),
    diameter_um=6.0,
    diameter_spread=0.3,
    detachment_spread=0.02,
)


@pytest.fixture(scope="module")
def truths():
    law = DetachmentLaw(size_slope=0.4, density_slope=-0.5)
    return plan(SMALL).truth, plan(dataclasses.replace(SMALL, detachment=law)).truth


def size_slope(truth):
    size = np.log(truth["equivalent_diameter_um"] / SMALL.diameter_um)
    return np.polyfit(size, truth["detachment_planted"], 1)[0]


def test_bareness_follows_size(truths):
    plain, made = truths
    assert size_slope(made) == pytest.approx(0.4, abs=0.05)
    assert size_slope(plain) == pytest.approx(0, abs=0.05)


def test_density_follows_what_is_bare_in_place(truths):
    plain, made = truths
    follows = made["electron_density"] - plain["electron_density"]
    assert follows == pytest.approx(-0.5 * made["detachment"])


def test_particles_stay_where_they_are(truths):
    plain, made = truths
    for name in ("x_um", "volume_um3", "damage", "label"):
        np.testing.assert_array_equal(plain[name], made[name])


def test_shares_have_the_means_they_are_drawn_for():
    mean = np.repeat([0.2, 0.7], 20_000)
    drawn = draw_detachment(mean, 0.1, np.random.default_rng(0))
    for part, wanted in ((drawn[:20_000], 0.2), (drawn[20_000:], 0.7)):
        assert part.mean() == pytest.approx(wanted, abs=0.003)
        assert part.std() == pytest.approx(0.1, rel=0.03)
    with pytest.raises(ValueError, match=r"mean 0\.01 cannot spread by 0\.3"):
        draw_detachment(np.array([0.5, 0.01]), 0.3, np.random.default_rng(0))


def test_rates_differ_in_bareness_alone():
    slow, fast = (rated_electrode(rate, seed=3) for rate in (0.1, 1.0))
    assert dataclasses.replace(slow, detachment_mean=fast.detachment_mean) == fast
    assert fast.detachment_mean > slow.detachment_mean
    with pytest.raises(ValueError, match=r"0\.1 or 1"):
        rated_electrode(2.0)
