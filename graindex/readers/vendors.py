"""What each SEM maker's own fields say, as readings; the same for tags and for sidecars.

Field tables: FEI/Thermo Fisher ini text (tags 34680, 34682), Zeiss SmartSEM (tag 34118), TESCAN
ini text (tag 50431 and `.hdr`), JEOL ``$CM_`` text, Hitachi ``[SemImageFile]`` text.
Out of scope: where the fields are stored (`tiff_tags`, `sidecars`) and which source to believe.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graindex.readers import quantities as q
from models.calibrate.readings import Quantity

Fields = Mapping[str, str]
Sections = Mapping[str, Mapping[str, Any]]
Convert = Callable[[str], float | None]

ZEISS_STORE_WIDTH_PX = 1024
"""SmartSEM states the monitor's pixel for a picture of this width, whatever the file's own."""


def parse_ini(text: str, separator: str = "=") -> dict[str, dict[str, str]]:
    """Return ``{section: {key: value}}`` of ini-like text; keys before any section stand under "".

    Unlike `configparser`, takes duplicate keys (the first counts), values over any characters
    and lines without a separator, all of which instruments write.
    """
    sections: dict[str, dict[str, str]] = {}
    section = ""
    for raw in text.splitlines():
        line = raw.strip().strip("\x00")
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
            sections.setdefault(section, {})
        elif separator in line:
            key, value = line.split(separator, 1)
            sections.setdefault(section, {}).setdefault(key.strip(), value.strip())
    return sections


def parse_jeol(text: str) -> dict[str, str]:
    """Return the fields of ``$KEY value`` lines, keys with their dollar signs."""
    fields: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip().strip("\x00")
        if line.startswith("$"):
            key, _, value = line.partition(" ")
            fields.setdefault(key, value.strip())
    return fields


def read_jeol(fields: Fields, out: q.Statement) -> None:
    """State what JEOL text says: kV, mm, and the micron bar in pixels with its label.

    A date such as 3/19/2021 is month first, as JEOL's own databars print it.
    """
    _scalar(out, Quantity.MAGNIFICATION, fields, "$CM_MAG", q.magnification)
    _scalar(
        out,
        Quantity.ACCELERATING_VOLTAGE_KV,
        fields,
        "$CM_ACCEL_VOLT",
        lambda text: q.voltage_kv(text, "kV"),
    )
    for key in ("$$SM_WD", "$SM_WD", "$CM_WD"):
        _scalar(out, Quantity.WORKING_DISTANCE_MM, fields, key, lambda text: _mm(text, "mm"))
    day, clock = fields.get("$CM_DATE", ""), fields.get("$CM_TIME", "")
    out.moment(
        q.parse_date(day, month_first=True),
        q.parse_time(clock),
        "$CM_DATE, $CM_TIME",
        f"{day} {clock}",
    )
    model = fields.get("$CM_INSTRUMENT", "")
    out.text(Quantity.INSTRUMENT, _with_maker("JEOL", model), "$CM_INSTRUMENT")
    out.text(Quantity.DETECTOR, fields.get("$CM_SIGNAL"), "$CM_SIGNAL")
    bar, marker = fields.get("$$SM_MICRON_BAR"), fields.get("$$SM_MICRON_MARKER")
    if bar and marker:
        count, length_m = q.number_and_unit(bar), q.length_m(marker)
        known = count is not None and count[0] > 0 and length_m is not None
        size_m = length_m / count[0] if known and count and length_m else None
        raw = f"{bar} px = {marker}"
        out.pixel_size(size_m, None, f"$$SM_MICRON_BAR {raw}", raw)


def read_hitachi(fields: Fields, out: q.Statement) -> None:
    """State what a ``[SemImageFile]`` section says: nm per pixel, volts, micrometres."""
    size = fields.get("PixelSize")
    if size:
        out.pixel_size(q.length_m(size, "nm"), None, "PixelSize", size)
    _scalar(
        out,
        Quantity.ACCELERATING_VOLTAGE_KV,
        fields,
        "AcceleratingVoltage",
        lambda text: q.voltage_kv(text, "V"),
    )
    _scalar(
        out,
        Quantity.WORKING_DISTANCE_MM,
        fields,
        "WorkingDistance",
        lambda text: _mm(text, "um"),
    )
    _scalar(out, Quantity.MAGNIFICATION, fields, "Magnification", q.magnification)
    _day_and_clock(out, fields)
    for key in ("InstructName", "InstrumentName"):
        out.text(Quantity.INSTRUMENT, _with_maker("Hitachi", fields.get(key, "")), key)
    out.text(Quantity.DETECTOR, fields.get("SignalName"), "SignalName")


def read_tescan(sections: Sections, out: q.Statement) -> None:
    """State what TESCAN ini text says: metres and volts."""
    fields: dict[str, str] = {}
    for section in ("MAIN", "SEM", "FIB", *sections):
        for key, value in sections.get(section, {}).items():
            fields.setdefault(key, str(value))
    if fields.get("PixelSizeX"):
        out.pixel_size(
            q.length_m(fields["PixelSizeX"], "m"),
            q.length_m(fields.get("PixelSizeY", ""), "m"),
            "PixelSizeX",
            fields["PixelSizeX"],
        )
    for key in ("HV", "AcceleratorVoltage"):
        _scalar(
            out,
            Quantity.ACCELERATING_VOLTAGE_KV,
            fields,
            key,
            lambda text: q.voltage_kv(text.lstrip("-"), "V"),
        )
    _scalar(out, Quantity.WORKING_DISTANCE_MM, fields, "WD", lambda text: _mm(text, "m"))
    _scalar(out, Quantity.MAGNIFICATION, fields, "Magnification", q.magnification)
    _day_and_clock(out, fields)
    for key in ("Device", "DeviceModel"):
        out.text(Quantity.INSTRUMENT, _with_maker("TESCAN", fields.get(key, "")), key)
    for key in ("Detector", "Detector0"):
        out.text(Quantity.DETECTOR, fields.get(key), key)


def read_fei(sections: Sections, out: q.Statement) -> None:
    """State what FEI/Thermo Fisher ini text says: metres and volts.

    The date is in the microscope's locale: one with an English 12-hour clock is month first.
    """
    scans, beams = ("Scan", "EScan", "IScan"), ("Beam", "EBeam", "IBeam")
    width = _find(sections, (*scans, *beams), "PixelWidth")
    height = _find(sections, (*scans, *beams), "PixelHeight")
    if width is not None:
        out.pixel_size(
            q.length_m(width[1], "m"),
            None if height is None else q.length_m(height[1], "m"),
            width[0],
            width[1],
        )
    for found, quantity, convert in (
        (_find(sections, beams, "HV"), Quantity.ACCELERATING_VOLTAGE_KV, _kv_from_volts),
        (
            _find(sections, beams, "WD") or _find(sections, ("Stage",), "WorkingDistance"),
            Quantity.WORKING_DISTANCE_MM,
            _mm_from_metres,
        ),
        (
            _find(sections, ("Image", *beams, *scans), "Magnification"),
            Quantity.MAGNIFICATION,
            q.magnification,
        ),
    ):
        if found is not None:
            out.number(quantity, convert(found[1]), *found)
    user = sections.get("User", {})
    day, clock = str(user.get("Date", "")), str(user.get("Time", ""))
    month_first = True if q.is_twelve_hour(clock) else None
    out.moment(
        q.parse_date(day, month_first=month_first),
        q.parse_time(clock),
        "User.Date, User.Time",
        f"{day} {clock}",
    )
    system = _find(sections, ("System",), "SystemType") or _find(sections, ("System",), "Type")
    if system is not None:
        out.text(Quantity.INSTRUMENT, _with_maker("FEI", system[1]), system[0])
    detector = _find(sections, ("Detectors", "Detector"), "Name")
    if detector is not None:
        out.text(Quantity.DETECTOR, detector[1], detector[0])


def read_zeiss(tag: Mapping[str, Any], width_px: int, out: q.Statement) -> None:
    """State what the CZ_SEM tag says.

    ``AP_PIXEL_SIZE`` is the monitor's pixel. It is used only where SmartSEM labels it "Image Pixel
    Size", or in a picture as wide as the one that it is stated for.

    Args:
        tag: as tifffile parses it: ``{"ap_wd": ("WD", 5.1, "mm"), …}``.
        width_px: width of the picture.
        out: takes the statements.
    """
    size = _zeiss(tag, "ap_image_pixel_size")
    if size is not None:
        out.pixel_size(q.length_m(size), None, "AP_IMAGE_PIXEL_SIZE", size)
    elif (monitor := _zeiss(tag, "ap_pixel_size")) is not None:
        label = str(tag["ap_pixel_size"][0])
        if label.lower().startswith("image") or width_px == ZEISS_STORE_WIDTH_PX:
            out.pixel_size(q.length_m(monitor), None, "AP_PIXEL_SIZE", monitor)
        else:
            out.finding(
                "pixel_size_of_the_monitor",
                f"AP_PIXEL_SIZE {monitor} is the monitor's pixel and AP_IMAGE_PIXEL_SIZE is "
                "missing: no pixel size is taken",
            )
    for keys, quantity, convert in (
        (("ap_mag",), Quantity.MAGNIFICATION, q.magnification),
        (("ap_actualkv", "ap_manualkv"), Quantity.ACCELERATING_VOLTAGE_KV, q.voltage_kv),
        (("ap_wd",), Quantity.WORKING_DISTANCE_MM, lambda text: _mm(text, "")),
    ):
        for key in keys:
            text = _zeiss(tag, key)
            if text is not None:
                out.number(quantity, convert(text), key.upper(), text)
    day, clock = _zeiss(tag, "ap_date") or "", _zeiss(tag, "ap_time") or ""
    out.moment(q.parse_date(day), q.parse_time(clock), "AP_DATE, AP_TIME", f"{day} {clock}")
    for key in ("dp_sem", "sv_serial_number"):
        out.text(Quantity.INSTRUMENT, _with_maker("Zeiss", _zeiss(tag, key) or ""), key.upper())
    for key in ("dp_detector_type", "dp_detector_channel"):
        out.text(Quantity.DETECTOR, _zeiss(tag, key), key.upper())


def _zeiss(tag: Mapping[str, Any], key: str) -> str | None:
    """Return value and unit of a CZ_SEM entry, which tifffile keeps as (label, value[, unit])."""
    entry = tag.get(key)
    if not isinstance(entry, tuple) or len(entry) < 2:
        return None
    return " ".join(str(part) for part in entry[1:])


def _scalar(
    out: q.Statement,
    quantity: Quantity,
    fields: Fields,
    key: str,
    convert: Callable[[str], float | None],
) -> None:
    text = fields.get(key)
    if text:
        out.number(quantity, convert(text), key, text)


def _day_and_clock(out: q.Statement, fields: Fields) -> None:
    day, clock = fields.get("Date", ""), fields.get("Time", "")
    month_first = True if q.is_twelve_hour(clock) else None
    out.moment(
        q.parse_date(day, month_first=month_first),
        q.parse_time(clock),
        "Date, Time",
        f"{day} {clock}",
    )


def _find(sections: Sections, names: tuple[str, ...], key: str) -> tuple[str, str] | None:
    """Return ``("Section.Key", text)`` of the first section that states a key."""
    for name in names:
        section = sections.get(name)
        value = section.get(key) if isinstance(section, Mapping) else None
        if value is not None and str(value).strip():
            return f"{name}.{key}", str(value)
    return None


def _kv_from_volts(text: str) -> float | None:
    return q.voltage_kv(text.lstrip("-"), "V")


def _mm_from_metres(text: str) -> float | None:
    return _mm(text, "m")


def _mm(text: str, default_unit: str) -> float | None:
    metres = q.length_m(text, default_unit)
    return None if metres is None else metres * 1e3


def _with_maker(maker: str, model: str) -> str:
    """Return ``"JEOL JSM-7800F"``; blank without a model, and the maker is not said twice."""
    model = model.strip()
    if not model or maker.lower() in model.lower():
        return model
    return f"{maker} {model}"
