"""Text files that instruments write beside an image: SEC, JEOL, Hitachi and TESCAN.

Out of scope: finding and opening them, and deciding against what they say.
"""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from graindex.readers import quantities as q
from graindex.readers import vendors
from graindex.readers.frame import one_line
from models.calibrate.readings import Finding, Quantity, Reading, Source

MAX_SIDECAR_BYTES = 1 << 20
"""Instruments write a few kilobytes."""

Sections = dict[str, dict[str, str]]

_HITACHI_SECTIONS = ("SemImageFile", "TemImageFile")


class UnknownSidecarError(ValueError):
    """A text file beside an image that is not one of the known instruments' sidecars."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = one_line(reason)
        super().__init__(f"{name}: {self.reason}")

    def __reduce__(self) -> tuple[type["UnknownSidecarError"], tuple[str, str]]:
        return type(self), (self.name, self.reason)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a sidecar says.

    Attributes:
        readings: acquisition quantities.
        instrument_fields: every field as written, ``{"Image Info/Model": "SNE-4500M Plus"}``.
        findings: what a person should know, such as a sidecar of another file.
    """

    readings: tuple[Reading, ...]
    instrument_fields: dict[str, str]
    findings: tuple[Finding, ...] = ()


def sidecar_names(image_name: str) -> list[str]:
    """Return the names under which instruments put text beside an image, likeliest first.

    SEC appends ``.txt``, JEOL and Hitachi replace the suffix by it, TESCAN writes ``x-tif.hdr`` or
    ``x.hdr``. Folders in the name are kept.
    """
    path = PurePosixPath(image_name)
    suffix = path.suffix.removeprefix(".")
    names = [
        f"{path.name}.txt",
        f"{path.stem}.txt",
        f"{path.stem}-{suffix}.hdr",
        f"{path.stem}.hdr",
        f"{path.name}.hdr",
        f"{path.name}.TXT",
        f"{path.stem}.TXT",
        f"{path.stem}.HDR",
    ]
    return [str(path.with_name(name)) for name in dict.fromkeys(names)]


def parse_sidecar(data: bytes, name: str, image_name: str | None = None) -> Sidecar:
    """Read a sidecar of whichever instrument wrote it.

    Args:
        data: the file: UTF-8, UTF-16, CP949 or Latin-1.
        name: its name, for messages.
        image_name: the image that it stands beside; another name inside the sidecar is a finding.

    Raises:
        UnknownSidecarError: no known instrument's text.
    """
    if len(data) > MAX_SIDECAR_BYTES:
        raise UnknownSidecarError(name, f"{len(data)} bytes are too many for an instrument's text")
    text = _decode(data)
    sections = vendors.parse_ini(text)
    out = q.Statement(Source.SIDECAR)
    if "$CM_" in text or "$$SM_" in text:
        fields, named = _jeol(text, out)
    elif any(section in sections for section in _HITACHI_SECTIONS):
        fields, named = _hitachi(sections, out)
    elif "[Image Info]" in text:
        fields, named = _sec(text, out)
    elif "PixelSizeX" in sections.get("MAIN", {}):
        fields, named = _tescan(sections, out)
    else:
        first = next((line for line in text.splitlines() if line.strip()), "")
        raise UnknownSidecarError(
            name, f"not the text of a known instrument; it starts with {one_line(first, 60)!r}"
        )
    if image_name is not None:
        out.findings.extend(_other_file(named, image_name, name))
    return Sidecar(tuple(out.readings), fields, tuple(out.findings))


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    if len(data) > 3 and data[1] == 0 and data[3] == 0:
        return data.decode("utf-16-le", "replace")
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _jeol(text: str, out: q.Statement) -> tuple[dict[str, str], Iterable[str]]:
    fields = vendors.parse_jeol(text)
    vendors.read_jeol(fields, out)
    return fields, ()


def _hitachi(sections: Sections, out: q.Statement) -> tuple[dict[str, str], Iterable[str]]:
    fields = next(sections[section] for section in _HITACHI_SECTIONS if section in sections)
    vendors.read_hitachi(fields, out)
    return _flat(sections), filter(None, [fields.get("ImageName")])


def _tescan(sections: Sections, out: q.Statement) -> tuple[dict[str, str], Iterable[str]]:
    vendors.read_tescan(sections, out)
    return _flat(sections), ()


def _flat(sections: Sections) -> dict[str, str]:
    return {
        f"{section}/{key}" if section else key: value
        for section, fields in sections.items()
        for key, value in fields.items()
    }


def _sec(text: str, out: q.Statement) -> tuple[dict[str, str], Iterable[str]]:
    """Read SEC tabletop-SEM text, ``Key : value`` lines; its spelling mistakes are the keys.

    ``Pixel Size`` is of the live frame, whose size is told in the detail, and need not be that of
    the stored image.
    """
    fields = _sec_fields(text)
    by_key: dict[str, str] = {}
    for path, value in fields.items():
        by_key.setdefault(path.rsplit("/", 1)[-1], value)

    def state(quantity: Quantity, value: float | None, key: str, detail: str = "") -> None:
        if by_key.get(key):
            out.number(quantity, value, detail or key, by_key[key])

    frame = " x ".join(by_key.get("Frame Size", "").split(","))
    size = q.length_m(by_key.get("Pixel Size", ""), "um")
    state(
        Quantity.PIXEL_SIZE_UM,
        None if size is None else size * 1e6,
        "Pixel Size",
        f"Pixel Size of the {frame} frame" if frame else "",
    )
    state(Quantity.MAGNIFICATION, q.magnification(by_key.get("Magnification", "")), "Magnification")
    for key in ("Acceleated Voltage", "Accelerated Voltage"):
        state(Quantity.ACCELERATING_VOLTAGE_KV, q.voltage_kv(by_key.get(key, ""), "kV"), key)
    working = q.length_m(by_key.get("Working Distance", ""), "mm")
    state(
        Quantity.WORKING_DISTANCE_MM, None if working is None else working * 1e3, "Working Distance"
    )
    day, clock = by_key.get("Date", ""), by_key.get("Time", "")
    out.moment(q.parse_date(day), q.parse_time(clock or day), "Date, Time", f"{day} {clock}")
    out.text(Quantity.INSTRUMENT, by_key.get("Model"), "Model")
    out.text(Quantity.DETECTOR, by_key.get("Detector Mode"), "Detector Mode")
    return fields, filter(None, [by_key.get("File Name")])


def _sec_fields(text: str) -> dict[str, str]:
    """Return fields by ``Section/Subsection/Key``; a subsection is headed ``[   - Name]``."""
    fields: dict[str, str] = {}
    section = subsection = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            heading = line[1:-1].strip()
            if heading.startswith("-"):
                subsection = f"/{heading.lstrip('- ')}"
            else:
                section, subsection = heading, ""
        elif ":" in line:
            key, value = line.split(":", 1)
            fields.setdefault(f"{section}{subsection}/{key.strip()}", value.strip())
    return fields


def _other_file(named: Iterable[str], image_name: str, name: str) -> list[Finding]:
    own = PurePosixPath(image_name).name
    return [
        Finding(
            "sidecar_of_another_file",
            f"{name} stands beside {own} but names {PureWindowsPath(other).name}",
        )
        for other in named
        if PureWindowsPath(other).name.casefold() != own.casefold()
    ]
