from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graindex.readers.sidecars import UnknownSidecarError, parse_sidecar, sidecar_names
from models.calibrate.readings import Quantity, Source
from models.phantoms.sem import SemPhantom
from models.phantoms.sidecar import sidecar_text

SEC = """[Image Info]
Model : SNE-4500M Plus
Date : 2024-05-06 오후 7:35:08
Time : 19:35:08.1369929
File Name : D:\\DATA\\field 1__2.jpg
Acceleated Voltage :  20 kV
Magnification : x500
Detector Mode : SED
[Running Info]
Magnification : x600
[   - Working Distance]
Default Working Distance : 0mm
Working Distance : 5mm
[Active Scan]
Frame Size : 480,480
Pixel Size : 0.7
"""

JEOL = """$CM_FORMAT JEOL/SEM
$CM_MAG 250
$CM_ACCEL_VOLT 10.0
$CM_DATE 3/4/2021
$CM_TIME 3:33:46 PM
$$SM_WD 10.1
$$SM_MICRON_BAR 267
$$SM_MICRON_MARKER 100um
"""

HITACHI = """[SemImageFile]
InstructName=SU8230
ImageName=img.tif
Date=2019/03/12
Time=10:22:13
PixelSize=9.921875
SignalName=SE(U)
AcceleratingVoltage=5000 Volt
Magnification=10000
WorkingDistance=8400 um
"""

TESCAN = """[MAIN]
Date=2019-03-12
Time=10:22:13
Device=VEGA3
PixelSizeX=5.4e-08
PixelSizeY=5.4e-08
[SEM]
HV=15000
WD=0.01
Magnification=5000
"""


def values(sidecar):
    assert {reading.source for reading in sidecar.readings} == {Source.SIDECAR}
    return {reading.quantity: reading.value for reading in sidecar.readings}


