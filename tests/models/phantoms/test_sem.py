"""Synthetic micrographs: the stated truth is what the pixels hold."""

import dataclasses
from datetime import datetime

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

from models.measure.image_quality import image_quality
from models.phantoms.databar import (
    DATABAR_ROWS,
    DatabarText,
    draw_databar,
    length_label,
    scale_bar,
)
from models.phantoms.sem import Rendered, SemPhantom, render


def _content(rendered: Rendered) -> np.ndarray:
    return rendered.image[: rendered.content_rows]


def _mean_diameter_um(labels: np.ndarray, pixel_size_um: float) -> float:
    """Mean equivalent diameter of the grains that touch no border."""
    area = np.bincount(labels.ravel())
    area[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = 0
    area = area[1:][area[1:] > 0]
    return float((2 * np.sqrt(area / np.pi)).mean() * pixel_size_um)


@pytest.mark.parametrize("diameter_um", [1.2, 2.0, 4.0, 8.0, 16.0])
def test_grains_have_the_stated_mean_diameter(diameter_um: float) -> None:
    config = SemPhantom(seed=5, grain_diameter_um=diameter_um)
    rendered = render(config)
    measured = _mean_diameter_um(rendered.labels, config.pixel_size_um)
    assert measured == pytest.approx(diameter_um, rel=0.1)


def test_diameter_in_micrometres_does_not_depend_on_the_pixel_size() -> None:
    for pixel_size_um in (0.02, 0.16, 1.0):
        config = SemPhantom(grain_diameter_um=20 * pixel_size_um, pixel_size_um=pixel_size_um)
        measured = _mean_diameter_um(render(config).labels, pixel_size_um)
        assert measured == pytest.approx(20 * pixel_size_um, rel=0.1)


@pytest.mark.parametrize("brightness", [30, 60, 120, 180, 220])
@pytest.mark.parametrize("noise_std", [0, 20])
def test_content_has_the_stated_mean(brightness: float, noise_std: float) -> None:
    rendered = render(SemPhantom(brightness=brightness, noise_std=noise_std, roughness=1))
    assert _content(rendered).mean() == pytest.approx(brightness, abs=2)


@pytest.mark.parametrize("porosity", [0.0, 0.1, 0.3])
def test_pores_take_the_stated_share_and_leave_grains_their_size(porosity: float) -> None:
    configs = [SemPhantom(seed=seed, grain_diameter_um=2, porosity=porosity) for seed in range(3)]
    labels = [render(config).labels for config in configs]
    assert np.mean([found == 0 for found in labels]) == pytest.approx(porosity, abs=0.02)
    for found in labels:
        assert _mean_diameter_um(found, configs[0].pixel_size_um) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("porosity", [0.02, 0.3])
@pytest.mark.parametrize("contrast", [15.0, 40.0])
def test_content_has_the_stated_contrast(porosity: float, contrast: float) -> None:
    rendered = render(SemPhantom(contrast=contrast, porosity=porosity, brightness=110))
    assert _content(rendered).std() == pytest.approx(contrast, abs=0.03)
    assert _content(rendered).mean() == pytest.approx(110, abs=0.03)


def test_the_stated_noise_is_in_the_image() -> None:
    for noise_std in (4.0, 8.0, 16.0):
        config = SemPhantom(noise_std=noise_std, grain_diameter_um=8, roughness=0)
        assert image_quality(_content(render(config))).noise_std == pytest.approx(
            noise_std, rel=0.1
        )


@given(
    seed=st.integers(0, 2**63),
    diameter_px=st.floats(6, 32),
    shape=st.tuples(st.integers(128, 200), st.integers(128, 200)),
)
@settings(max_examples=25, deadline=None)
def test_every_label_is_one_grain_and_none_is_skipped(
    seed: int, diameter_px: float, shape: tuple[int, int]
) -> None:
    config = SemPhantom(
        seed=seed, grain_diameter_um=diameter_px, pixel_size_um=1, shape_px=shape, databar=False
    )
    labels = render(config).labels
    assert labels.dtype == np.int32
    assert labels.shape == shape
    np.testing.assert_array_equal(np.unique(labels[labels > 0]), np.arange(1, labels.max() + 1))
    assert label(labels, background=0, connectivity=1).max() == labels.max()
    assert (labels == 0).mean() < 0.25


def test_the_same_configuration_gives_the_same_bytes_on_any_number_of_threads() -> None:
    config = SemPhantom(seed=11)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = render(config)
        cv2.setNumThreads(2)
        two = render(config)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.labels, two.labels)
    other = render(dataclasses.replace(config, seed=12))
    assert (other.image != one.image).mean() > 0.5


def test_brightness_noise_and_databar_do_not_move_the_grains() -> None:
    config = SemPhantom(seed=2)
    varied = dataclasses.replace(config, brightness=160, noise_std=0, roughness=1, databar=False)
    np.testing.assert_array_equal(render(config).labels, render(varied).labels)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("diameter_um", [2.0, 8.0])
