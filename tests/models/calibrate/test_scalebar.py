"""A scale bar of known length is measured to the pixel, however it is drawn."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from models.calibrate.databar import Box, find_content_box
from models.calibrate.scalebar import BarKind, find_scale_bar

ROWS, COLUMNS = 64, 1024
DATABAR = Box(0, 0, ROWS, COLUMNS)
COLOURS = st.sampled_from([(0, 255), (255, 0), (40, 230), (210, 15)])


def canvas(ground, ink, columns=COLUMNS):
    image = Image.new("L", (columns, ROWS), ground)
    font = ImageFont.load_default(size=20)
    draw = ImageDraw.Draw(image)
    for x, y, text in [(10, 4, "15 kV"), (120, 4, "x1000"), (10, 34, "2026.03.02 10:15")]:
        draw.text((x, y), text, fill=ink, font=font)
    return np.array(image)


@settings(deadline=None, max_examples=40)
@given(
    colours=COLOURS,
    length=st.integers(40, 400),
    left=st.integers(300, 600),
    top=st.integers(2, 50),
    thick=st.integers(1, 9),
)
def test_solid_bar(colours, length, left, top, thick):
    strip = canvas(*colours)
    strip[top : top + thick, left : left + length] = colours[1]
    bar = find_scale_bar(strip, DATABAR)
    assert bar is not None
    assert bar.length_px == pytest.approx(length, abs=0.01)
    assert bar.kind is BarKind.SOLID
    assert bar.uncertainty_px == 1
    assert bar.box == Box(top, left, top + thick, left + length)


@settings(deadline=None, max_examples=40)
@given(
    colours=COLOURS,
    length=st.integers(60, 400),
    left=st.integers(300, 600),
    thick=st.integers(1, 4),
    tick=st.integers(1, 6),
)
def test_line_with_end_ticks_lies_between_outer_and_middle(colours, length, left, thick, tick):
    """`length` is between the middles of the ticks, so the outer edges are one tick further."""
    strip = canvas(*colours)
    outer = length + tick
    strip[30 : 30 + thick, left : left + outer] = colours[1]
    strip[22 : 40 + thick, left : left + tick] = colours[1]
    strip[22 : 40 + thick, left + outer - tick : left + outer] = colours[1]
    bar = find_scale_bar(strip, DATABAR)
    assert bar is not None
    assert bar.kind is BarKind.TICKED
    assert bar.length_px == pytest.approx(length + tick / 2, abs=0.01)
    assert abs(bar.length_px - length) <= bar.uncertainty_px + 0.01
    assert bar.uncertainty_px == max(1, tick / 2)


@settings(deadline=None, max_examples=30)
@given(colours=COLOURS, step=st.integers(8, 40), left=st.integers(300, 600), tick=st.integers(1, 4))
def test_ruler_of_ten_steps(colours, step, left, tick):
    strip = canvas(*colours)
    strip[20:23, left : left + 10 * step + tick] = colours[1]
    for k in range(11):
        strip[23 : 32 if k % 5 == 0 else 28, left + k * step : left + k * step + tick] = colours[1]
    bar = find_scale_bar(strip, DATABAR)
    assert bar is not None
    assert abs(bar.length_px - 10 * step) <= bar.uncertainty_px + 0.01
    assert bar.uncertainty_px <= 2


@settings(deadline=None, max_examples=30)
@given(
    colours=COLOURS, step=st.integers(12, 40), left=st.integers(300, 600), tick=st.integers(1, 3)
)
def test_row_of_ticks_without_a_line(colours, step, left, tick):
    strip = canvas(*colours)
    for k in range(11):
        top = 4 if k % 5 == 0 else 8
        strip[top:18, left + k * step : left + k * step + tick] = colours[1]
    bar = find_scale_bar(strip, DATABAR)
    assert bar is not None
    assert bar.kind is BarKind.TICKS
    assert bar.length_px == pytest.approx(10 * step, abs=0.01)


@settings(deadline=None, max_examples=20)
@given(colours=COLOURS, half=st.integers(50, 140), left=st.integers(300, 500))
def test_line_broken_by_its_label(colours, half, left):
    strip = canvas(*colours)
    gap = 70
    for start in (left, left + half + gap):
        strip[20:22, start : start + half] = colours[1]
    image = Image.fromarray(strip)
    ImageDraw.Draw(image).text(
        (left + half + 8, 10), "5 um", fill=colours[1], font=ImageFont.load_default(size=20)
    )
    bar = find_scale_bar(np.asarray(image), DATABAR)
    assert bar is not None
    assert bar.kind is BarKind.BROKEN
    assert bar.length_px == 2 * half + gap


@pytest.mark.parametrize("columns", [640, 645, 768, 1280, 2048])
def test_box_is_exact_at_every_image_width(columns):
    strip = canvas(0, 255, columns)
    strip[20:25, 350:470] = 255
    bar = find_scale_bar(strip, Box(0, 0, ROWS, columns))
    assert bar is not None
    assert (bar.box, bar.length_px) == (Box(20, 350, 25, 470), 120)


@settings(deadline=None, max_examples=30)
@given(length=st.floats(50, 300), left=st.floats(300, 500))
def test_edges_between_pixels_are_measured(length, left):
    """A bar drawn with antialiased ends: the partly covered pixels count in proportion."""
    columns = np.arange(COLUMNS)
    cover = np.clip(np.minimum(columns + 1, left + length) - np.maximum(columns, left), 0, 1)
    strip = canvas(0, 255)
    strip[20:28] = np.rint(255 * cover).astype(np.uint8)
    bar = find_scale_bar(strip, DATABAR)
    assert bar is not None
    assert bar.length_px == pytest.approx(length, abs=0.02)


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_blur_changes_the_length_by_less_than_a_pixel(sigma):
    strip = canvas(0, 255)
    strip[20:30, 400:600] = 255
    bar = find_scale_bar(cv2.GaussianBlur(strip, (0, 0), sigma), DATABAR)
    assert bar is not None
    assert bar.length_px == pytest.approx(200, abs=1)


def test_table_and_frame_lines_are_not_bars():
    strip = canvas(0, 255)
    strip[[0, 63]] = 255
    strip[32, 300:700] = 255
    strip[:, [0, 300, 699, 1023]] = 255
    assert find_scale_bar(strip, DATABAR) is None


def test_text_alone_and_blank_strips_have_no_bar():
    assert find_scale_bar(canvas(0, 255), DATABAR) is None
    assert find_scale_bar(np.full((64, 640), 128, np.uint8), Box(0, 0, 64, 640)) is None


def test_without_databar_and_label_nothing_is_guessed():
    image = np.full((200, 300), 100, np.uint8)
    image[150:156, 50:150] = 255
    assert find_scale_bar(image, None) is None


@pytest.mark.parametrize("ink", [0, 255])
def test_overlaid_bar_beside_its_label(ink):
    image = np.random.default_rng(1).normal(120, 12, (400, 500)).clip(60, 190).astype(np.uint8)
    image[300:306, 50:150] = ink
    label = Box(310, 70, 330, 130)
    bar = find_scale_bar(image, None, label)
    assert bar is not None
    assert bar.length_px == pytest.approx(100, abs=1)
    image[335:341, 40:160] = ink
    assert find_scale_bar(image, None, label) is None, "two candidates are ambiguous"
    assert find_scale_bar(image, None, Box(20, 350, 40, 410)) is None


@pytest.mark.real_data
def test_length_of_every_real_bar(real_data):
    """The SEC ruler is ambiguous between 371 px (middles of its ticks) and 378 px (outer edges)."""
    sec = sorted(real_data.glob("ncm622_cycled_sem/*.jpg"))
    jeol = sorted(real_data.glob("llzto_llto_sem/LL*/*/*"))
    assert (len(sec), len(jeol)) == (51, 67)
    for path, length, uncertainty in [(p, 375, 3.5) for p in sec] + [(p, 267, 1.0) for p in jeol]:
        image = np.asarray(Image.open(path).convert("L"))
        bar = find_scale_bar(image, find_content_box(image).databar)
        assert bar is not None, path.name
        assert bar.length_px == pytest.approx(length, abs=1), path.name
        assert 1 <= bar.uncertainty_px <= uncertainty, path.name
