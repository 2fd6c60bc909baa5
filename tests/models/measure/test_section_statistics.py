"""Statistics of sections: numbers worked out by hand, and balls cut by random planes."""

import math

import numpy as np
import pytest

from models.measure.arrays import InvalidVolumeError
from models.measure.electrode_statistics import COLUMNS, electrode_statistics
from models.measure.section_statistics import MIN_SECTIONS, Sections, section_statistics

SIDE_UM = 200.0


def sections(diameter_px, image=None, **more) -> Sections:
    """Discs, all in one image of 100 by 200 pixels unless told otherwise."""
    diameter = np.asarray(diameter_px, np.float64)
    count = len(diameter)
    columns = {
        "image": np.zeros(count, np.int64) if image is None else np.asarray(image),
        "diameter_px": diameter,
        "feret_px": diameter,
        "shapes": {"circularity": np.linspace(0.8, 1.0, count)},
        "touches_border": np.zeros(count, bool),
        "confidence": np.full(count, math.nan),
        "pixel_size_um": np.array([0.5]),
        "window_px": np.array([[100.0, 200.0]]),
    }
    return Sections(**(columns | more))


def rows(found, statistic: str) -> list[dict[str, object]]:
    places = np.flatnonzero(found["statistic"] == statistic)
    return [{name: found[name][place] for name in COLUMNS} for place in places]


def value(found, statistic: str) -> float:
    (row,) = rows(found, statistic)
    return float(row["value"])  # type: ignore[arg-type]


def plane_through_balls(diameters_um: np.ndarray, density: float, seed: int, planes: int = 8):
    """Sections that random planes through a Poisson field of balls cut, in square windows.

    Balls lie anywhere in a slab as thick as the largest of them, so that the plane meets each in
    proportion to its diameter; what the window's edge cuts is flagged.
    """
    rng = np.random.default_rng(seed)
    reach, thick = diameters_um.max() / 2, diameters_um.max()
    side = SIDE_UM + 2 * reach
    found: dict[str, list[np.ndarray]] = {"image": [], "diameter": [], "cut": []}
    for plane in range(planes):
        count = rng.poisson(density * side**2 * thick)
        radius = rng.choice(diameters_um, count) / 2
        height = np.abs(rng.uniform(-thick / 2, thick / 2, count))
        met = height < radius
        section = np.sqrt(radius[met] ** 2 - height[met] ** 2)
        centre = rng.uniform(-reach, SIDE_UM + reach, (len(section), 2))
        near = np.minimum(centre, SIDE_UM - centre).min(axis=1)
        seen = near > -section  # outside a corner some of them are not; they are cut anyway
        found["image"].append(np.full(seen.sum(), plane))
        found["diameter"].append(2 * section[seen])
        found["cut"].append((near < section)[seen])
    columns = {name: np.concatenate(parts) for name, parts in found.items()}
    pixel = 0.25
    return sections(
        columns["diameter"] / pixel,
        columns["image"],
        touches_border=columns["cut"],
        pixel_size_um=np.full(planes, pixel),
        window_px=np.full((planes, 2), SIDE_UM / pixel),
    )


def test_rows_fit_the_table_of_electrodes() -> None:
    found = section_statistics(sections([4, 6, 8]))
    empty = electrode_statistics({}, {}, spacing_um=(1, 1, 1))
    assert tuple(found) == COLUMNS == tuple(empty)
    assert {name: column.dtype for name, column in found.items()} == {
        name: column.dtype for name, column in empty.items()
    }
    assert all(found["unit"])


def test_counts_and_sizes_by_hand() -> None:
    cut = np.array([False, False, False, True])
    known = sections([10, 20, 40, 60], touches_border=cut)
    found = section_statistics(known)
    counts = ("image_count", "image_count_used", "section_count", "section_count_whole")
    assert [value(found, name) for name in counts] == [1, 1, 4, 3]
    area = np.pi / 4 * np.array([10, 20, 40, 60]) ** 2
    assert value(found, "section_area_fraction") == pytest.approx(area.sum() / 20_000)
    assert value(found, "border_area_share") == pytest.approx(area[-1] / area.sum())
    side = np.array([10.0, 20.0, 40.0])
    weight = 20_000 / ((100 - side) * (200 - side))
    (mean,) = rows(found, "section_diameter_mean")
    expected = weight @ side / weight.sum() / 2
    assert mean["value"] == pytest.approx(expected)
    assert mean["std"] == pytest.approx(
        math.sqrt(weight @ (side / 2 - expected) ** 2 / weight.sum())
    )
    assert (mean["unit"], mean["count"]) == ("µm", 3)
    assert value(found, "circularity_mean") == pytest.approx(
        weight @ known.shapes["circularity"][:3] / weight.sum()
    )
    assert np.isnan(value(found, "solidity_mean"))
    by_number = [value(found, f"section_diameter_d{n}_number") for n in (10, 50, 90)]
    by_area = [value(found, f"section_diameter_d{n}_area") for n in (10, 50, 90)]
    assert by_number == sorted(by_number)
    assert by_area[1] > by_number[1]


