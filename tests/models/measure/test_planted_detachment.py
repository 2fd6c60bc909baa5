"""A law of detachment planted in phantoms is found, with its slope, and none where none is."""

import dataclasses
import functools

import numpy as np
import pytest

from models.measure.group_statistics import (
    Values,
    class_numbers,
    compare_groups,
    equal_count_limits,
    holm,
)
from models.measure.paired_statistics import paired_statistics
from models.measure.particles_3d import MeasureOptions, measure_particles_3d
from models.phantoms.binder import DetachmentLaw
from models.phantoms.electrode import plan, render
from models.phantoms.electrode_config import rated_electrode
from models.phantoms.tomography import tomogram

SHAPE = (100, 144, 144)
DENSITY = "electron_density_mean_body"


@functools.cache
def electrode(config):
    made = plan(dataclasses.replace(config, shape_voxels=SHAPE))
    return made, render(made)


def measured(config, density_by_label=None):
    """Whole particles of an electrode as they are measured in its tomogram, labels being known."""
    made, voxels = electrode(config)
    density = made.density_by_label if density_by_label is None else density_by_label(made)
    grey = tomogram(voxels.labels, voxels.phases, density_by_label=density)
    found = measure_particles_3d(
        voxels.labels,
        spacing_um=config.voxel_size_um,
        grey=grey,
        phases=voxels.phases,
        options=MeasureOptions(conduction=False),
    ).particles
    whole = ~found["touches_border"] & np.isfinite(found["detachment"])
    return {name: values[whole] for name, values in found.items()}


def lawless(seed, **more):
    return dataclasses.replace(rated_electrode(0.1, seed), detachment=DetachmentLaw(), **more)


@pytest.fixture(scope="module")
def rates():
    """Two rates of one seed."""
    return {rate: measured(rated_electrode(rate, 4)) for rate in (0.1, 1.0)}


@pytest.fixture(scope="module")
def alike():
    """Two electrodes of one rate without any law."""
    return {seed: measured(lawless(seed)) for seed in (4, 5)}


def grouped(particles, chosen=None):
    groups = {}
    for number, (name, rows) in enumerate(particles.items()):
        values = rows["detachment"] if chosen is None else rows["detachment"][chosen[name]]
        groups[str(name)] = Values(values, np.full(len(values), number))
    return groups


def by_size(particles):
    """Places of the particles in each of three classes of size, over all electrodes."""
    size = {name: rows["equivalent_diameter_um"] for name, rows in particles.items()}
    limits = equal_count_limits(np.concatenate(list(size.values())), 3)
    for number in (1, 2, 3):
        yield {name: class_numbers(values, limits) == number for name, values in size.items()}


def test_higher_rates_detach_more_in_every_size(rates):
    (whole,) = compare_groups(grouped(rates))
    assert whole.level == "particles"  # one volume each: nothing is said of others
    assert whole.effect > 0.3 and whole.p_value < 1e-4
    found = [compare_groups(grouped(rates, chosen))[0] for chosen in by_size(rates)]
    assert all(one.effect > 0 for one in found)
    assert holm([one.p_value for one in found])[0] < 0.05  # of the small ones, which differ most


def test_large_particles_are_barer(rates):
    for rows in rates.values():
        found = paired_statistics(rows["equivalent_diameter_um"], rows["detachment"])
        assert found.spearman.value > 0
    slow = rates[0.1]
    found = paired_statistics(slow["equivalent_diameter_um"], slow["detachment"])
    assert found.spearman.lower > 0 and found.slope.lower > 0


def test_density_falls_by_the_planted_slope(rates):
    for rows in rates.values():
        found = paired_statistics(rows["detachment"], rows[DENSITY])
        assert found.slope.lower <= -0.3 <= found.slope.upper
        assert found.pearson.upper < -0.2 and found.spearman.upper < -0.2


def test_nothing_is_found_where_nothing_is_planted(alike):
    (found,) = compare_groups(grouped(alike))
    assert abs(found.effect) < 0.25 and found.p_value > 0.05
    for rows in alike.values():
        follows = paired_statistics(rows["detachment"], rows[DENSITY])
        assert follows.slope.lower < 0 < follows.slope.upper
        assert follows.pearson.lower < 0 < follows.pearson.upper


def test_blur_alone_makes_bare_particles_hardly_darker():
    """Where all are as dense, what is measured of them differs by blur at their surfaces."""

    def uniform(made):
        return np.full(len(made.truth["label"]) + 1, 1.3, np.float32)

    rows = measured(lawless(4), uniform)  # −0.02 ± 0.02 e⁻/Å³ from covered to bare
    found = paired_statistics(rows["detachment"], rows[DENSITY])
    assert found.slope.lower > -0.06 and found.slope.upper < 0.02  # 0.3 is planted elsewhere
