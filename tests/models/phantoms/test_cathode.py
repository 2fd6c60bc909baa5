"""Synthetic micrographs of cathodes: the stated truth is what the pixels hold."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.measure.image_quality import image_quality
from models.phantoms.cathode import RenderedCathode, render_cathode
from models.phantoms.cathode_config import CathodePhantom
from models.phantoms.databar import DATABAR_ROWS
from models.phantoms.sidecar import sidecar_text

SMALL = CathodePhantom(seed=1, shape_px=(288, 360), databar=False)
CYCLED = dataclasses.replace(
    SMALL, crack_share=0.8, broken_share=0.2, binder_share=0.1, debris_share=0.06
)


@pytest.fixture(scope="module")
def pristine() -> RenderedCathode:
    return render_cathode(SMALL)


@pytest.fixture(scope="module")
def cycled() -> RenderedCathode:
    return render_cathode(CYCLED)


@pytest.mark.parametrize("diameter_um", [5.0, 9.0, 14.0])
def test_the_particles_that_are_seen_have_the_stated_sizes(diameter_um: float) -> None:
    config = dataclasses.replace(
        SMALL, diameter_um=diameter_um, pixel_size_um=diameter_um / 22, binder_share=0.05
    )
    truth = render_cathode(config).truth
    assert np.median(truth["diameter_um"]) == pytest.approx(diameter_um, rel=0.08)
    assert np.log(truth["diameter_um"]).std() == pytest.approx(0.25, rel=0.2)


@pytest.mark.parametrize("pixel_size_um", [0.35, 0.18])
def test_labels_of_whole_particles_measure_their_diameter(pixel_size_um: float) -> None:
    config = dataclasses.replace(SMALL, pixel_size_um=pixel_size_um, binder_share=0.05)
    rendered = render_cathode(config)
    truth = rendered.truth
    whole = (truth["visible_fraction"] > 0.97) & ~truth["touches_border"]
    counted = np.bincount(rendered.labels.ravel())[1:][whole]
    measured = 2 * np.sqrt(counted / np.pi) * pixel_size_um
    assert whole.sum() >= 8
    assert np.mean(measured / truth["diameter_um"][whole]) == pytest.approx(1, abs=0.04)


def test_labels_are_numbered_without_gaps_and_counted(cycled: RenderedCathode) -> None:
    labels, truth = cycled.labels, cycled.truth
    assert labels.dtype == np.int32
    assert labels.shape == cycled.cracks.shape == cycled.image.shape == (288, 360)
    np.testing.assert_array_equal(np.unique(labels[labels > 0]), truth["label"])
    np.testing.assert_array_equal(np.bincount(labels.ravel())[1:], truth["area_px2"])
    assert {len(column) for column in truth.values()} == {len(truth["label"])}
    assert truth["broken"].any()
    assert truth["cracked"][truth["broken"]].all()


def test_centres_lie_in_their_particles(pristine: RenderedCathode) -> None:
    truth = pristine.truth
    clear = (truth["visible_fraction"] > 0.95) & ~truth["touches_border"]
    y, x = (np.rint(truth[name][clear]).astype(int) for name in ("y_px", "x_px"))
    np.testing.assert_array_equal(pristine.labels[y, x], truth["label"][clear])


def test_particles_lie_over_each_other(pristine: RenderedCathode) -> None:
    hidden = 1 - pristine.truth["visible_fraction"][~pristine.truth["touches_border"]]
    assert np.mean(hidden > 0.2) > 0.2
    assert np.mean(hidden < 0.05) > 0.1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_stated_share_of_particles_is_cracked(share: float) -> None:
    found = render_cathode(dataclasses.replace(SMALL, diameter_um=5, crack_share=share)).truth
    n = len(found["cracked"])
    assert n > 400
    assert found["cracked"].mean() == pytest.approx(share, abs=3 * (share * (1 - share) / n) ** 0.5)


def test_cracks_are_dark_lines_on_cracked_particles_only(cycled: RenderedCathode) -> None:
    cracked = np.isin(cycled.labels, cycled.truth["label"][cycled.truth["cracked"]])
    assert cycled.cracks.any()
    assert cracked[cycled.cracks].all()
    beside = cracked & ~cycled.cracks
    assert cycled.image[cycled.cracks].mean() < cycled.image[beside].mean() - SMALL.contrast


def test_more_and_wider_cracks_cover_more(pristine: RenderedCathode) -> None:
    assert not pristine.cracks.any()
    covered = [
        render_cathode(
            dataclasses.replace(SMALL, pixel_size_um=0.2, crack_share=share, crack_width_um=width)
        ).cracks.mean()
        for share, width in ((0.3, 0.4), (0.8, 0.4), (0.8, 0.7))
    ]
    assert covered[1] == pytest.approx(covered[0] * 8 / 3, rel=0.4)
    assert covered[2] > 1.3 * covered[1]


def test_damage_brightness_and_noise_do_not_move_particles(pristine: RenderedCathode) -> None:
    whole = dataclasses.replace(
        SMALL, crack_share=0.5, brightness=150, contrast=20, noise_std=0, kv=30
    )
    other = render_cathode(whole)
    assert (other.labels == pristine.labels).mean() > 0.99  # what is deep in a crack
    assert set(other.truth["diameter_um"]) & set(pristine.truth["diameter_um"])


def test_binder_covers_the_stated_share() -> None:
    for share in (0.1, 0.3, 0.6):
        labels = render_cathode(dataclasses.replace(SMALL, binder_share=share)).labels
        # gaps down to the floor have no label either, where binder does not fill them
        assert (labels == 0).mean() == pytest.approx(share, abs=0.03)


def test_debris_covers_about_the_stated_share() -> None:
    bare = dataclasses.replace(SMALL, binder_share=0.2)
    for share in (0.05, 0.2):
        made = render_cathode(dataclasses.replace(bare, debris_share=share))
        assert 1 - (made.labels > 0).mean() / 0.8 == pytest.approx(share, rel=0.5)


def test_a_trace_of_debris_too_small_for_a_fragment_changes_nothing(
    pristine: RenderedCathode,
) -> None:
    trace = render_cathode(dataclasses.replace(SMALL, debris_share=1e-9))
    np.testing.assert_array_equal(trace.image, pristine.image)


@given(
    seed=st.integers(0, 2**62),
    brightness=st.floats(40, 215),
    share=st.floats(0.25, 1),
    noise=st.floats(0, 0.7),
    damage=st.floats(0, 1),
)
@settings(max_examples=12, deadline=None)
def test_mean_and_spread_of_the_pixels_are_exactly_the_stated_ones(
    seed: int, brightness: float, share: float, noise: float, damage: float
) -> None:
    contrast = min(share * min(brightness, 255 - brightness) / 2, 80)
    config = CathodePhantom(
        seed=seed,
        shape_px=(128, 160),
        brightness=brightness,
        contrast=contrast,
        noise_std=min(noise * contrast, 40),
        crack_share=damage,
        debris_share=0.2 * damage,
        databar=False,
    )
    content = render_cathode(config).image
    assert content.mean() == pytest.approx(brightness, abs=0.03)
    assert content.std() == pytest.approx(contrast, abs=0.03)


def test_the_stated_noise_is_in_the_image() -> None:
    plain = dataclasses.replace(
        SMALL, diameter_um=40, primary_grain_um=5, roughness=0, diameter_spread=0, binder_share=0
    )
    for noise_std in (4.0, 8.0, 16.0):
        content = render_cathode(dataclasses.replace(plain, noise_std=noise_std)).image
        assert image_quality(content).noise_std == pytest.approx(noise_std, rel=0.15)


@pytest.mark.parametrize("seed", [0, 1])
def test_rougher_is_sharper_and_a_higher_voltage_is_not(seed: int) -> None:
    def sharpness(**changes: float) -> float:
        config = dataclasses.replace(SMALL, seed=seed, pixel_size_um=0.1, noise_std=0, **changes)
        return image_quality(render_cathode(config).image).sharpness_laplacian

    series = [sharpness(roughness=roughness) for roughness in (0.0, 0.5, 1.0)]
    assert series == sorted(series)
    assert sharpness(kv=30.0) < sharpness(kv=5.0)


def test_the_same_configuration_gives_the_same_bytes_on_any_number_of_threads(
    cycled: RenderedCathode,
) -> None:
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = render_cathode(CYCLED)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(one.image, cycled.image)
    np.testing.assert_array_equal(one.labels, cycled.labels)
    other = render_cathode(dataclasses.replace(CYCLED, seed=2))
    assert (other.image != cycled.image).mean() > 0.5


def test_databar_and_sidecar_tell_how_the_image_was_taken() -> None:
    config = CathodePhantom(shape_px=(96, 720), kv=15)
    rendered = render_cathode(config)
    assert rendered.image.shape == (96 + DATABAR_ROWS, 720)
    assert rendered.content_rows == 96
    white = (rendered.image[96:, 400:][12:22] == 255).all(axis=0)
    assert white.sum() == rendered.scale_bar_px
    assert rendered.scale_bar_um == 100
    assert config.magnification == 500
    text = sidecar_text(config, "field_1.png")  # type: ignore[arg-type]
    assert "Magnification : x500" in text
    assert "Acceleated Voltage :  15 kV" in text
    assert "Pixel Size : 0.352778" in text


def test_without_databar_there_is_content_only(pristine: RenderedCathode) -> None:
    assert pristine.image.shape == pristine.labels.shape == (288, 360)
    assert pristine.scale_bar_px is None
    assert pristine.scale_bar_um is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roughness": 1.5}, "roughness"),
        ({"crack_share": -0.1}, "crack_share"),
        ({"binder_share": 0.9}, "binder_share"),
        ({"brightness": float("nan")}, "brightness"),
        ({"diameter_spread": 1}, "diameter_spread"),
        ({"kv": 0}, "kv"),
        ({"seed": -1}, "seed"),
        ({"shape_px": (40, 768)}, "64 a side"),
        ({"shape_px": (448, 640)}, "width of 720 px"),
        ({"diameter_um": 2}, "particles of 2 µm are 5.7 px"),
        ({"diameter_um": 100}, "particles of 100 µm"),
        ({"brightness": 60, "contrast": 40}, "contrast must be at most 30"),
        ({"contrast": 10, "noise_std": 8}, "noise_std must be at most 0.7"),
    ],
)
def test_what_cannot_be_rendered_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CathodePhantom(**changes)
