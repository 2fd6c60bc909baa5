"""What instruments print is parsed; what is ambiguous or impossible gives no reading."""

from datetime import datetime

import pytest

from models.calibrate.databar import Box
from models.calibrate.databar_text import parse_databar, parse_length_labels
from models.calibrate.ocr import TextBox
from models.calibrate.readings import Quantity, Source

NOW = datetime(2026, 11, 21)
MAGNIFICATION = Quantity.MAGNIFICATION
KV = Quantity.ACCELERATING_VOLTAGE_KV
DISTANCE = Quantity.WORKING_DISTANCE_MM
ACQUIRED = Quantity.ACQUIRED_AT


def piece(text, x=0, y=0, confidence=0.95):
    return TextBox(text, confidence, Box(y, x, y + 20, x + 10 * len(text)))


def read(*texts):
    """Texts in one row, from left to right."""
    pieces = [piece(text, x=300 * i) for i, text in enumerate(texts)]
    return {r.quantity: r.value for r in parse_databar(pieces, now=NOW)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x500", 500),
        ("X250", 250),
        ("×1000", 1000),
        ("X 100,000", 100_000),
        ("1,000X", 1000),
        ("15 000 x", 15_000),
        ("10.0kX", 10_000),
        ("x3.00k SE(M)", 3000),
        ("x40.0kSE(L)", 40_000),
        ("Mag = 5.00 K X", 5000),
        ("Mag=100.06KX", 100_060),
        ("Mag = 163 X", 163),
        ("SEX1000", 1000),
        ("0.0°5.0mm700000x15.00kV592nm", 700_000),
        ("9.2mmX220LM(L)", 220),
        ("x 5,000,000", 5e6),
    ],
)
def test_magnification(text, value):
    assert read(text)[MAGNIFICATION] == value


@pytest.mark.parametrize(
    "text",
    [
        "x4",
        "x9,000,000",
        "P:50.080x",
        "MAX500",
        "1280x960",
        "x15.00kV",
        "x 20 kV",
        "ax500",
        "x500 X250",
    ],
)
def test_no_magnification(text):
    assert MAGNIFICATION not in read(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20 kV", 20),
        ("20kV", 20),
        ("5.0kv", 5),
        ("1.O0kV", 1),
        ("15.OkV", 15),
        ("2OkV", 20),
        ("EHT = 5.00 kV", 5),
        ("HV: 10 kV", 10),
        ("EHT = 500 V", 0.5),
        ("0,80 kV", 0.8),
        ("1.00kV LED", 1),
        ("S4800 3.0kV", 3),
        ("Acc.V 30 kV Spot 4", 30),
        ("200 kV", 200),
    ],
)
def test_accelerating_voltage(text, value):
    assert read(text)[KV] == pytest.approx(value)


@pytest.mark.parametrize("text", ["0.01 kV", "401kV", "SU80105.0kV", "kV", "5 kV 10 kV", "5.0.1kV"])
def test_no_accelerating_voltage(text):
    assert KV not in read(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("WD 5mm", 5),
        ("WD5mm", 5),
        ("WD10.1mm", 10.1),
        ("WD = 4.2 mm", 4.2),
        ("WD 10.1mm15:33:46", 10.1),
        ("WD:28.Omm 8kV", 28),
        ("SU8010 5.0kV 9.2mm x220 LM(L)", 9.2),
    ],
)
def test_working_distance(text, value):
    assert read(text)[DISTANCE] == value


@pytest.mark.parametrize("text", ["WD 201mm", "5.0mm", "WD 5 um", "WD 5mm WD 6mm"])
def test_no_working_distance(text):
    assert DISTANCE not in read(text)


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (["2019.12.03 19:33"], datetime(2019, 12, 3, 19, 33)),
        (["2019.12.0319:33"], datetime(2019, 12, 3, 19, 33)),
        (["2015/05/05 09:55"], datetime(2015, 5, 5, 9, 55)),
        (["2026-03-02", "10:15:59"], datetime(2026, 3, 2, 10, 15, 59)),
        (["JEOL", "3/19/2021", "15:33:46"], datetime(2021, 3, 19, 15, 33, 46)),
        (["JEOL", "8/2/2022", "20:55:11"], datetime(2022, 8, 2, 20, 55, 11)),
        (["3/19/2021 15:33:46"], datetime(2021, 3, 19, 15, 33, 46)),
        (["19/3/2021 15:33"], datetime(2021, 3, 19, 15, 33)),
        (["4/4/2021 15:33"], datetime(2021, 4, 4, 15, 33)),
        (["Date :24 Dec 2014", "Time :12:36:57"], datetime(2014, 12, 24, 12, 36, 57)),
        (["Date:24Dec2014", "Time:12:36:57"], datetime(2014, 12, 24, 12, 36, 57)),
        (["Mar 2, 2020", "1:05 PM"], datetime(2020, 3, 2, 13, 5)),
        (["3/19/2021 12:10:00 AM"], datetime(2021, 3, 19, 0, 10)),
    ],
)
def test_acquired_at(texts, value):
    assert read(*texts)[ACQUIRED] == value


