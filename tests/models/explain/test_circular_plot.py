"""Circular plot and matrix at print size: what stands where, in which colour, and that it fits."""

import io
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex

from models.explain.circular_links import NEGATIVE, POSITIVE
from models.explain.circular_plot import circular_plot, matrix_figure

LABELS = {
    "x_um": "X",
    "y_um": "Y",
    "z_um": "Depth",
    "yaw_deg": "Yaw",
    "pitch_deg": "Pitch",
    "roll_deg": "Roll",
    "electron_density_mean": "Electron density",
    "homogeneity": "Homogeneity",
    "surface_inner_um2": "Inner surface",
    "surface_outer_um2": "Outer surface",
    "volume_um3": "Volume",
    "damage": "Damage",
    "elongation": "Elongation",
    "sphericity": "Sphericity",
    "vs_ratio": "Volume to surface",
    "roughness_inner": "Inner roughness",
    "roughness_outer": "Outer roughness",
    "contact_fraction": "Contact",
    "packing_density": "Packing density",
    "distance_nearest_um": "Neighbour distance",
    "elongation_std_neighbours": "Elongation spread",
    "volume_std_neighbours_um3": "Volume spread",
    "orientation_isotropy": "Orientation isotropy",
}
NAMES = list(LABELS)
GROUPS = dict(
    zip(
        NAMES,
        ["Position"] * 6
        + ["Chemistry"] * 2
        + ["Particle structure"] * 9
        + ["Local morphology"] * 6,
        strict=True,
    )
)


def matrix(pairs):
    found = np.eye(len(NAMES))
    for (row, column), value in pairs.items():
        found[row, column] = found[column, row] = value
    return found


def crowded(seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, (len(NAMES), len(NAMES))) ** 3
    return np.clip((values + values.T) * 0.8, -1, 1) * (1 - np.eye(len(NAMES))) + np.eye(len(NAMES))


# 0 and 22 stand left and right of the top, where angles start again
PAIRS = {(0, 11): 0.8, (3, 9): -0.6, (0, 22): 0.5, (7, 8): -0.9, (4, 5): 0.29}
OTHER = {(0, 11): 0.4, (3, 9): 0.6, (0, 22): 0.1, (7, 8): -0.3, (4, 5): 0.9}


@pytest.fixture(scope="module")
def plot():
    return circular_plot(matrix(PAIRS), NAMES, other=matrix(OTHER), groups=GROUPS, labels=LABELS)


@pytest.fixture(scope="module")
def full():
    """Sixty links or more between 23 names."""
    return circular_plot(crowded(1), NAMES, other=crowded(2), groups=GROUPS, labels=LABELS)


def curves(figure):
    return {
        tuple(patch.get_gid().split()[1:]): patch
        for patch in figure.axes[0].patches
        if (patch.get_gid() or "").startswith("link ")
    }


def texts(figure):
    from matplotlib.text import Text

    figure.draw_without_rendering()
    if figure.legends:
        return [*figure.axes[0].texts, *figure.legends[0].get_texts()]
    drawn = [text for axes in figure.axes for text in axes.findobj(Text)]
    return [text for text in drawn if text.get_visible() and text.get_text()]


def ink(figure, text):
    """Pixels (H, W) of a text alone, as the printer sets it."""
    from matplotlib.backends.backend_agg import RendererAgg

    width, height = (figure.get_size_inches() * figure.dpi).astype(int)
    renderer = RendererAgg(width, height, figure.dpi)
    text.draw(renderer)
    return np.asarray(renderer.buffer_rgba())[..., 3] > 0


def test_no_text_overlaps_another_or_leaves_the_page_at_print_size(full):
    assert full.get_size_inches()[0] * 25.4 == pytest.approx(90)
    assert full.dpi == 300
    drawn = texts(full)
    times = sum(ink(full, text).astype(int) for text in drawn)
    assert times.max() == 1
    assert all(text.get_fontsize() >= 6 for text in drawn)
    page = full.bbox
    for text in drawn:
        box = text.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1


def test_every_name_stands_there_once_and_no_column_name(full):
    written = [text.get_text() for text in texts(full)]
    assert all(written.count(label) == 1 for label in LABELS.values())
    assert not any("_" in text for text in written)
    bare = circular_plot(matrix(PAIRS), NAMES)
    assert sorted(text.get_text() for text in bare.axes[0].texts) == sorted(NAMES)


def test_names_stand_by_group_even_if_they_come_mixed(plot):
    def around(figure):
        return [text.get_text() for text in figure.axes[0].texts]

    mixed = NAMES[::2] + NAMES[1::2]
    figure = circular_plot(np.eye(len(mixed)), mixed, groups=GROUPS, labels=LABELS)
    group = {LABELS[name]: GROUPS[name] for name in NAMES}
    found = [group[label] for label in around(figure)]
    assert list(dict.fromkeys(found)) == list(dict.fromkeys(GROUPS.values()))
    assert sum(a != b for a, b in pairwise(found)) == 3
    assert around(plot) == list(LABELS.values())


def test_links_are_the_pairs_at_or_above_the_threshold(plot):
    assert set(curves(plot)) == {
        (NAMES[row], NAMES[column]) for (row, column), r in PAIRS.items() if abs(r) >= 0.3
    }


def test_links_that_differ_are_dark_and_common_ones_pale(plot):
    found = {pair: to_hex(patch.get_edgecolor()).upper() for pair, patch in curves(plot).items()}
    assert found[NAMES[3], NAMES[9]] == NEGATIVE  # positive in the other
    assert found[NAMES[0], NAMES[22]] == POSITIVE  # too weak in the other
    for pair, dark in (((0, 11), POSITIVE), ((7, 8), NEGATIVE)):
        pale = found[NAMES[pair[0]], NAMES[pair[1]]]
        assert pale != dark
        assert brightness(pale) > 0.75 > 0.6 > brightness(dark)
    alone = circular_plot(matrix(PAIRS), NAMES)
    assert {to_hex(patch.get_edgecolor()).upper() for patch in curves(alone).values()} == {
        POSITIVE,
        NEGATIVE,
    }


