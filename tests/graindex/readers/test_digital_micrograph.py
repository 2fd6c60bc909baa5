from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graindex.readers.images import UnreadableImageError, read_frames
from models.calibrate.readings import Quantity, Source
from tests.graindex.readers.builders import textured
from tests.graindex.readers.dm_files import DmFile

TAGS = {
    "Microscope Info": {"Voltage": 200000.0, "Indicated Magnification": 50000.0},
    "Session Info": {"Microscope": "JEM-2100F"},
    "DataBar": {
        "Acquisition Date": "9/30/2024",
        "Acquisition Time": "2:05:06 PM",
        "Device Name": "Orius",
    },
}


def values(frame):
    return {reading.quantity: reading.value for reading in frame.readings}


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_pixels(version, dtype):
    image = textured(dtype=dtype, top=255 if dtype == np.uint8 else 4000)
    (frame,) = read_frames(DmFile(version).build(image), "x.dm3")
    np.testing.assert_array_equal(frame.pixels, image)
    assert frame.bit_depth == 8 * np.dtype(dtype).itemsize


@pytest.mark.parametrize("version", [3, 4])
def test_readings(version):
    (frame,) = read_frames(DmFile(version).build(textured(), 0.25, "nm", TAGS), "x.dm4")
    assert values(frame) == {
        Quantity.PIXEL_SIZE_UM: 0.00025,
        Quantity.ACCELERATING_VOLTAGE_KV: 200.0,
        Quantity.MAGNIFICATION: 50000.0,
        Quantity.ACQUIRED_AT: datetime(2024, 9, 30, 14, 5, 6),
        Quantity.INSTRUMENT: "JEM-2100F",
        Quantity.DETECTOR: "Orius",
    }
    assert {reading.source for reading in frame.readings} == {Source.TAG}
    assert frame.findings == ()


@pytest.mark.parametrize(("unit", "um"), [("nm", 0.0005), ("µm", 0.5), ("μm", 0.5), ("mm", 500.0)])
def test_unit_of_the_axes(unit, um):
    (frame,) = read_frames(DmFile(3).build(textured(), 0.5, unit), "x.dm3")
    assert values(frame)[Quantity.PIXEL_SIZE_UM] == pytest.approx(um)


@pytest.mark.parametrize("unit", ["", "1/nm"])
def test_uncalibrated_and_diffraction_have_no_pixel_size(unit):
    (frame,) = read_frames(DmFile(3).build(textured(), 0.5, unit), "x.dm3")
    assert frame.readings == ()


def test_a_stack_is_refused_with_its_shape():
    stack = np.stack([textured(seed=s) for s in range(3)])
    with pytest.raises(UnreadableImageError, match="3 x 40 x 48"):
        read_frames(DmFile(3).build(stack), "x.dm3")


@pytest.mark.parametrize("version", [3, 4])
@settings(max_examples=100, deadline=5000)
@given(st.data())
def test_damage_raises_nothing_else(version, data):
    whole = DmFile(version).build(textured(16, 16), 0.25, "nm", TAGS)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(5, len(whole)))
    try:
        frames = read_frames(bytes(damaged[:cut]), "x.dm3")
    except UnreadableImageError as error:
        assert "\n" not in str(error)
    else:
        assert frames[0].pixels.ndim == 2


@pytest.mark.parametrize("version", [3, 4])
def test_truncated_inside_the_pixels(version):
    data = DmFile(version).build(textured(200, 200))
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(UnreadableImageError):
            read_frames(data[: int(share * len(data))], "x.dm3")
