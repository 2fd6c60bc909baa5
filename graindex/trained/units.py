"""Units of labels: declared, from the dictionary, or from the ending of the name.

Out of scope: converting between units.
"""

from typing import Literal

from schemas.fields import FIELDS

_ENDINGS: dict[str, str] = {
    "s_per_cm": "S/cm",
    "s_cm": "S/cm",
    "s_per_m": "S/m",
    "ms_per_cm": "mS/cm",
    "mah_per_g": "mAh/g",
    "mpa_m05": "MPa·m½",
    "g_per_cm3": "g/cm³",
    "um3": "µm³",
    "um2": "µm²",
    "um": "µm",
    "nm": "nm",
    "mm": "mm",
    "c": "°C",
    "k": "K",
    "h": "h",
    "min": "min",
    "gpa": "GPa",
    "mpa": "MPa",
    "kv": "kV",
    "v": "V",
    "px": "px",
    "deg": "°",
    "percent": "%",
    "pct": "%",
}


def unit_of(label: str) -> str | None:
    """Unit of a label by its name; None where the name tells none."""
    field = FIELDS.get(label)
    if field is not None and field.unit is not None:
        return field.unit
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if label.lower().endswith(f"_{ending}"):
            return _ENDINGS[ending]
    return None


def spoken(name: str) -> str:
    """A column's name for people: words, and its unit in brackets."""
    unit = unit_of(name)
    for ending, told in _ENDINGS.items():
        if unit == told and name.lower().endswith(f"_{ending}"):
            return f"{name[: -len(ending) - 1].replace('_', ' ')} ({unit})"
    return name.replace("_", " ") + (f" ({unit})" if unit not in (None, "1") else "")


def learned_unit(unit: str | None, transform: Literal["log10"] | None) -> str:
    """Unit of what is learned: that of the label, or of its logarithm."""
    if transform is None:
        return unit or "1"
    return f"log10({unit})" if unit else "log10"
