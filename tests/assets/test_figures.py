"""Figures: right size, readable PNG, drawn from the rows they were given."""

import base64
import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from assets.figures import as_markdown, contact_histogram, profile, size_distribution
from models.measure.electrode_statistics import electrode_statistics

COUNT = 3000
NAMES = {"v": "a/very/long/path/of/a/volume_of_cell_03.tif", "w": "cell_04.tif"}


@pytest.fixture(scope="module")
def particles() -> pa.Table:
    rng = np.random.default_rng(0)
    diameter = rng.lognormal(2, 0.4, COUNT)
    return pa.table(
        {
            "volume_id": np.where(np.arange(COUNT) % 3 == 0, "v", "w"),
            "equivalent_diameter_um": diameter,
            "volume_um3": np.pi / 6 * diameter**3,
            "touches_border": rng.random(COUNT) < 0.1,
        }
    )


@pytest.fixture(scope="module")
def statistics() -> pa.Table:
    rng = np.random.default_rng(1)
    depth, diameter = rng.random(500), rng.lognormal(2, 0.4, 500)
    columns = {
        "equivalent_diameter_um": diameter,
        "volume_um3": diameter**3,
        "damage": 0.1 * depth,
        "depth_fraction": depth,
    }
    told = electrode_statistics(columns, {0: 1, 1: 1}, spacing_um=(1, 1, 1))
    count = len(told["statistic"])
    numbered = {"bin": np.isfinite(told["bin_lower"]).cumsum(), "entity_id": np.full(count, "v")}
    return pa.table({n: pa.array(c, from_pandas=True) for n, c in (told | numbered).items()})


@pytest.fixture(scope="module")
def contacts() -> pa.Table:
    rng = np.random.default_rng(2)
    ends = {f"particle_{side}_id": rng.integers(0, 300, 900).astype(str) for side in "ab"}
    area = rng.lognormal(0, 1.5, 900)
    return pa.table({"volume_id": ["v"] * 900, "contact_area_um2": area, **ends})


def picture(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def colours(image: np.ndarray) -> set[tuple[int, ...]]:
    """Strong colours, rounded, that cover more than a few pixels."""
    flat = (image.reshape(-1, 3) // 32).astype(int)
    vivid = flat[flat.max(axis=1) - flat.min(axis=1) >= 3]
    found, counts = np.unique(vivid, axis=0, return_counts=True)
    return {tuple(colour) for colour in found[counts > 100].tolist()}


def test_every_figure_is_wide_and_small(particles, statistics, contacts):
    figures = (
        size_distribution(particles, by="volume_id", labels=NAMES),
        profile(statistics, names=NAMES),
        contact_histogram(contacts, labels=NAMES),
    )
    for png in figures:
        assert len(png) < 60_000
        image = picture(png)
        assert image.shape[1] == 900
        assert 300 < image.shape[0] < 600
        assert 0.02 < (image.min(axis=2) < 200).mean() < 0.5


def test_volumes_are_told_apart_by_colour_unless_they_are_many(particles):
    two = picture(size_distribution(particles, by="volume_id", labels=NAMES))
    one = picture(size_distribution(particles))
    many = particles.set_column(0, "volume_id", [pa.array([str(n % 9) for n in range(COUNT)])])
    pooled = picture(size_distribution(many, by="volume_id"))
    assert len(colours(two)) > len(colours(one))
    assert colours(pooled) == colours(one)


def test_particles_at_the_edge_are_left_out(particles):
    marked = particles.append_column("whole", pa.array(~particles["touches_border"].to_numpy()))
    inner = marked.filter(marked["whole"]).drop_columns("whole")
    assert size_distribution(particles) == size_distribution(inner)
    assert size_distribution(particles) != size_distribution(particles.slice(0, COUNT // 2))


def test_pixels_and_images_need_no_volume(particles):
    columns = particles.select(["equivalent_diameter_um", "touches_border"])
    images = columns.rename_columns(["equivalent_diameter_px", "touches_border"])
    assert picture(size_distribution(images, column="equivalent_diameter_px")).shape[1] == 900
    unknown = columns.set_column(0, "equivalent_diameter_um", [pa.nulls(COUNT, pa.float64())])
    assert picture(size_distribution(unknown)).shape[1] < 450


@pytest.mark.parametrize(("low", "spread"), [(1e-3, 5.0), (1.0, 0.0), (1.0, 0.01), (900.0, 1.0)])
def test_any_range_of_sizes_can_be_drawn(low, spread):
    diameter = low * np.exp(spread * np.linspace(0, 1, 20))
    table = pa.table({"equivalent_diameter_um": diameter, "touches_border": [False] * 20})
    assert picture(size_distribution(table)).shape[1] == 900


def test_nothing_to_draw_says_so_in_a_small_picture(particles, statistics, contacts):
    unknown = statistics.filter(pa.compute.field("statistic") == "porosity")
    figures = (
        size_distribution(particles.slice(0, 0), by="volume_id"),
        profile(statistics.slice(0, 0), names=NAMES),
        profile(statistics, names={"x": "y"}),
        profile(statistics, names={}),
        profile(unknown, names=NAMES),
        contact_histogram(contacts.slice(0, 0)),
    )
    for png in figures:
        image = picture(png)
        assert image.shape[1] < 450
        assert (image < 200).any()


def test_one_contact_is_drawn(contacts):
    assert picture(contact_histogram(contacts.slice(0, 1))).shape[1] == 900


def test_markdown_holds_the_picture_itself(contacts):
    png = contact_histogram(contacts)
    text = as_markdown(png).value
    assert text.startswith("![preview](data:image/png;base64,")
    assert base64.b64decode(text.split(",", 1)[1].removesuffix(")")) == png
