from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graindex.readers import quantities as q
from models.calibrate.readings import Quantity, Source


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("8400 um", 8.4e-3),
        ("100µm", 1e-4),
        ("100μm", 1e-4),
        ("5mm", 5e-3),
        ("1.35e-009 m", 1.35e-9),
        ("2,500 nm", 2.5e-6),
        ("5 K X", None),
        ("7", None),
        ("mm", None),
        ("", None),
    ],
)
def test_length(text, metres):
    assert q.length_m(text) == (None if metres is None else pytest.approx(metres))


def test_default_units():
    assert q.length_m("7", "mm") == pytest.approx(7e-3)
    assert q.voltage_kv("15.0", "kV") == 15
    assert q.voltage_kv("15000", "V") == 15
    assert q.voltage_kv("5000 Volt", "kV") == 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x500", 500),
        ("X250", 250),
        ("1,000X", 1000),
        ("10.0kX", 1e4),
        ("5.00 K X", 5e3),
        ("×1.2k", 1200),
        ("500", 500),
        ("5 mm", None),
    ],
)
def test_magnification(text, value):
    assert q.magnification(text) == value


@pytest.mark.parametrize(
    ("text", "month_first", "expected"),
    [
        ("2019-12-03 오후 7:35:08", None, date(2019, 12, 3)),
        ("2019/03/12", None, date(2019, 3, 12)),
        ("2019. 12. 03", None, date(2019, 12, 3)),
        ("3/19/2021", None, date(2021, 3, 19)),
        ("19/3/2021", True, date(2021, 3, 19)),
        ("3/4/2021", True, date(2021, 3, 4)),
        ("3/4/2021", False, date(2021, 4, 3)),
        ("3/4/2021", None, None),
        ("5/5/2021", None, date(2021, 5, 5)),
        ("03.04.2021", None, date(2021, 4, 3)),
        ("24 Mar 2017", None, date(2017, 3, 24)),
        ("24-March-2017", None, date(2017, 3, 24)),
        ("2019-13-45", None, None),
        ("3/4/21", True, None),
        ("none", None, None),
    ],
)
def test_date(text, month_first, expected):
    assert q.parse_date(text, month_first=month_first) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("19:34:06.0269059", time(19, 34, 6, 26905)),
        ("2019-12-03 오후 7:35:08", time(19, 35, 8)),
        ("오전 12:05:00", time(0, 5)),
        ("12:05:00 AM", time(0, 5)),
        ("12:05 pm", time(12, 5)),
        ("3:33:46 PM", time(15, 33, 46)),
        ("25:00:00", None),
        ("", None),
    ],
)
def test_time(text, expected):
    assert q.parse_time(text) == expected


@given(st.dates(date(1980, 1, 1), date(2100, 1, 1)))
def test_year_first_dates_survive(day):
    for pattern in ("%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%d.%m.%Y"):
        assert q.parse_date(day.strftime(pattern)) == day


@given(st.text(max_size=30))
def test_any_text_is_taken(text):
    q.parse_date(text)
    q.parse_time(text)
    q.length_m(text, "m")
    q.voltage_kv(text, "V")
    q.magnification(text)


def test_first_statement_counts_and_nothing_is_made_up():
    out = q.Statement(Source.TAG)
    out.number(Quantity.MAGNIFICATION, 0.0, "a", "0")
    out.number(Quantity.MAGNIFICATION, 100.0, "b", "100")
    out.number(Quantity.MAGNIFICATION, 200.0, "c", "200")
    assert [(r.value, r.detail) for r in out.readings] == [(100.0, "b")]
    assert out.findings == []