def test_rougher_is_sharper(seed: int, diameter_um: float) -> None:
    series = [
        image_quality(
            _content(
                render(SemPhantom(seed=seed, grain_diameter_um=diameter_um, roughness=roughness))
            )
        )
        for roughness in (0.0, 0.3, 0.6, 1.0)
    ]
    for name in ("sharpness_laplacian", "sharpness_tenengrad"):
        values = [getattr(quality, name) for quality in series]
        assert values == sorted(values)
        assert len(set(values)) == len(values)


def test_bigger_grains_are_fewer() -> None:
    counts = [render(SemPhantom(grain_diameter_um=d)).labels.max() for d in (2, 3, 4, 6, 8)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] / counts[2] == pytest.approx(4, rel=0.1)


def test_pores_are_darker_than_grains() -> None:
    rendered = render(SemPhantom(grain_diameter_um=8))
    content, pore = _content(rendered), rendered.labels == 0
    assert content[pore].mean() < content[~pore].mean() - 40


def test_databar_is_64_black_rows_with_a_bar_of_the_stated_length() -> None:
    rendered = render(SemPhantom())
    assert rendered.image.shape == (512 + DATABAR_ROWS, 768)
    assert rendered.content_rows == 512
    strip = rendered.image[512:]
    assert (strip == 0).mean() > 0.8
    assert (strip[[0, -1]] == 0).all()
    right_of_text = strip[:, 500:]
    white = np.flatnonzero((right_of_text[12:22] == 255).all(axis=0))
    assert len(white) == rendered.scale_bar_px == np.ptp(white) + 1
    assert (right_of_text[[11, 22]] == 0).all()
    assert (rendered.scale_bar_px, rendered.scale_bar_um) == (121, 20)


def test_without_databar_there_is_content_only() -> None:
    rendered = render(SemPhantom(databar=False))
    assert rendered.image.shape == rendered.labels.shape == (512, 768)
    assert rendered.scale_bar_px is None
    assert rendered.scale_bar_um is None


@given(st.floats(1e-4, 100))
def test_scale_bar_is_a_round_length_of_readable_size(pixel_size_um: float) -> None:
    length_px, length_um = scale_bar(pixel_size_um)
    assert 100 <= length_px <= 300
    assert length_um / pixel_size_um == pytest.approx(length_px, abs=0.5)
    mantissa = f"{length_um:e}".split("e")[0]
    assert float(mantissa) in (1, 2, 5)


@pytest.mark.parametrize(
    ("length_um", "words"),
    [(0.05, "50 nm"), (0.5, "500 nm"), (1, "1 um"), (20, "20 um"), (500, "500 um"), (1000, "1 mm")],
)
def test_length_labels(length_um: float, words: str) -> None:
    assert length_label(length_um) == words


def test_texts_of_the_narrowest_databar_do_not_reach_the_longest_bar() -> None:
    text = DatabarText("0.75 kV", "x150000", "2026.12.28 20:48", "WD 12.5mm")
    strip = draw_databar(720, text, bar_px=300, bar_um=500)
    gap = strip[:, 720 - 16 - 300 - 6 : 720 - 16 - 300]
    assert (gap == 0).all()


def test_magnification_follows_from_the_pixel_size() -> None:
    assert SemPhantom().magnification == 1000
    assert SemPhantom(pixel_size_um=0.25, grain_diameter_um=8).magnification == 661


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roughness": 1.5}, "roughness"),
        ({"brightness": 5}, "brightness"),
        ({"brightness": float("nan")}, "brightness"),
        ({"pixel_size_um": 0}, "pixel_size_um"),
        ({"noise_std": -1}, "noise_std"),
        ({"porosity": 0.6}, "porosity"),
        ({"contrast": 2}, "contrast"),
        ({"contrast": 60, "brightness": 100}, "at most 50 at a brightness of 100"),
        ({"contrast": 8, "noise_std": 7}, "noise_std must be at most 0.7"),
        ({"kv": 0}, "kv"),
        ({"seed": -1}, "seed"),
        ({"shape_px": (40, 768)}, "64 a side"),
        ({"shape_px": (512, 600)}, "width of 720 px"),
        ({"grain_diameter_um": 0.5}, "grains of 0.5 µm are 3.0 px"),
        ({"grain_diameter_um": 50}, "grains of 50 µm"),
    ],
)
def test_what_cannot_be_rendered_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SemPhantom(**changes)


def test_acquisition_time_is_printed_to_the_minute_only() -> None:
    first = render(SemPhantom(acquired_at=datetime(2026, 3, 2, 10, 15, 1)))
    second = render(SemPhantom(acquired_at=datetime(2026, 3, 2, 10, 15, 59)))
    np.testing.assert_array_equal(first.image, second.image)
