from datetime import datetime

import numpy as np
import pytest

from graindex.readers.images import read_frames
from models.calibrate.readings import Quantity, Source
from tests.graindex.readers.builders import text_tag, textured, tiff

ZEISS = """0
0
0
2.9e-08

AP_MAG
Mag =    40.00 K X
AP_WD
WD =  8.5 mm
AP_ACTUALKV
EHT Target =   5.00 kV
AP_MANUALKV
EHT =   6.00 kV
AP_PIXEL_SIZE
Pixel Size = 8.10 nm
AP_IMAGE_PIXEL_SIZE
Image Pixel Size = 2.791 nm
AP_DATE
Date :24 Mar 2017
AP_TIME
Time :12:40:39
DP_DETECTOR_CHANNEL
Signal A = InLens
DP_SEM
SEM = Merlin
""".replace("\n", "\r\n")

FEI = """[User]
Date=07/20/2016
Time=05:06:40 PM
User=x
[System]
Type=SEM
SystemType=Helios NanoLab
[Beam]
HV=5000
[EBeam]
HV=5000
WD=0.00412
[Scan]
PixelWidth=1.35e-009
PixelHeight=1.35e-009
[Detectors]
Number=1
Name=ETD
[Image]
Magnification=20000
""".replace("\n", "\r\n")

TESCAN = """[MAIN]
Company=TESCAN
Date=2019-03-12
Device=MIRA3 LMU
Magnification=5000.0
PixelSizeX=5.4e-08
PixelSizeY=5.4e-08
Time=16:05:06
[SEM]
HV=15000.0
WD=0.0101
Detector=SE
"""

JEOL = """$CM_FORMAT JEOL/SEM
$CM_INSTRUMENT JSM-7800F
$CM_SIGNAL SEI
$CM_MAG 5000
$CM_ACCEL_VOLT 15.00
$CM_DATE 2019/03/12
$CM_TIME 10:21:55
$$SM_MICRON_BAR 180
$$SM_MICRON_MARKER 5um
$$SM_WD 10.0
"""


def read(image=None, **options):
    frames = read_frames(tiff(textured() if image is None else image, **options), "x.tif")
    values = {reading.quantity: reading.value for reading in frames[0].readings}
    assert {reading.source for reading in frames[0].readings} <= {Source.TAG}
    return values, frames


def findings(frames):
    return [finding.kind for finding in frames[0].findings]


def zeiss(text, image=None):
    return read(image, extratags=[text_tag(34118, text)])


class TestZeiss:
    def test_all_fields(self):
        values, frames = zeiss(ZEISS)
        assert values == {
            Quantity.PIXEL_SIZE_UM: 0.002791,
            Quantity.MAGNIFICATION: 40000.0,
            Quantity.ACCELERATING_VOLTAGE_KV: 5.0,
            Quantity.WORKING_DISTANCE_MM: 8.5,
            Quantity.ACQUIRED_AT: datetime(2017, 3, 24, 12, 40, 39),
            Quantity.INSTRUMENT: "Zeiss Merlin",
            Quantity.DETECTOR: "InLens",
        }
        assert findings(frames) == []
        (size,) = (r for r in frames[0].readings if r.quantity is Quantity.PIXEL_SIZE_UM)
        assert "AP_IMAGE_PIXEL_SIZE" in size.detail

    @pytest.mark.parametrize(
        ("text", "um"), [("0.50 µm", 0.5), ("12.5 nm", 0.0125), ("1.2 mm", 1200.0), ("80 pm", 8e-5)]
    )
    def test_units_vary(self, text, um):
        values, _ = zeiss(ZEISS.replace("2.791 nm", text))
        assert values[Quantity.PIXEL_SIZE_UM] == pytest.approx(um)

    def test_magnification_below_a_thousand(self):
        values, _ = zeiss(ZEISS.replace("40.00 K X", "500 X"))
        assert values[Quantity.MAGNIFICATION] == 500

    def test_manual_kv_where_the_actual_is_missing(self):
        values, _ = zeiss(ZEISS.replace("AP_ACTUALKV", "AP_OTHER"))
        assert values[Quantity.ACCELERATING_VOLTAGE_KV] == 6

    def test_pixel_of_the_monitor_is_never_taken(self):
        text = ZEISS.replace("AP_IMAGE_PIXEL_SIZE", "AP_OTHER_SIZE")
        values, frames = zeiss(text)
        assert Quantity.PIXEL_SIZE_UM not in values
        assert findings(frames) == ["pixel_size_of_the_monitor"]

    def test_pixel_of_a_1024_picture_is_the_monitors(self):
        text = ZEISS.replace("AP_IMAGE_PIXEL_SIZE", "AP_OTHER_SIZE")
        values, _ = zeiss(text, textured(40, 1024))
        assert values[Quantity.PIXEL_SIZE_UM] == 0.0081


