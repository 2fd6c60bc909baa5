"""What the text of a databar says, as readings in the units of their names.

Out of scope: recognising the text (`ocr`) and choosing between sources (`reconcile`).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from unicodedata import normalize

from models.calibrate.dates import find_moment
from models.calibrate.ocr import TextBox
from models.calibrate.readings import Quantity, Reading, Source

MIN_CONFIDENCE = 0.5
KV_RANGE = (0.1, 400.0)
MAGNIFICATION_RANGE = (5.0, 5e6)
WORKING_DISTANCE_RANGE = (0.0, 200.0)

NUMBER = r"(?:(?<![\d.,])\d|(?<![\w.,])[lI])[\dOolI]*(?:[.,][\dOolI]+)?"
"""A number as recognised: O for 0 and l or I for 1 are the slips that happen. It begins with a
digit, or with such a letter that nothing is glued to."""

GROUPED = r"(?<![\d.,])\d{1,3}(?:[ ,]\d{3})+"
ANY_NUMBER = rf"(?>{GROUPED}|{NUMBER})"
SLIPS = str.maketrans("OolI", "0011")

DETECTORS = (
    r"SE\([MUL]\)|LM\([MUL]\)|LA\d*\([MUL]\)|InLens|In-Lens|AsB|vCD|PDBSE|BSED|BSE|BED|BEI|SEI|SED|"
    r"SE[12]?|LED|UED|LEI|ETD|TLD|CBS|ABS|LFD|LVD|HAADF|STEM"
)
KILOVOLT = re.compile(rf"({NUMBER})\s*kV", re.IGNORECASE)
VOLT = re.compile(rf"(?:EHT|HV)\s*[=:]?\s*({NUMBER})\s*V(?![a-z])", re.IGNORECASE)
WORKING_DISTANCE = (
    re.compile(rf"W\.?D\.?\s*[=:]?\s*({NUMBER})\s*mm", re.IGNORECASE),
    re.compile(rf"kV\s*({NUMBER})\s*mm", re.IGNORECASE),
)
MAGNIFICATION = (
    re.compile(rf"Mag[a-z]*\.?\s*[=:]?\s*({ANY_NUMBER})\s*(k?)\s*[x×]", re.IGNORECASE),
    re.compile(
        rf"(?:(?<![A-Za-ln-z0-9])|(?<=SE)|(?<=SE[ID12]))[xX×] ?({ANY_NUMBER}) ?((?:[kK](?![vV]))?)"
        r"(?!\s*(?:[kK]?[vV]|[mnuμ]m))"
    ),
    re.compile(
        rf"(?<![A-Za-ln-z])({ANY_NUMBER}) ?([kK]?) ?[xX×]"
        rf"(?:(?![A-Za-z0-9])|(?={NUMBER}\s*kV)|(?={DETECTORS}))"
    ),
)
DETECTOR = (
    re.compile(rf"(?:Signal\s*A|Det(?:ector)?)\s*[=:]\s*({DETECTORS}|[A-Za-z0-9]+)"),
    re.compile(rf"(?:(?<![A-Za-z0-9])|(?<=kV))({DETECTORS})(?=[xX]\d|[^A-Za-z0-9(]|$)"),
)
MAKERS = ("JEOL", "ZEISS", "HITACHI", "TESCAN", "COXEM", "PHENOM", "SNE", "GRAINDEX")
MAKER = re.compile(rf"({'|'.join(MAKERS)})", re.IGNORECASE)
HITACHI_MODEL = re.compile(r"(?<![A-Za-z0-9])(SU\d{4}|S-?[2-5][2-8]00)")
LENGTH = re.compile(rf"({NUMBER})\s*((?i:nm|um|μm|mm))(?![a-z0-9/])")
MICROMETRES = {"nm": 1e-3, "um": 1.0, "μm": 1.0, "mm": 1e3}
BAR_MANTISSAS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
"""Leading digits of the lengths that instruments print beside scale bars."""


@dataclass(frozen=True, slots=True)
class LengthLabel:
    """A length such as stands beside a scale bar.

    Attributes:
        length_um: what it says.
        text: the recognised piece of text, with its place and confidence.
    """

    length_um: float
    text: TextBox


@dataclass(frozen=True, slots=True)
class _Line:
    """Pieces of text in one row, joined from left to right by tabs."""

    text: str
    pieces: tuple[TextBox, ...]

    def touched(self, start: int, stop: int) -> list[TextBox]:
        """The pieces that a span of the text touches."""
        ends = [-1]
        for piece in self.pieces:
            ends.append(ends[-1] + 1 + len(piece.text))
        spans = zip(self.pieces, pairwise(ends), strict=True)
        return [piece for piece, (before, end) in spans if before + 1 < stop and start < end]


@dataclass(frozen=True, slots=True)
class _Found:
    value: float | str
    confidence: float
    printed: str


def parse_databar(texts: Sequence[TextBox], *, now: datetime | None = None) -> list[Reading]:
    """Read the text of a databar.

    Looked for: magnification (``x500``, ``1,000X``, ``10.0kX``, ``Mag = 5.00 K X``), accelerating
    voltage, working distance, date with time, instrument maker and detector. Text split over
    several boxes is joined by position. Known slips of the recogniser (``1.O0kV``) are repaired;
    what is out of range, ambiguous or read with a confidence below 0.5 gives no reading. A date
    whose day and month could be exchanged counts only where the strip says JEOL, whose software
    prints the month first; a date without a time of day gives no reading.

    Args:
        texts: pieces of text in the pixels of one image.
        now: later dates are refused; the present by default.

    Returns:
        At most one reading per quantity, of source `Source.DATABAR`.
    """
    lines = _join(texts)
    instrument = _first(lines, (HITACHI_MODEL, MAKER), _instrument)
    readings = [
        _reading(Quantity.MAGNIFICATION, _first(lines, MAGNIFICATION, _magnification)),
        _reading(Quantity.ACCELERATING_VOLTAGE_KV, _first(lines, (KILOVOLT, VOLT), _kilovolt)),
        _reading(Quantity.WORKING_DISTANCE_MM, _first(lines, WORKING_DISTANCE, _millimetre)),
        _acquired_at(lines, instrument, now or datetime.now()),
        _reading(Quantity.INSTRUMENT, instrument),
        _reading(Quantity.DETECTOR, _first(lines, DETECTOR, lambda match: match[1])),
    ]
    return [reading for reading in readings if reading is not None]


def parse_length_labels(texts: Sequence[TextBox]) -> list[LengthLabel]:
    """The pieces of text that could be the label of a scale bar.

    Args:
        texts: pieces of text in the pixels of one image.

    Returns:
        Pieces that begin with a length in nm, µm or mm whose leading digits are those of a scale
        bar (1, 2, 5, ...) and that is not the working distance. Known slips (``l00um``, ``1OOum``)
        are repaired. Of any confidence.
    """
    labels = []
    for line in _join(texts, least=0.0):
        spans = [m.span() for pattern in WORKING_DISTANCE for m in pattern.finditer(line.text)]
        taken = [piece for start, stop in spans for piece in line.touched(start, stop)]
        for piece in line.pieces:
            length_um = None if piece in taken else _bar_length_um(piece.text)
            if length_um is not None:
                labels.append(LengthLabel(length_um, piece))
    return labels


def _bar_length_um(text: str) -> float | None:
    match = LENGTH.match(text)
    value = None if match is None else _value(match[1])
    if match is None or not value:
        return None
    mantissa = float(f"{value:e}".split("e")[0])
    usual = any(abs(mantissa - nice) < 1e-6 for nice in BAR_MANTISSAS)
    return value * MICROMETRES[match[2].lower()] if usual else None


def _join(texts: Sequence[TextBox], *, least: float = MIN_CONFIDENCE) -> list[_Line]:
    """Group pieces whose middles are level, and join each group from left to right."""
    pieces = [replace(t, text=normalize("NFKC", t.text)) for t in texts if t.confidence >= least]
    rows: list[list[TextBox]] = []
    for piece in sorted(pieces, key=lambda piece: piece.box.y0 + piece.box.y1):
        last = rows[-1][-1].box if rows else None
        offset = 0 if last is None else piece.box.y0 + piece.box.y1 - last.y0 - last.y1
        if last is not None and offset / 2 <= last.height / 3:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    ordered = [tuple(sorted(row, key=lambda piece: piece.box.x0)) for row in rows]
    return [_Line("\t".join(piece.text for piece in row), row) for row in ordered]


def _first(
    lines: Sequence[_Line],
    patterns: Sequence[re.Pattern[str]],
    convert: Callable[[re.Match[str]], float | str | None],
) -> _Found | None:
    """What the first pattern that gives anything finds; None if it finds different values."""
    for pattern in patterns:
        found = [
            _Found(value, _confidence(line, match), match[0].replace("\t", " ").strip())
            for line in lines
            for match in pattern.finditer(line.text)
            if (value := convert(match)) is not None
        ]
        if found:
            return found[0] if len({each.value for each in found}) == 1 else None
    return None


def _confidence(line: _Line, match: re.Match[str]) -> float:
    return min(piece.confidence for piece in line.touched(*match.span()))


def _value(printed: str) -> float | None:
    """A number with the recogniser's slips repaired; a comma is the decimal sign."""
    try:
        return float(printed.translate(SLIPS).replace(",", "."))
    except ValueError:
        return None


