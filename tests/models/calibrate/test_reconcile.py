"""One source is believed, in a fixed order, and every disagreement is said."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibrate.readings import Quantity, Reading, Source
from models.calibrate.reconcile import reconcile

PIXEL = Quantity.PIXEL_SIZE_UM
NOON = datetime(2019, 12, 3, 12)


def test_no_source_no_value():
    result = reconcile([])
    assert result.chosen == {}
    assert result.findings == ()


@pytest.mark.parametrize(
    ("quantity", "order"),
    [
        (PIXEL, [Source.USER, Source.TAG, Source.SCALE_BAR, Source.SIDECAR]),
        (
            Quantity.ACCELERATING_VOLTAGE_KV,
            [Source.USER, Source.TAG, Source.SIDECAR, Source.DATABAR],
        ),
        (Quantity.MAGNIFICATION, [Source.USER, Source.TAG, Source.SIDECAR, Source.DATABAR]),
        (Quantity.WORKING_DISTANCE_MM, [Source.USER, Source.TAG, Source.SIDECAR, Source.DATABAR]),
    ],
)
def test_precedence_whatever_the_order_given(quantity, order):
    for count in range(1, 5):
        believed = order[-count:]
        for given_order in permutations(believed):
            readings = [Reading(quantity, s, 1.0 + order.index(s)) for s in given_order]
            assert reconcile(readings).chosen[quantity].source is believed[0]


def test_the_sidecar_of_another_frame_loses_to_the_bar_and_is_reported():
    bar = Reading(PIXEL, Source.SCALE_BAR, 0.2668, detail="bar 374.8 px = 100 µm")
    sidecar = Reading(PIXEL, Source.SIDECAR, 0.7, detail="Pixel Size of the 480 x 480 frame")
    result = reconcile([sidecar, bar])
    assert result.chosen == {PIXEL: bar}
    (finding,) = result.findings
    assert finding.kind == "pixel_size_um_disagreement"
    for words in ("0.2668 µm", "0.7 µm", "480 x 480", "374.8 px", "scale bar is used"):
        assert words in finding.detail


@given(
    value=st.floats(1e-6, 1e6),
    ratio=st.floats(0.5, 2.0).filter(lambda r: abs(min(r, 1 / r) - 0.95) > 1e-6),
)
def test_five_percent(value, ratio):
    readings = [Reading(PIXEL, Source.TAG, value), Reading(PIXEL, Source.SIDECAR, value * ratio)]
    assert bool(reconcile(readings).findings) == (min(ratio, 1 / ratio) < 0.95)


@pytest.mark.parametrize(("seconds", "count"), [(0, 0), (66, 0), (120, 0), (121, 1), (86400, 1)])
def test_two_minutes(seconds, count):
    readings = [
        Reading(Quantity.ACQUIRED_AT, Source.DATABAR, NOON),
        Reading(Quantity.ACQUIRED_AT, Source.SIDECAR, NOON + timedelta(seconds=seconds)),
    ]
    result = reconcile(readings)
    assert result.chosen[Quantity.ACQUIRED_AT].source is Source.SIDECAR
    assert len(result.findings) == count
    assert all(f.kind == "acquired_at_disagreement" for f in result.findings)


def test_texts_are_ranked_but_not_compared():
    readings = [
        Reading(Quantity.INSTRUMENT, Source.DATABAR, "JEOL"),
        Reading(Quantity.INSTRUMENT, Source.SIDECAR, "JSM-7800F"),
    ]
    result = reconcile(readings)
    assert result.chosen[Quantity.INSTRUMENT].value == "JSM-7800F"
    assert result.findings == ()


def test_within_a_source_the_first_counts_and_a_contradiction_is_reported():
    readings = [Reading(PIXEL, Source.TAG, 1.0), Reading(PIXEL, Source.TAG, 2.0)]
    result = reconcile(readings)
    assert result.chosen[PIXEL].value == 1.0
    assert len(result.findings) == 1