def brightness(colour):
    """Of the print without colour (ITU-R BT.601), from 0 to 1."""
    from matplotlib.colors import to_rgb

    return float(np.dot(to_rgb(colour), [0.299, 0.587, 0.114]))


def test_curves_are_as_wide_as_the_correlation_is_strong(plot):
    width = {pair: patch.get_linewidth() for pair, patch in curves(plot).items()}
    for (row, column), r in PAIRS.items():
        if abs(r) >= 0.3:
            expected = width[NAMES[0], NAMES[11]] * abs(r) / 0.8
            assert width[NAMES[row], NAMES[column]] == pytest.approx(expected)


def test_every_link_has_its_sign_on_its_curve(plot):
    signs = [line for line in plot.axes[0].lines if line.get_gid() == "sign"]
    places = {line.get_marker(): [] for line in signs}
    for line in signs:
        angle, radius = line.get_data()
        places[line.get_marker()].append(
            (radius[0] * np.sin(angle[0]), radius[0] * np.cos(angle[0]))
        )
    assert {marker: len(each) for marker, each in places.items()} == {"+": 2, "_": 2}
    share = np.linspace(0, 1, 200)[:, None]
    for (first, second), patch in curves(plot).items():
        angle, radius = patch.get_path().vertices[[0, 2, 4]].T
        start, middle, end = np.stack([radius * np.sin(angle), radius * np.cos(angle)], 1)
        curve = (1 - share) ** 2 * start + 2 * share * (1 - share) * middle + share**2 * end
        r = PAIRS[NAMES.index(first), NAMES.index(second)]
        away = np.linalg.norm(curve[:, None] - np.array(places["+" if r > 0 else "_"]), axis=2)
        assert away.min() < 1
        # neighbours are linked along the rim, on whichever side of the top they stand
        if (first, second) == (NAMES[0], NAMES[22]):
            assert np.linalg.norm(curve, axis=1).min() > 60


def test_signs_do_not_cover_each_other(full):
    signs = [line for line in full.axes[0].lines if line.get_gid() == "sign"]
    assert len(signs) == len(curves(full)) > 50
    angle, radius = np.array([line.get_data() for line in signs])[..., 0].T
    points = full.axes[0].transData.transform(np.stack([angle, radius], 1)) * 72 / full.dpi
    apart = np.linalg.norm(points[:, None] - points, axis=2) + 100 * np.eye(len(points))
    assert (apart.min(1) > 4.6).mean() > 0.95


def test_the_legend_names_groups_and_kinds_of_links(plot):
    written = [text.get_text() for text in plot.legends[0].get_texts()]
    assert written == [
        "Position",
        "Chemistry",
        "Particle structure",
        "Local morphology",
        "|r| from 0.3 to 1",
        "positive, not in the other",
        "positive, in both",
        "negative, not in the other",
        "negative, in both",
    ]
    alone = circular_plot(matrix(PAIRS), NAMES, threshold=0.5).legends[0].get_texts()
    assert [text.get_text() for text in alone] == ["|r| from 0.5 to 1", "positive", "negative"]


def test_nothing_of_matplotlib_is_left_changed(monkeypatch):
    import matplotlib as mpl
    from matplotlib import pyplot

    for module in [name for name in sys.modules if name.split(".")[0] == "pycirclize"]:
        monkeypatch.delitem(sys.modules, module)
    mpl.get_backend()  # is looked up when it is first asked for
    before, open_before = mpl.rcParams.copy(), pyplot.get_fignums()
    figure = circular_plot(matrix(PAIRS), NAMES)
    figure.savefig(io.BytesIO(), format="pdf")
    matrix_figure(matrix(PAIRS), NAMES).savefig(io.BytesIO(), format="svg")
    assert mpl.rcParams == before
    assert pyplot.get_fignums() == open_before


def test_the_heat_map_is_centred_on_nought_and_names_both_axes():
    values = matrix(PAIRS)
    figure = matrix_figure(values, NAMES, labels=LABELS)
    axes, bar = figure.axes
    image = axes.images[0]
    assert image.get_clim() == (-1, 1)
    assert to_hex(image.cmap(0.5)) == "#ffffff"
    assert to_hex(image.cmap(1.0)).upper() == POSITIVE
    np.testing.assert_array_equal(image.get_array(), values)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == list(LABELS.values())
    assert [len(each.get_offsets()) for each in axes.collections] == [4, 4]
    assert bar.get_ylabel() == "Pearson correlation"
    drawn = texts(figure)
    assert sum(ink(figure, text).astype(int) for text in drawn).max() == 1
    assert all(text.get_fontsize() >= 6 for text in drawn)
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(90)


def test_nonsense_is_refused_in_one_line():
    values = matrix(PAIRS)
    with pytest.raises(ValueError, match=r"22 names for a matrix of \(23, 23\)"):
        circular_plot(values, NAMES[:-1])
    with pytest.raises(ValueError, match="each once"):
        matrix_figure(values, [*NAMES[:-1], NAMES[0]])
    with pytest.raises(ValueError, match="no room for a circle in 40 mm"):
        circular_plot(values, NAMES, width_mm=40)
    with pytest.raises(KeyError, match="damage"):
        circular_plot(values, NAMES, labels={n: n for n in NAMES if n != "damage"})
    with pytest.raises(KeyError, match="damage"):
        circular_plot(values, NAMES, groups={n: "" for n in NAMES if n != "damage"})
