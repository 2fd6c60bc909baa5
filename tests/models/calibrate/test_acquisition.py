"""Whole images, synthetic and real: what is printed on them is read, and nothing is guessed."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from models.calibrate.acquisition import read_acquisition, scale_bar_reading
from models.calibrate.databar import Box
from models.calibrate.databar_text import LengthLabel
from models.calibrate.ocr import TextBox, read_text
from models.calibrate.readings import Quantity, Source
from models.calibrate.scalebar import BarKind, ScaleBar
from models.phantoms.sem import SemPhantom, render

KV = Quantity.ACCELERATING_VOLTAGE_KV
PIXEL = Quantity.PIXEL_SIZE_UM


def values(acquisition):
    return {reading.quantity: reading.value for reading in acquisition.readings}


def load(path):
    return np.asarray(Image.open(path).convert("L"))


def specimen(rows=512, columns=768, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(120, 20, (rows, columns)).clip(10, 230).astype(np.uint8)


def with_strip(*, ground=0, ink=255, label="20 um", bar_px=150):
    strip = Image.new("L", (768, 64), ground)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=20)
    for x, y, text in [(16, 4, "JEOL"), (130, 4, "15 kV"), (260, 4, "BSE"), (16, 34, "x1,000")]:
        draw.text((x, y), text, fill=ink, font=font)
    draw.text((130, 34), "WD 8.5mm", fill=ink, font=font)
    draw.text((260, 34), "3/4/2021", fill=ink, font=font)
    draw.text((380, 34), "10:15:07", fill=ink, font=font)
    draw.text((600, 34), label, fill=ink, font=font)
    draw.rectangle((550, 12, 550 + bar_px - 1, 21), fill=ink)
    return np.vstack([specimen(), np.asarray(strip)])


@pytest.mark.parametrize(("ground", "ink"), [(0, 255), (255, 0)])
def test_drawn_strip_is_read_whole(ground, ink):
    acquisition = read_acquisition(with_strip(ground=ground, ink=ink))
    assert acquisition.content_box.databar == Box(512, 0, 576, 768)
    assert acquisition.findings == ()
    assert values(acquisition) == {
        KV: 15.0,
        Quantity.MAGNIFICATION: 1000.0,
        Quantity.WORKING_DISTANCE_MM: 8.5,
        Quantity.ACQUIRED_AT: datetime(2021, 3, 4, 10, 15, 7),
        Quantity.INSTRUMENT: "JEOL",
        Quantity.DETECTOR: "BSE",
        PIXEL: pytest.approx(20 / 150),
    }


@pytest.mark.parametrize(("label", "words"), [("", "no label"), ("20 mm", "misread")])
def test_bar_without_a_credible_label_gives_no_pixel_size(label, words):
    acquisition = read_acquisition(with_strip(label=label))
    assert PIXEL not in values(acquisition)
    assert acquisition.scale_bar is not None
    (finding,) = acquisition.findings
    assert finding.kind == "scale_bar_unreadable"
    assert words in finding.detail


def test_blanked_strip_is_cropped_and_says_nothing():
    image = with_strip()
    image[512:] = 77
    acquisition = read_acquisition(image)
    assert acquisition.content_box.y1 == 512
    assert (acquisition.scale_bar, acquisition.readings, acquisition.findings) == (None, (), ())


def test_overlaid_bar_is_read_only_when_asked_for():
    image = Image.fromarray(specimen())
    draw = ImageDraw.Draw(image)
    draw.rectangle((560, 470, 559 + 120, 477), fill=255)
    draw.text((585, 430), "500 nm", fill=255, font=ImageFont.load_default(size=28))
    grey = np.asarray(image)
    assert read_acquisition(grey).readings == ()
    (reading,) = read_acquisition(grey, overlay=True).readings
    assert reading.quantity is PIXEL
    assert reading.value == pytest.approx(0.5 / 120, rel=0.01)


def test_specimen_without_any_text_has_no_readings():
    acquisition = read_acquisition(specimen(), overlay=True)
    assert acquisition.readings == ()
    assert acquisition.content_box.databar is None


def test_pixel_size_and_its_uncertainty():
    bar = ScaleBar(375.0, 3.0, Box(0, 0, 3, 375), BarKind.TICKED)
    label = LengthLabel(100.0, TextBox("100 um", 0.9, Box(10, 0, 20, 60)))
    reading = scale_bar_reading(bar, label)
    assert reading.source is Source.SCALE_BAR
    assert reading.value == pytest.approx(100 / 375)
    assert reading.uncertainty == pytest.approx(100 / 375 * 3 / 375)
    assert reading.confidence == 0.9
    assert reading.detail == "bar 375 px = 100 µm"


def test_text_reading_is_safe_in_threads_and_checks_its_input():
    strip = with_strip()[512:]
    alone = read_text(strip)
    with ThreadPoolExecutor(4) as pool:
        assert all(texts == alone for texts in pool.map(read_text, [strip] * 4))
    assert read_text(np.zeros((64, 640), np.uint8)) == []
    assert read_text(np.zeros((0, 640), np.uint8)) == []
    with pytest.raises(ValueError, match="thread"):
        read_text(strip, threads=0)
    with pytest.raises(ValueError, match="uint8"):
        read_text(strip.astype(float))


def test_the_detector_sees_what_onnx_runtime_sees():
    import onnxruntime
    import rapidocr

    from models.calibrate.text_detector import TextDetector
    from models.encode.openvino_runtime import core

    (path,) = (Path(rapidocr.__file__).parent / "models").glob("*_det_*.onnx")
    strip = cv2.resize(with_strip()[512:], (960, 96)).astype(np.float32) / 127.5 - 1
    images = np.repeat(strip[None, None], 3, axis=1)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: images})
    found = TextDetector(core().read_model(path), threads=1)(images)
    assert expected.max() > 0.9 and expected.min() < 0.01
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize(
    "phantom",
    [
        SemPhantom(),
        SemPhantom(seed=1, kv=1.5, working_distance_mm=12.5, brightness=30, noise_std=0),
        SemPhantom(
            seed=2,
            pixel_size_um=0.02,
            grain_diameter_um=0.6,
            kv=30,
            brightness=200,
            acquired_at=datetime(2024, 1, 9, 7, 5),
        ),
        SemPhantom(seed=3, pixel_size_um=0.0033, grain_diameter_um=0.1, roughness=1.0),
    ],
)
def test_phantom_micrograph_is_read_whole(phantom):
    rendered = render(phantom)
    acquisition = read_acquisition(rendered.image)
    assert acquisition.content_box.y1 == rendered.content_rows
    assert acquisition.scale_bar is not None
    assert acquisition.scale_bar.length_px == rendered.scale_bar_px
    assert values(acquisition) == {
        KV: phantom.kv,
        Quantity.MAGNIFICATION: phantom.magnification,
        Quantity.WORKING_DISTANCE_MM: phantom.working_distance_mm,
        Quantity.ACQUIRED_AT: phantom.acquired_at,
        Quantity.INSTRUMENT: "GRAINDEX",
        Quantity.DETECTOR: "SE",
        PIXEL: pytest.approx(phantom.pixel_size_um, rel=0.01),
    }


def check_sec(path):
    """Against the sidecar: equal voltage, magnification and distance; the time within 2 min."""
    sidecar = path.with_name(path.name + ".txt").read_text(encoding="utf-8-sig")

    def field(pattern):
        return re.search(pattern, sidecar, re.MULTILINE)[1]

    read = values(read_acquisition(load(path)))
    assert read[PIXEL] == pytest.approx(100 / 375, rel=0.02), path.name
    assert read[KV] == float(field(r"^Acceleated Voltage :\s*([\d.]+)")), path.name
    assert read[Quantity.MAGNIFICATION] == float(field(r"^Magnification : x([\d.]+)")), path.name
    assert read[Quantity.WORKING_DISTANCE_MM] == float(field(r"^Working Distance : ([\d.]+)mm"))
    day, time = field(r"^Date : (\S+)"), field(r"^Time : (\d+:\d+:\d+)")
    taken = datetime.fromisoformat(f"{day} {time}")
    delay = taken - read[Quantity.ACQUIRED_AT]
    assert timedelta(0) <= delay <= timedelta(seconds=120), path.name
    assert read[Quantity.DETECTOR] == "SE"


def check_jeol(path):
    read = values(read_acquisition(load(path)))
    assert read[PIXEL] == pytest.approx(100 / 267, rel=0.02), path.name
    assert read[Quantity.MAGNIFICATION] == 250, path.name
    assert read[KV] in (1.0, 5.0), path.name
    assert 6.5 <= read[Quantity.WORKING_DISTANCE_MM] <= 10.1, path.name
    assert read[Quantity.ACQUIRED_AT].year in (2021, 2022), path.name
    assert (read[Quantity.INSTRUMENT], read[Quantity.DETECTOR]) == ("JEOL", "LED"), path.name


@pytest.mark.real_data
def test_sample_of_real_databars(real_data):
    for path in sorted(real_data.glob("ncm622_cycled_sem/*.jpg"))[::13]:
        check_sec(path)
    for path in sorted(real_data.glob("llzto_llto_sem/LL*/*/*"))[::17]:
        check_jeol(path)


# Printed on the published figure: kV, magnification, working distance, µm of the bar.
FIGURES = {
    "1b3c6536a3": (20.0, 3000, 7.5, 10),
    "2e4a3ab627": (4.0, 25_000, 3.1, 1),
    "37ce835fb2": (9.52, 8920, 7.5, 2),
    "4628753cd8": (20.0, 100_060, 10.0, 0.1),
    "a1dada3898": (3.0, 3000, None, 10),
    "a4027c076c": (20.0, 10_080, 10.0, 1),
}


@pytest.mark.real_data
def test_strips_of_other_makers(real_data):
    for name, (kv, magnification, distance, length_um) in FIGURES.items():
        acquisition = read_acquisition(load(real_data / "emps" / "images" / f"{name}.png"))
        read = values(acquisition)
        assert read[KV] == kv, name
        assert read[Quantity.MAGNIFICATION] == magnification, name
        assert read.get(Quantity.WORKING_DISTANCE_MM) == distance, name
        assert read[PIXEL] * acquisition.scale_bar.length_px == pytest.approx(length_um), name


@pytest.mark.slow
@pytest.mark.real_data
def test_every_real_databar(real_data):
    sec = sorted(real_data.glob("ncm622_cycled_sem/*.jpg"))
    jeol = sorted(real_data.glob("llzto_llto_sem/LL*/*/*"))
    assert (len(sec), len(jeol)) == (51, 67)
    for path in sec:
        check_sec(path)
    for path in jeol:
        check_jeol(path)