class TestFei:
    @pytest.mark.parametrize("code", [34680, 34682])
    def test_all_fields(self, code):
        values, frames = read(extratags=[text_tag(code, FEI)])
        assert values == {
            Quantity.PIXEL_SIZE_UM: 0.00135,
            Quantity.MAGNIFICATION: 20000.0,
            Quantity.ACCELERATING_VOLTAGE_KV: 5.0,
            Quantity.WORKING_DISTANCE_MM: 4.12,
            Quantity.ACQUIRED_AT: datetime(2016, 7, 20, 17, 6, 40),
            Quantity.INSTRUMENT: "FEI Helios NanoLab",
            Quantity.DETECTOR: "ETD",
        }
        assert findings(frames) == []

    def test_order_of_day_and_month(self):
        twelve, _ = read(extratags=[text_tag(34682, FEI.replace("07/20/2016", "03/04/2016"))])
        assert twelve[Quantity.ACQUIRED_AT].date().isoformat() == "2016-03-04"
        text = FEI.replace("07/20/2016", "03/04/2016").replace("05:06:40 PM", "17:06:40")
        values, frames = read(extratags=[text_tag(34682, text)])
        assert Quantity.ACQUIRED_AT not in values
        assert findings(frames) == ["unreadable_field"]

    def test_beam_off_is_no_voltage(self):
        values, _ = read(extratags=[text_tag(34682, FEI.replace("HV=5000", "HV=0"))])
        assert Quantity.ACCELERATING_VOLTAGE_KV not in values

    def test_tilt_corrected_pixels(self):
        text = FEI.replace("PixelHeight=1.35e", "PixelHeight=2.70e")
        values, frames = read(extratags=[text_tag(34682, text)])
        assert values[Quantity.PIXEL_SIZE_UM] == 0.00135
        assert findings(frames) == ["pixels_not_square"]

    def test_nonsense_is_a_finding(self):
        text = FEI.replace("PixelWidth=1.35e-009", "PixelWidth=unknown")
        values, frames = read(extratags=[text_tag(34682, text)])
        assert Quantity.PIXEL_SIZE_UM not in values
        assert findings(frames) == ["unreadable_field"]


@pytest.mark.parametrize("head", [b"", b"\x89PNG\r\n\x1a\n\x00\x01binary\xff\x00"])
def test_tescan(head):
    values, frames = read(extratags=[text_tag(50431, head + TESCAN.encode())])
    assert values == {
        Quantity.PIXEL_SIZE_UM: 0.054,
        Quantity.MAGNIFICATION: 5000.0,
        Quantity.ACCELERATING_VOLTAGE_KV: 15.0,
        Quantity.WORKING_DISTANCE_MM: 10.1,
        Quantity.ACQUIRED_AT: datetime(2019, 3, 12, 16, 5, 6),
        Quantity.INSTRUMENT: "TESCAN MIRA3 LMU",
        Quantity.DETECTOR: "SE",
    }
    assert findings(frames) == []


def test_jeol_text_in_the_description():
    values, _ = read(description=JEOL, metadata=None)
    assert values[Quantity.PIXEL_SIZE_UM] == pytest.approx(5 / 180)
    assert values[Quantity.MAGNIFICATION] == 5000
    assert values[Quantity.ACCELERATING_VOLTAGE_KV] == 15
    assert values[Quantity.WORKING_DISTANCE_MM] == 10
    assert values[Quantity.ACQUIRED_AT] == datetime(2019, 3, 12, 10, 21, 55)
    assert values[Quantity.INSTRUMENT] == "JEOL JSM-7800F"
    assert values[Quantity.DETECTOR] == "SEI"


class TestImageJ:
    @pytest.mark.parametrize(
        ("unit", "um"), [("micron", 1.0), ("um", 1.0), ("\\u00B5m", 1.0), ("nm", 1e-3), ("mm", 1e3)]
    )
    def test_unit(self, unit, um):
        values, _ = read(imagej=True, resolution=(4, 4), metadata={"unit": unit})
        assert values == {Quantity.PIXEL_SIZE_UM: pytest.approx(0.25 * um)}

    @pytest.mark.parametrize("unit", ["inch", "cm", "pixel"])
    def test_print_resolution_is_no_pixel_size(self, unit):
        values, _ = read(imagej=True, resolution=(300, 300), metadata={"unit": unit})
        assert values == {}

    def test_every_plane_has_it(self):
        stack = np.stack([textured(seed=s) for s in range(3)])
        _, frames = read(
            stack, imagej=True, resolution=(4, 4), metadata={"unit": "um", "axes": "ZYX"}
        )
        assert [frame.readings[0].value for frame in frames] == [0.25] * 3


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER", "NONE"])
def test_resolution_of_a_plain_tiff_is_no_pixel_size(unit):
    values, frames = read(resolution=(96, 96), resolutionunit=unit)
    assert values == {}
    assert findings(frames) == []


class TestOme:
    @pytest.mark.parametrize(("unit", "um"), [("nm", 0.065), ("µm", 65.0), ("mm", 65000.0)])
    def test_physical_size(self, unit, um):
        meta = {
            "axes": "YX",
            "PhysicalSizeX": 65.0,
            "PhysicalSizeXUnit": unit,
            "PhysicalSizeY": 65.0,
            "PhysicalSizeYUnit": unit,
        }
        values, frames = read(ome=True, metadata=meta)
        assert values == {Quantity.PIXEL_SIZE_UM: pytest.approx(um)}
        assert findings(frames) == []

    def test_unit_defaults_to_micrometres(self):
        values, _ = read(ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.5})
        assert values == {Quantity.PIXEL_SIZE_UM: 0.5}

    def test_each_image_has_its_own(self):
        import io

        import tifffile

        out = io.BytesIO()
        with tifffile.TiffWriter(out, ome=True) as writer:
            for size in (0.5, 0.25):
                writer.write(
                    np.stack([textured(seed=s) for s in range(2)]),
                    metadata={"axes": "ZYX", "PhysicalSizeX": size},
                    photometric="minisblack",
                )
        frames = read_frames(out.getvalue(), "x.ome.tif")
        assert [frame.readings[0].value for frame in frames] == [0.5, 0.5, 0.25, 0.25]

    def test_broken_xml_is_a_finding(self):
        values, frames = read(description="<OME><Image></OME>", metadata=None)
        assert values == {}
        assert "unreadable_tag" in findings(frames)