def _within(value: float | None, bounds: tuple[float, float]) -> float | None:
    return value if value is not None and bounds[0] <= value <= bounds[1] else None


def _kilovolt(match: re.Match[str]) -> float | None:
    value = _value(match[1])
    scale = 1e-3 if match.re is VOLT else 1.0
    return _within(None if value is None else value * scale, KV_RANGE)


def _millimetre(match: re.Match[str]) -> float | None:
    return _within(_value(match[1]), WORKING_DISTANCE_RANGE)


def _magnification(match: re.Match[str]) -> float | None:
    """A comma or blank before three digits separates thousands; a point there could be either."""
    printed, thousands = match[1], bool(match[2])
    if re.fullmatch(GROUPED, printed):
        value = _value(re.sub("[ ,]", "", printed))
    elif not thousands and re.search(r"\.\d{3}$", printed):
        return None
    else:
        value = _value(printed)
    scale = 1e3 if thousands else 1.0
    return _within(None if value is None else value * scale, MAGNIFICATION_RANGE)


def _instrument(match: re.Match[str]) -> str:
    return f"HITACHI {match[1]}" if match.re is HITACHI_MODEL else match[1].upper()


def _reading(quantity: Quantity, found: _Found | None) -> Reading | None:
    if found is None:
        return None
    return Reading(
        quantity, Source.DATABAR, found.value, confidence=found.confidence, detail=found.printed
    )


def _acquired_at(
    lines: Sequence[_Line], instrument: _Found | None, now: datetime
) -> Reading | None:
    month_first = instrument is not None and instrument.value == "JEOL"
    text = "\n".join(line.text for line in lines)
    moment = find_moment(text, month_first=month_first, now=now)
    if moment is None:
        return None
    whole = _Line(text, tuple(piece for line in lines for piece in line.pieces))
    touched = [piece for span in moment.spans for piece in whole.touched(*span)]
    return Reading(
        Quantity.ACQUIRED_AT,
        Source.DATABAR,
        moment.value,
        uncertainty=moment.uncertainty_s,
        confidence=min(piece.confidence for piece in touched),
        detail=moment.printed,
    )