def test_names_in_order():
    names = sidecar_names("a/b c__1.jpg")
    assert names[:4] == ["a/b c__1.jpg.txt", "a/b c__1.txt", "a/b c__1-jpg.hdr", "a/b c__1.hdr"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp949"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_sec(encoding, newline):
    data = SEC.replace("\n", newline).encode(encoding)
    sidecar = parse_sidecar(data, "field 1__2.jpg.txt", "sub/field 1__2.jpg")
    assert values(sidecar) == {
        Quantity.PIXEL_SIZE_UM: 0.7,
        Quantity.MAGNIFICATION: 500,
        Quantity.ACCELERATING_VOLTAGE_KV: 20,
        Quantity.WORKING_DISTANCE_MM: 5,
        Quantity.ACQUIRED_AT: datetime(2024, 5, 6, 19, 35, 8, 136992),
        Quantity.INSTRUMENT: "SNE-4500M Plus",
        Quantity.DETECTOR: "SED",
    }
    assert sidecar.findings == ()
    assert sidecar.readings[0].detail == "Pixel Size of the 480 x 480 frame"
    assert sidecar.instrument_fields["Running Info/Magnification"] == "x600"
    assert sidecar.instrument_fields["Image Info/Date"] == "2024-05-06 오후 7:35:08"


def test_sec_without_the_24_hour_line():
    text = SEC.replace("Time : 19:35:08.1369929\n", "")
    sidecar = parse_sidecar(text.encode(), "x.txt")
    assert values(sidecar)[Quantity.ACQUIRED_AT] == datetime(2024, 5, 6, 19, 35, 8)


def test_a_file_name_that_is_another():
    sidecar = parse_sidecar(SEC.encode(), "x.jpg.txt", "x.jpg")
    (finding,) = sidecar.findings
    assert finding.kind == "sidecar_of_another_file"
    assert "field 1__2.jpg" in finding.detail
    assert "x.jpg.txt" in finding.detail
    assert len(sidecar.readings) == 7


def test_jeol():
    sidecar = parse_sidecar(JEOL.encode("latin-1"), "x.txt")
    assert values(sidecar) == {
        Quantity.PIXEL_SIZE_UM: pytest.approx(100 / 267),
        Quantity.MAGNIFICATION: 250,
        Quantity.ACCELERATING_VOLTAGE_KV: 10,
        Quantity.WORKING_DISTANCE_MM: 10.1,
        Quantity.ACQUIRED_AT: datetime(2021, 3, 4, 15, 33, 46),
    }
    assert "267 px = 100um" in sidecar.readings[-1].detail


@pytest.mark.parametrize(
    ("bar", "marker"), [("0", "100um"), ("267", "100 parsec"), ("wide", "5um")]
)
def test_jeol_bar_that_says_nothing(bar, marker):
    text = JEOL.replace("267", bar).replace("100um", marker)
    sidecar = parse_sidecar(text.encode(), "x.txt")
    assert Quantity.PIXEL_SIZE_UM not in values(sidecar)
    assert [finding.kind for finding in sidecar.findings] == ["unreadable_field"]


@pytest.mark.parametrize("distance", ["8400 um", "8400", "8.4 mm"])
def test_hitachi(distance):
    text = HITACHI.replace("8400 um", distance)
    sidecar = parse_sidecar(text.encode("utf-16"), "img.txt", "IMG.tif")
    assert values(sidecar) == {
        Quantity.PIXEL_SIZE_UM: 0.009921875,
        Quantity.MAGNIFICATION: 10000,
        Quantity.ACCELERATING_VOLTAGE_KV: 5,
        Quantity.WORKING_DISTANCE_MM: pytest.approx(8.4),
        Quantity.ACQUIRED_AT: datetime(2019, 3, 12, 10, 22, 13),
        Quantity.INSTRUMENT: "Hitachi SU8230",
        Quantity.DETECTOR: "SE(U)",
    }
    assert sidecar.findings == ()


def test_tescan():
    sidecar = parse_sidecar(TESCAN.encode(), "x-tif.hdr")
    assert values(sidecar) == {
        Quantity.PIXEL_SIZE_UM: 0.054,
        Quantity.MAGNIFICATION: 5000,
        Quantity.ACCELERATING_VOLTAGE_KV: 15,
        Quantity.WORKING_DISTANCE_MM: 10,
        Quantity.ACQUIRED_AT: datetime(2019, 3, 12, 10, 22, 13),
        Quantity.INSTRUMENT: "TESCAN VEGA3",
    }


def test_sidecar_of_a_phantom():
    config = SemPhantom(kv=15.0, pixel_size_um=0.125, working_distance_mm=8.0)
    sidecar = parse_sidecar(sidecar_text(config, "a.png").encode(), "a.png.txt", "a.png")
    assert values(sidecar) == {
        Quantity.PIXEL_SIZE_UM: 0.125,
        Quantity.MAGNIFICATION: config.magnification,
        Quantity.ACCELERATING_VOLTAGE_KV: 15,
        Quantity.WORKING_DISTANCE_MM: 8,
        Quantity.ACQUIRED_AT: config.acquired_at,
        Quantity.INSTRUMENT: config.instrument,
        Quantity.DETECTOR: "SED",
    }
    assert sidecar.findings == ()


@pytest.mark.parametrize("data", [b"", b"notes: good area\n", bytes(range(256)), b"[section]\na=1"])
def test_unknown(data):
    with pytest.raises(UnknownSidecarError, match=r"x\.txt: ") as caught:
        parse_sidecar(data, "x.txt")
    assert "\n" not in str(caught.value)


@given(
    st.sampled_from([SEC, JEOL, HITACHI, TESCAN]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
)
def test_damage_raises_nothing_else(text, changes):
    data = bytearray(text.encode())
    for at, value in changes:
        data[at % len(data)] = value
    try:
        sidecar = parse_sidecar(bytes(data), "x.txt", "x.jpg")
    except UnknownSidecarError:
        return
    numbers = [r.value for r in sidecar.readings if isinstance(r.value, float)]
    assert all(number > 0 for number in numbers)


@pytest.mark.real_data
def test_real_sec_sidecars(real_data):
    paths = sorted((real_data / "ncm622_cycled_sem").glob("*.jpg.txt"))
    assert len(paths) == 51
    times = set()
    for path in paths:
        image_name = path.name.removesuffix(".txt")
        sidecar = parse_sidecar(path.read_bytes(), path.name, image_name)
        stated = values(sidecar)
        times.add(stated.pop(Quantity.ACQUIRED_AT))
        assert stated == {
            Quantity.PIXEL_SIZE_UM: 0.7,
            Quantity.MAGNIFICATION: 500,
            Quantity.ACCELERATING_VOLTAGE_KV: 20,
            Quantity.WORKING_DISTANCE_MM: 5,
            Quantity.INSTRUMENT: "SNE-4500M Plus",
            Quantity.DETECTOR: "SED",
        }
        assert sidecar.findings == ()
        assert sidecar_names(image_name)[0] == path.name
    assert len(times) == 51
    assert min(times) == datetime(2019, 12, 3, 19, 34, 6, 26905)