@pytest.mark.parametrize(
    "text",
    [
        "3/4/2021 15:33",  # day or month first: nothing tells
        "2019.12.03",  # no time of day
        "19:33",
        "2019.13.03 19:33",
        "2021.02.29 10:00",
        "1979.12.31 10:00",
        "2026.11.22 00:01",  # not yet
        "2019.12.03 24:10",
        "2019.12.03 2018.12.03 10:00",
        "2019.12.03 10:00 11:00",
        "3/19/2021 13:10 PM",
    ],
)
def test_no_moment(text):
    assert ACQUIRED not in read(text)


def test_printed_resolution_is_the_uncertainty():
    minute, second = (
        next(r for r in parse_databar([piece(text)], now=NOW) if r.quantity is ACQUIRED)
        for text in ("2019.12.03 19:33", "2019.12.03 19:33:10")
    )
    assert (minute.uncertainty, second.uncertainty) == (60, 1)


@pytest.mark.parametrize(
    ("text", "maker"),
    [
        ("100μm JEOL", "JEOL"),
        ("ZEISS", "ZEISS"),
        ("SU8010 5.0kV", "HITACHI SU8010"),
        ("S4800 3.0kV", "HITACHI S4800"),
    ],
)
def test_instrument(text, maker):
    assert read(text)[Quantity.INSTRUMENT] == maker


@pytest.mark.parametrize(
    ("text", "detector"),
    [
        ("SE", "SE"),
        ("1.00kV LED", "LED"),
        ("1.00kVLED SEM", "LED"),
        ("Signal A = InLens", "InLens"),
        ("SignalA=SE2", "SE2"),
        ("x3.00k SE(M)", "SE(M)"),
        ("SEX1000", "SE"),
        ("BSE 20 kV", "BSE"),
    ],
)
def test_detector(text, detector):
    assert read(text)[Quantity.DETECTOR] == detector


def test_mode_name_is_not_a_detector():
    assert Quantity.DETECTOR not in read("SEM HighVac ETRI")


def test_text_split_over_boxes_is_joined_by_place_not_by_order():
    pieces = [
        piece("mm", x=260, y=41),
        piece("kV", x=60, y=1),
        piece("20", x=10, y=0),
        piece("WD", x=200, y=40),
        piece("5", x=240, y=42),
    ]
    values = {r.quantity: r.value for r in parse_databar(pieces, now=NOW)}
    assert values == {KV: 20, DISTANCE: 5}


def test_confidence_is_that_of_the_least_sure_piece_touched():
    pieces = [piece("20", x=0, confidence=0.7), piece("kV", x=40), piece("x500", x=90)]
    readings = {r.quantity: r for r in parse_databar(pieces, now=NOW)}
    assert readings[KV].confidence == 0.7
    assert readings[MAGNIFICATION].confidence == 0.95
    assert {r.source for r in readings.values()} == {Source.DATABAR}


def test_unsure_text_gives_no_reading():
    assert parse_databar([piece("20 kV", confidence=0.49)], now=NOW) == []


def test_nothing_in_nothing_out():
    assert parse_databar([]) == []
    assert parse_length_labels([]) == []


@pytest.mark.parametrize(
    ("text", "length_um"),
    [
        ("100um", 100),
        ("100 um", 100),
        ("100µm", 100),
        ("100μm JEOL", 100),
        ("100μmJEOL", 100),
        ("l00um", 100),
        ("1OOum", 100),
        ("500 nm", 0.5),
        ("2 mm", 2000),
        ("1.00µm", 1),
        ("30.0um", 30),
        ("0.5 μm", 0.5),
        ("2,5 µm", 2.5),
    ],
)
def test_length_label(text, length_um):
    (label,) = parse_length_labels([piece(text)])
    assert label.length_um == pytest.approx(length_um)
    assert label.text.text.startswith(text[:2])


@pytest.mark.parametrize(
    "text",
    ["10m", "108um", "19.9μm", "0 um", "um", "HFW 592 nm", "WD5mm", "5 kV", "10 um/s", "O um"],
)
def test_no_length_label(text):
    assert parse_length_labels([piece(text)]) == []


def test_working_distance_in_two_boxes_is_not_a_label():
    pieces = [piece("WD", x=0), piece("10 mm", x=60), piece("50 um", x=400)]
    assert [label.length_um for label in parse_length_labels(pieces)] == [50]
