"""Sidecars of phantoms: the manufacturer's keys, the configuration's values."""

from datetime import datetime

import pytest

from models.phantoms.sem import SemPhantom, render
from models.phantoms.sidecar import sidecar_text


def _fields(text: str) -> dict[str, str]:
    pairs = (line.split(" : ", 1) for line in text.splitlines() if " : " in line)
    return {key: value.strip() for key, value in pairs}


def test_fields_are_the_truth_of_the_image() -> None:
    config = SemPhantom(kv=5, working_distance_mm=7.5, acquired_at=datetime(2026, 3, 2, 22, 5, 9))
    fields = _fields(sidecar_text(config, "field_1.png"))
    height, width = render(config).image.shape
    assert fields["Frame Size"] == fields["Image Size"] == f"{width},{height}"
    assert float(fields["Pixel Size"]) == pytest.approx(config.pixel_size_um, rel=1e-5)
    assert fields["Model"] == "Graindex PHANTOM-1"
    assert fields["File Name"] == "field_1.png"
    assert fields["Date"] == "2026-03-02 22:05:09"
    assert fields["Time"] == "22:05:09.0000000"
    assert fields["Acceleated Voltage"] == "5 kV"
    assert fields["Magnification"] == "x1000"
    assert fields["Working Distance"] == "7.5mm"


def test_frame_without_databar_is_the_content() -> None:
    fields = _fields(sidecar_text(SemPhantom(databar=False), "a.png"))
    assert fields["Frame Size"] == "768,512"


@pytest.mark.parametrize("name", ["", "a\nb.png", "a\r\n"])
def test_a_name_that_would_break_the_layout_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="image_name"):
        sidecar_text(SemPhantom(), name)


@pytest.mark.real_data
def test_every_key_stands_in_the_real_sidecars_in_the_same_order(real_data) -> None:
    def keys(text: str) -> list[str]:
        return [line.split(" : ", 1)[0].strip() for line in text.splitlines() if line.strip()]

    real = next(iter(sorted((real_data / "ncm622_cycled_sem").glob("*.jpg.txt"))))
    remaining = iter(keys(real.read_text(encoding="utf-8")))
    assert all(key in remaining for key in keys(sidecar_text(SemPhantom(), "a.png")))