def test_images_without_a_pixel_size_count_and_do_nothing_else() -> None:
    sizes = {"pixel_size_um": np.array([0.5, np.nan]), "window_px": np.full((2, 2), 100.0)}
    both = section_statistics(sections([10, 20, 30], [0, 0, 1], **sizes))
    one = section_statistics(sections([10, 20], window_px=np.full((1, 2), 100.0)))
    assert [value(both, n) for n in ("image_count", "image_count_used", "section_count")] == [
        2,
        1,
        3,
    ]
    lengths = ("section_diameter_mean", "section_diameter_d90_area", "section_area_fraction")
    assert [value(both, name) for name in lengths] == [value(one, name) for name in lengths]
    none = section_statistics(sections([10, 20], pixel_size_um=np.array([np.nan])))
    assert value(none, "section_count_whole") == 2
    assert all(np.isnan(value(none, name)) for name in lengths)
    assert np.isnan(value(none, "circularity_mean"))


def test_balls_of_one_size_are_found_from_their_sections() -> None:
    density, diameter = 4e-4, 10.0
    found = section_statistics(plane_through_balls(np.array([diameter]), density, 0, planes=40))
    assert value(found, "ball_diameter_mean") == pytest.approx(diameter, rel=0.03)
    assert value(found, "ball_diameter_d50_number") == pytest.approx(diameter, rel=0.01)
    assert value(found, "ball_diameter_d50_volume") == pytest.approx(diameter, rel=0.01)
    assert value(found, "section_diameter_mean") == pytest.approx(diameter * np.pi / 4, rel=0.02)
    assert value(found, "ball_number_density") == pytest.approx(density, rel=0.06)
    shares = rows(found, "ball_number_fraction")
    assert len(shares) == 12
    assert sum(row["value"] for row in shares) == pytest.approx(1)
    assert shares[-1]["value"] > 0.95
    assert [row["bin_lower"] for row in shares[1:]] == [row["bin_upper"] for row in shares[:-1]]
    assert sum(row["count"] for row in shares) == value(found, "section_count_whole")
    assert all(0 <= row["std"] < 0.1 for row in shares)


def test_balls_of_many_sizes() -> None:
    balls = np.random.default_rng(1).lognormal(math.log(8), 0.25, 20_000)
    found = section_statistics(plane_through_balls(balls, 4e-4, seed=2))
    (mean,) = rows(found, "ball_diameter_mean")
    assert mean["value"] == pytest.approx(balls.mean(), rel=0.05)
    assert mean["std"] == pytest.approx(balls.std(), rel=0.15)
    for share in (10, 50, 90):
        number = np.quantile(balls, share / 100)
        assert value(found, f"ball_diameter_d{share}_number") == pytest.approx(number, rel=0.08)
    order = np.sort(balls)
    middle = order[np.searchsorted(np.cumsum(order**3), (order**3).sum() / 2)]
    assert value(found, "ball_diameter_d50_volume") == pytest.approx(middle, rel=0.06)


def test_large_sections_are_not_lost_to_the_edge() -> None:
    """In windows of four diameters the edge cuts near half of the largest sections."""
    known = plane_through_balls(np.array([10.0, 50.0]), 2e-5, seed=3, planes=60)
    found = section_statistics(known)
    # a section is π/4 of its ball on average; as many balls of 10 and 50 meet a plane as 1 to 5
    expected = np.pi / 4 * (10**2 + 50**2) / 60
    plain = (known.diameter_px * 0.25)[~known.touches_border].mean()
    assert plain < 0.97 * expected
    assert value(found, "section_diameter_mean") == pytest.approx(expected, rel=0.02)


def test_few_sections_say_nothing_of_balls() -> None:
    few = section_statistics(sections(np.arange(1, MIN_SECTIONS)))
    enough = section_statistics(sections(np.arange(1, MIN_SECTIONS + 1)))
    assert not any(str(name).startswith("ball_") for name in few["statistic"])
    assert len(rows(enough, "ball_number_fraction")) == 4


def test_nothing_at_all() -> None:
    found = section_statistics(sections([]))
    assert value(found, "section_count") == 0
    assert value(found, "section_area_fraction") == 0
    assert np.isnan(value(found, "section_diameter_mean"))
    empty = sections([], pixel_size_um=np.zeros(0), window_px=np.zeros((0, 2)))
    assert value(section_statistics(empty), "image_count") == 0


def test_doubling_the_pixel_doubles_every_length() -> None:
    known = np.random.default_rng(4).uniform(2, 20, 50)
    one = section_statistics(sections(known))
    two = section_statistics(sections(known, pixel_size_um=np.array([1.0])))
    factor = np.select([one["unit"] == "µm", one["unit"] == "1/µm³"], [2, 1 / 8], 1)
    np.testing.assert_allclose(two["value"], factor * one["value"], rtol=1e-9)


def test_a_section_as_long_as_its_window_stays_within_reason() -> None:
    found = section_statistics(sections([10, 99], feret_px=np.array([10.0, 140.0])))
    weight = np.array([1 / (0.9 * 0.95), 1 / (0.25 * 0.3)])
    assert value(found, "section_diameter_mean") == pytest.approx(weight @ [5, 49.5] / weight.sum())


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidVolumeError, match="differ in length"):
        sections([1, 2], feret_px=np.ones(3))
    with pytest.raises(InvalidVolumeError, match="window"):
        sections([1], window_px=np.ones((2, 2)))
    with pytest.raises(InvalidVolumeError, match="image 3 among 1"):
        sections([1], [3])
